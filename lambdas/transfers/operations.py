"""Cancel, pause, resume and retry as data: what each does to a hop, and when it is too late for it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from events.base import Actor
from events.problem_type import ProblemType
from events.states import HopState, TransferState
from events.views import Approval
from lambdas.domain.errors import StateError
from lambdas.domain.hop import Hop
from lambdas.domain.hop_changes import (
    approved,
    cancelled,
    declined_start,
    held_for_approval,
    paused,
    resumed,
    retried,
)
from lambdas.domain.problems import (
    APPROVAL_DECLINED,
    ENDED_BEFORE_CANCEL,
    ENDED_BEFORE_PAUSE,
    ENDED_BEFORE_RESUME,
    NOT_AWAITING_APPROVAL,
    NOT_FAILED,
    NOTHING_TO_DECLINE,
    NOTHING_TO_RETRY,
    RETRY_TOO_EARLY,
)
from lambdas.domain.timeline import TransferEvent, asked
from lambdas.domain.transfer import Transfer
from lambdas.ports import Authorization, AuthorizeTransfer, allow_all
from lambdas.transfers.writer import Change, ChangeFunction, Start


@dataclass(frozen=True)
class Operation:
    """One operation of people on a transfer."""

    what: TransferEvent
    """Past participle for the timeline: `cancelled`."""
    step: Callable[[Transfer, Hop, datetime], Hop]
    """Returns the changed hop, or the same object if there is nothing to do."""
    too_late: Callable[[Transfer], ProblemType | None]
    """Called if no hop changes: the words of the error; None if it is only a repetition."""
    start: Literal["new", "same"] | None = None
    """The start of the hops that it queues: a new one needs its own approval. None: it queues none."""

    def decision(self, by: Actor, permit: AuthorizeTransfer = allow_all) -> ChangeFunction:
        """Return the change of all hops, with one timeline entry.

        The returned function raises StateError if it is too late, ForbiddenError if it is not permitted.
        """

        def decide(transfer: Transfer, now: datetime) -> Change | None:
            authorization = permit(transfer)
            start = self._start(transfer, authorization, by)
            started = start.apply_to(transfer) if start else transfer
            steps = tuple(self._step(started, hop, authorization, now) for hop in transfer.hops)
            changed = tuple(new for old, new in zip(transfer.hops, steps, strict=True) if new is not old)
            if changed:
                if start and any(hop.state == HopState.AWAITING_APPROVAL for hop in changed):
                    start = replace(start, approval=wanting(authorization))
                after = start.apply_to(transfer) if start else transfer
                record = authorization.record(transfer, after.with_hops(changed, now))
                return Change(changed, asked(self.what, by, now), record, start)
            if words := self.too_late(transfer):
                raise StateError(words=words, transfer_id=transfer.transfer_id, state=transfer.state)
            return None

        return decide

    def _start(self, transfer: Transfer, authorization: Authorization, by: Actor) -> Start | None:
        """Return who asks for the hops to be queued, and their approval; None if it queues none.

        A hop that awaits approval still needs the one that it awaits.
        """
        if self.start is None:
            return None
        keeps = self.start == "same" or transfer.state == TransferState.AWAITING_APPROVAL
        approval = transfer.approval if keeps else None
        return Start(authorization.asked_for or (by,), approval, authorization.size)

    def _step(self, transfer: Transfer, hop: Hop, authorization: Authorization, now: datetime) -> Hop:
        """Return the changed hop, held for approval if one is missing."""
        new = self.step(transfer, hop, now)
        lacking = transfer.lacks_approval(hop, authorization.approval, now)
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
        awaited = _awaited(transfer, NOT_AWAITING_APPROVAL)
        changed = tuple(new for hop in transfer.hops if (new := approved(hop, now)) is not hop)
        given = awaited.model_copy(update={"by": by, "at": now})
        start = Start(transfer.asked_for, given, authorization.size)
        record = authorization.record(transfer, start.apply_to(transfer).with_hops(changed, now))
        return Change(changed, asked("approved", by, now), record, start)

    return decide


def disagreed(by: Actor, why: str, permit: AuthorizeTransfer) -> ChangeFunction:
    """Return the change by which a second person declines to approve, for a reason.

    The returned function raises StateError if no approval is awaited, ForbiddenError if this person could not
    approve either.
    """

    def decide(transfer: Transfer, now: datetime) -> Change | None:
        authorization = permit(transfer)
        awaited = _awaited(transfer, NOTHING_TO_DECLINE)
        problem = APPROVAL_DECLINED.problem(person=by.name, reason=why)
        changed = tuple(new for hop in transfer.hops if (new := declined_start(hop, problem, now)) is not hop)
        declined = awaited.model_copy(update={"declined_by": by, "declined_at": now, "why": why})
        start = Start(transfer.asked_for, declined, transfer.authorized_size)
        record = authorization.record(transfer, start.apply_to(transfer).with_hops(changed, now))
        return Change(changed, asked("declined", by, now, problem), record, start)

    return decide


def _awaited(transfer: Transfer, words: ProblemType) -> Approval:
    """Return the approval that the transfer awaits; raise StateError in these words if it awaits none."""
    if transfer.state != TransferState.AWAITING_APPROVAL or transfer.approval is None:
        raise StateError(words=words, transfer_id=transfer.transfer_id, state=transfer.state)
    return transfer.approval


def acknowledged(by: Actor, permit: AuthorizeTransfer) -> ChangeFunction:
    """Return the change by which a person confirms that a failure needs no further attention.

    The returned function raises StateError if the transfer has not failed, ForbiddenError if it is not
    permitted.
    """

    def decide(transfer: Transfer, now: datetime) -> Change | None:
        authorization = permit(transfer)
        if transfer.state not in {TransferState.FAILED, TransferState.PARTIALLY_FAILED}:
            raise StateError(words=NOT_FAILED, transfer_id=transfer.transfer_id, state=transfer.state)
        if transfer.acknowledged:
            return None
        record = authorization.record(transfer, replace(transfer, acknowledged=by))
        return Change((), asked("acknowledged", by, now), record, acknowledged=by)

    return decide


def _retried(transfer: Transfer, hop: Hop, now: datetime) -> Hop:
    """Return the hop queued again, unless a later hop is still forwarding what it delivered.

    That one would end without the rest, as if it had everything.
    """
    if transfer.has_open_downstream(hop):
        return hop
    return retried(hop, transfer.ready(hop), now, in_part=transfer.goes_on_in_part(hop))


def _no_retry(transfer: Transfer) -> ProblemType:
    """Return the words of the error if no hop can be retried."""
    if any(hop.state in {HopState.FAILED, HopState.CANCELLED} for hop in transfer.hops):
        return RETRY_TOO_EARLY
    return NOTHING_TO_RETRY


CANCEL = Operation(
    "cancelled",
    lambda _, hop, now: cancelled(hop, now),
    lambda transfer: ENDED_BEFORE_CANCEL if transfer.state != TransferState.CANCELLED else None,
)
PAUSE = Operation(
    "paused",
    lambda _, hop, now: paused(hop, now),
    lambda transfer: ENDED_BEFORE_PAUSE if transfer.ended else None,
)
RESUME = Operation(
    "resumed",
    lambda transfer, hop, now: resumed(hop, transfer.ready(hop), now),
    lambda transfer: ENDED_BEFORE_RESUME if transfer.ended else None,
    start="same",
)
RETRY = Operation("retried", _retried, _no_retry, start="new")
