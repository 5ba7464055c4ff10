"""An agent as the control plane knows it."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from events.base import AgentId
from events.reports import Capabilities, RootState

Presence = Literal["online", "offline"]


@dataclass(frozen=True, kw_only=True)
class Agent:
    """One server's agent: what it said of itself, and when it was last heard."""

    agent_id: AgentId
    hostname: str
    ip_address: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    roots: tuple[RootState, ...] = ()
    endpoints: tuple[str, ...] = ()
    """Lane addresses, `host:port`, in the order of its preference."""
    lane_certificate: str
    """PEM."""
    capabilities: Capabilities
    version: str
    registered_at: datetime
    connected_at: datetime | None = None
    last_heartbeat: datetime | None = None
    presence: Presence = "offline"
    running: int = 0
    """Hops running, as of the last heartbeat."""
    load: float | None = None
