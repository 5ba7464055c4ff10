"""The four asks of people, as data: what each makes of a hop, and when it is too late for it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from events.states import TransferState
from lambdas.domain.errors import StateError
from lambdas.domain.hop import Hop
from lambdas.domain.hop_changes import cancelled, paused, resumed, retried
from lambdas.domain.timeline import asked
from lambdas.domain.transfer import Transfer
from lambdas.transfers.changing import Change, Decision
from lambdas.transfers.ports import Permit, unasked


@dataclass(frozen=True)
class Ask:
    what: str
    """Its word in the timeline."""
    step: Callable[[Transfer, Hop, datetime], Hop]
    too_late: Callable[[Transfer], bool]
    """Asked when there is nothing to do: is that an error, or was it done already?"""
    advice: str

    def decision(self, by: str, permit: Permit = unasked) -> Decision:
        """All hops at once, in one line; raises StateError when it is too late, ForbiddenError if it may not
        be."""

        def decide(transfer: Transfer, now: datetime) -> Change | None:
            ruling = permit(transfer)
            steps = tuple(self.step(transfer, hop, now) for hop in transfer.hops)
            changed = tuple(new for old, new in zip(transfer.hops, steps, strict=True) if new is not old)
            if changed:
                record = ruling.record(transfer, transfer.with_hops(changed, now))
                return Change(changed, asked(self.what, by, now), record)
            if self.too_late(transfer):
                message = f"Transfer {transfer.transfer_id} cannot be {self.what}: it is {transfer.state}."
                raise StateError(message, self.advice)
            return None

        return decide


CANCEL = Ask(
    "cancelled",
    lambda _, hop, now: cancelled(hop, now),
    lambda transfer: transfer.state != TransferState.CANCELLED,
    "What has arrived stays where it is; delete it there if it is not wanted.",
)
PAUSE = Ask(
    "paused",
    lambda _, hop, now: paused(hop, now),
    lambda transfer: transfer.ended,
    "There is nothing left to pause.",
)
RESUME = Ask(
    "resumed",
    lambda transfer, hop, now: resumed(hop, transfer.ready(hop), now),
    lambda transfer: transfer.ended,
    "A failed or cancelled transfer can be retried instead.",
)
RETRY = Ask(
    "retried",
    lambda transfer, hop, now: retried(hop, transfer.ready(hop), now),
    lambda _: True,
    "Only hops that failed or were cancelled can be retried; a paused transfer can be resumed.",
)
