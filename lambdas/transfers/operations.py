"""Cancel, pause, resume and retry as data: what each does to a hop, and when it is too late for it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from events.base import Actor
from events.states import TransferState
from events.views import Approval
from lambdas.domain.errors import StateError
from lambdas.domain.hop import Hop
from lambdas.domain.hop_changes import approved, cancelled, held_for_approval, paused, resumed, retried
from lambdas.domain.timeline import TransferEvent, asked
from lambdas.domain.transfer import Transfer
from lambdas.ports import Authorization, AuthorizeTransfer, allow_all
from lambdas.transfers.writer import Change, ChangeFunction


@dataclass(frozen=True)
class Operation:
    """One operation of people on a transfer."""

    what: TransferEvent
    """Past participle for the timeline: `cancelled`."""
    step: Callable[[Transfer, Hop, datetime], Hop]
    """Returns the changed hop, or the same object if there is nothing to do."""
    too_late: Callable[[Transfer], bool]
    """Called if no hop changes: whether that is an error rather than a repetition."""
    advice: str
    """Advice of the error if it is too late."""

    def decision(self, by: Actor, permit: AuthorizeTransfer = allow_all) -> ChangeFunction:
        """Return the change of all hops, with one timeline entry.

        The returned function raises StateError if it is too late, ForbiddenError if it is not permitted.
        """

        def decide(transfer: Transfer, now: datetime) -> Change | None:
            authorization = permit(transfer)
            lacking = transfer.lacks(authorization.approval)
            steps = tuple(self._step(transfer, hop, now, bool(lacking)) for hop in transfer.hops)
            changed = tuple(new for old, new in zip(transfer.hops, steps, strict=True) if new is not old)
            if changed:
                record = authorization.record(transfer, transfer.with_hops(changed, now))
                wanted = wanting(authorization) if lacking else None
                return Change(changed, asked(self.what, by, now), record, wanted)
            if self.too_late(transfer):
                message = f"Transfer {transfer.transfer_id} cannot be {self.what}: it is {transfer.state}."
                raise StateError(message, self.advice)
            return None

        return decide

    def _step(self, transfer: Transfer, hop: Hop, now: datetime, lacking: bool) -> Hop:
        """Return the changed hop, held for approval if one is missing."""
        new = self.step(transfer, hop, now)
        return held_for_approval(new, now) if lacking and new is not hop else new


def wanting(authorization: Authorization) -> Approval:
    """Return the approval that the policies require, not given yet."""
    return Approval(policies=authorization.approval, asked_for=authorization.asked_for)


def agreed(by: Actor, permit: AuthorizeTransfer) -> ChangeFunction:
    """Return the change for a second person's approval.

    The returned function raises StateError if no approval is awaited, ForbiddenError if this person may not
    approve.
    """

    def decide(transfer: Transfer, now: datetime) -> Change | None:
        authorization = permit(transfer)
        if transfer.state != TransferState.AWAITING_APPROVAL or transfer.approval is None:
            message = f"Transfer {transfer.transfer_id} is not awaiting approval: it is {transfer.state}."
            raise StateError(message, "There is nothing to approve.")
        changed = tuple(new for hop in transfer.hops if (new := approved(hop, now)) is not hop)
        given = transfer.approval.model_copy(update={"by": by, "at": now})
        after = replace(transfer.with_hops(changed, now), approval=given)
        return Change(changed, asked("approved", by, now), authorization.record(transfer, after), given)

    return decide


CANCEL = Operation(
    "cancelled",
    lambda _, hop, now: cancelled(hop, now),
    lambda transfer: transfer.state != TransferState.CANCELLED,
    "Files that have arrived remain at the destination; delete them there if you do not need them.",
)
PAUSE = Operation(
    "paused",
    lambda _, hop, now: paused(hop, now),
    lambda transfer: transfer.ended,
    "There is nothing left to pause.",
)
RESUME = Operation(
    "resumed",
    lambda transfer, hop, now: resumed(hop, transfer.ready(hop), now),
    lambda transfer: transfer.ended,
    "Retry a failed or cancelled transfer instead.",
)
RETRY = Operation(
    "retried",
    lambda transfer, hop, now: retried(hop, transfer.ready(hop), now),
    lambda _: True,
    "Only failed or cancelled hops can be retried. To continue a paused transfer, resume it.",
)
