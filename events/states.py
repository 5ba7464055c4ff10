"""The names of the states, for everyone who shows or guards them. What may follow what: lambdas/domain."""

from enum import StrEnum
from typing import Literal


class HopState(StrEnum):
    AWAITING_APPROVAL = "awaiting_approval"
    """For a second person to agree."""
    WAITING = "waiting"
    """For another hop to end (a chain)."""
    QUEUED = "queued"
    """For its agents to be there, or for a retry's time to come."""
    OFFERED = "offered"
    """Its command is out, the agent has not begun."""
    RUNNING = "running"
    PAUSED = "paused"
    VERIFYING = "verifying"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class TransferState(StrEnum):
    AWAITING_APPROVAL = "awaiting_approval"
    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    PARTIALLY_FAILED = "partially_failed"
    FAILED = "failed"
    CANCELLED = "cancelled"


CommandKeyStatus = Literal["both", "present", "none"]
"""Which keys an agent obeys: the one that signs commands and the one that will be next, the former, none."""


class AgentStatus(StrEnum):
    ONLINE = "online"
    LATE = "late"
    """Connected, but its last heartbeat is older than 90 s."""
    OFFLINE = "offline"
