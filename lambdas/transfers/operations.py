"""The four asks of people, as data: what each makes of a hop, and when it is too late for it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from events.base import Actor
from events.states import TransferState
from events.views import Approval
from lambdas.domain.errors import StateError
from lambdas.domain.hop import Hop
from lambdas.domain.hop_changes import approved, cancelled, held_for_approval, paused, resumed, retried
from lambdas.domain.timeline import asked
from lambdas.domain.transfer import Transfer
from lambdas.ports import Authorization, AuthorizeTransfer, allow_all
from lambdas.transfers.writer import Change, ChangeFunction


@dataclass(frozen=True)
class Operation:
    what: str
    """Its word in the timeline."""
    step: Callable[[Transfer, Hop, datetime], Hop]
    too_late: Callable[[Transfer], bool]
    """Asked when there is nothing to do: is that an error, or was it done already?"""
    advice: str

    def decision(self, by: Actor, permit: AuthorizeTransfer = allow_all) -> ChangeFunction:
        """All hops at once, in one line; raises StateError when it is too late, ForbiddenError if it may not
        be."""

        def decide(transfer: Transfer, now: datetime) -> Change | None:
            ruling = permit(transfer)
            lacking = transfer.lacks(ruling.approval)
            steps = tuple(self._step(transfer, hop, now, bool(lacking)) for hop in transfer.hops)
            changed = tuple(new for old, new in zip(transfer.hops, steps, strict=True) if new is not old)
            if changed:
                record = ruling.record(transfer, transfer.with_hops(changed, now))
                wanted = wanting(ruling) if lacking else None
                return Change(changed, asked(self.what, by, now), record, wanted)
            if self.too_late(transfer):
                message = f"Transfer {transfer.transfer_id} cannot be {self.what}: it is {transfer.state}."
                raise StateError(message, self.advice)
            return None

        return decide

    def _step(self, transfer: Transfer, hop: Hop, now: datetime, lacking: bool) -> Hop:
        """What would go on is withheld if an approval is lacking."""
        new = self.step(transfer, hop, now)
        return held_for_approval(new, now) if lacking and new is not hop else new


def wanting(ruling: Authorization) -> Approval:
    return Approval(policies=ruling.approval, asked_for=ruling.asked_for)


def agreed(by: Actor, permit: AuthorizeTransfer) -> ChangeFunction:
    """A second person's agreement; raises StateError if none is awaited, ForbiddenError if it is not theirs
    to give."""

    def decide(transfer: Transfer, now: datetime) -> Change | None:
        ruling = permit(transfer)
        if transfer.state != TransferState.AWAITING_APPROVAL or transfer.approval is None:
            message = f"Transfer {transfer.transfer_id} does not wait for approval: it is {transfer.state}."
            raise StateError(message, "There is nothing to approve.")
        changed = tuple(new for hop in transfer.hops if (new := approved(hop, now)) is not hop)
        given = transfer.approval.model_copy(update={"by": by, "at": now})
        after = replace(transfer.with_hops(changed, now), approval=given)
        return Change(changed, asked("approved", by, now), ruling.record(transfer, after), given)

    return decide


CANCEL = Operation(
    "cancelled",
    lambda _, hop, now: cancelled(hop, now),
    lambda transfer: transfer.state != TransferState.CANCELLED,
    "What has arrived stays where it is; delete it there if it is not wanted.",
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
    "A failed or cancelled transfer can be retried instead.",
)
RETRY = Operation(
    "retried",
    lambda transfer, hop, now: retried(hop, transfer.ready(hop), now),
    lambda _: True,
    "Only hops that failed or were cancelled can be retried; a paused transfer can be resumed.",
)
