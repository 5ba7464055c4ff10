"""What can be wrong with a wish, in one tree. Every error carries the `Problem` that people get to read.

CrosshaulError
├── NotFoundError           nothing of that name
│   ├── AgentUnknownError
│   └── TransferUnknownError
├── RefusedError            cannot be done as asked, now or ever
│   ├── RouteError              no mover carries bytes between these ends
│   ├── OverlapError            source and destination are the same, or one lies in the other
│   ├── DuplicateDestinationError
│   ├── OutsideRootsError       the host does not offer this path
│   ├── ReadOnlyError           the host does not let anyone write there
│   ├── LimitError              more than fits
│   └── CursorError             `next` is not what was given out
└── ConflictError           cannot be done as things stand
    ├── AgentOfflineError
    ├── StateError              the transfer is not in a state for this
    ├── ReusedKeyError          the same Idempotency-Key for another wish
    └── StaleError              someone else was faster, again and again
"""

from typing import ClassVar

from events.base import Problem


class CrosshaulError(Exception):
    """The root: `code` is stable, `advice` says what to do."""

    code: ClassVar[str] = "error"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, advice: str = "", path: str | None = None) -> None:
        super().__init__(message)
        self.problem = Problem(
            code=self.code, message=message, advice=advice, path=path, retryable=self.retryable
        )


class NotFoundError(CrosshaulError):
    code = "not-found"


class AgentUnknownError(NotFoundError):
    code = "agent-unknown"

    def __init__(self, agent_id: str) -> None:
        super().__init__(
            f"There is no agent {agent_id}.",
            "See the names with `crosshaul agents`, or enrol the host under this one.",
        )


class TransferUnknownError(NotFoundError):
    code = "transfer-unknown"

    def __init__(self, transfer_id: str) -> None:
        super().__init__(
            f"There is no transfer {transfer_id}.", "See the latest ones with `crosshaul transfers`."
        )


class RefusedError(CrosshaulError):
    code = "refused"


class RouteError(RefusedError):
    code = "route-unsupported"


class OverlapError(RefusedError):
    code = "overlap"


class DuplicateDestinationError(RefusedError):
    code = "duplicate-destination"


class OutsideRootsError(RefusedError):
    code = "outside-roots"


class ReadOnlyError(RefusedError):
    code = "read-only"


class LimitError(RefusedError):
    code = "limit"


class CursorError(RefusedError):
    code = "cursor"

    def __init__(self) -> None:
        super().__init__("`next` is not what this list gave out.", "Begin again without it.")


class ConflictError(CrosshaulError):
    code = "conflict"


class AgentOfflineError(ConflictError):
    code = "agent-offline"
    retryable = True

    def __init__(self, agent_id: str) -> None:
        super().__init__(
            f"The agent {agent_id} is offline.",
            "Start it, or ask with if_offline=queue: the transfer then waits for it.",
        )


class StateError(ConflictError):
    code = "state"


class ReusedKeyError(ConflictError):
    code = "idempotency-key-reused"


class StaleError(ConflictError):
    code = "stale"
    retryable = True

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} was changed by someone else at the same moment.", "Try again.")
