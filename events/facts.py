"""Cloud → EventBridge bus: events for other systems, named in the past tense.

The event's detail-type is the class's name.
"""

from typing import Annotated, Literal

from pydantic import Field

from events.base import Actor, AgentId, Bytes, Count, Instant, Message, Problem, TransferId
from events.states import TransferState

SOURCE = "crosshaul"


class TransferRequested(Message):
    """A transfer was created."""

    kind: Literal["TransferRequested"] = "TransferRequested"
    transfer_id: TransferId
    at: Instant
    by: Actor
    template_id: str | None = None
    source: str
    destinations: tuple[str, ...]


class TransferFinished(Message):
    """A transfer has ended: succeeded, failed, partially_failed or cancelled."""

    kind: Literal["TransferFinished"] = "TransferFinished"
    transfer_id: TransferId
    at: Instant
    state: TransferState
    files: Count
    bytes: Bytes
    problem: Problem | None = None


class AgentWentSilent(Message):
    """A connected agent has sent no heartbeat for 90 s."""

    kind: Literal["AgentWentSilent"] = "AgentWentSilent"
    agent_id: AgentId
    at: Instant
    last_heartbeat: Instant


Fact = Annotated[TransferRequested | TransferFinished | AgentWentSilent, Field(discriminator="kind")]
