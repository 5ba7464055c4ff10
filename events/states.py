"""The states of hops, transfers and agents. For the allowed transitions see lambdas/domain/hop.py."""

from enum import StrEnum
from typing import Literal


class HopState(StrEnum):
    """State of a hop."""

    AWAITING_APPROVAL = "awaiting_approval"
    """Waits for a second person's approval."""
    WAITING = "waiting"
    """Waits for its upstream hop in a chain."""
    QUEUED = "queued"
    """Waits for its agents to be online, or for the time of a retry."""
    OFFERED = "offered"
    """The command was sent, the agent has not started."""
    RUNNING = "running"
    PAUSED = "paused"
    VERIFYING = "verifying"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class TransferState(StrEnum):
    """State of a transfer, derived from its hops."""

    AWAITING_APPROVAL = "awaiting_approval"
    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    PARTIALLY_FAILED = "partially_failed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Attention(StrEnum):
    """Why a person must look at a transfer."""

    AWAITING_APPROVAL = "awaiting_approval"
    PAUSED = "paused"
    """An agent paused it: it goes on only when somebody has mended the cause."""
    FAILED = "failed"
    PARTIALLY_FAILED = "partially_failed"


CommandKeyStatus = Literal["both", "present", "none"]
"""Which command keys an agent trusts: the current and the next one, only the current one, or none of them."""


class AgentStatus(StrEnum):
    """Whether an agent is connected."""

    ONLINE = "online"
    LATE = "late"
    """Connected, but its last heartbeat is older than 90 s."""
    OFFLINE = "offline"
