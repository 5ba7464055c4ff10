"""Change transfers optimistically: read, decide, write, and retry after a concurrent change."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from events.base import Actor
from events.views import Approval, TimelineEntry
from lambdas.domain.hop import Hop
from lambdas.domain.timeline import became
from lambdas.domain.transfer import Transfer
from lambdas.ports import Clock
from lambdas.store.base import Writes, no_writes
from lambdas.store.optimistic import retry_stale
from lambdas.store.transfers import TransferStore

MAX_ATTEMPTS = 12
"""Maximum number of attempts for one change: a transfer's fifty hops may all end in the same second."""
_MAX_RETRY_DELAY_S = 0.4
"""Maximum of the random delay before the last attempt; it grows linearly to this."""


@dataclass(frozen=True)
class Start:
    """A start of a transfer: its request, resumption or retry."""

    asked_for: tuple[Actor, ...]
    """The people who asked for it."""
    approval: Approval | None = None
    """The approval that policies require for it, and whether it was given."""
    size: int | None = None
    """Size in bytes with which policies decided it; None if it was not known."""

    def apply_to(self, transfer: Transfer) -> Transfer:
        """Return the transfer with this start in place of an earlier one."""
        return replace(
            transfer,
            asked_for=self.asked_for,
            approval=self.approval,
            authorized_size=self.size,
            acknowledged=None,
        )


@dataclass(frozen=True)
class Change:
    """Changed hops, and the timeline entry about them."""

    hops: tuple[Hop, ...]
    moment: TimelineEntry
    also: Writes = no_writes
    """Writes that belong into the same transaction."""
    start: Start | None = None
    """Who asked for the hops to start, and the approval of it. None: unchanged."""
    acknowledged: Actor | None = None
    """Who acknowledges that the transfer failed. None: unchanged."""

    def apply_to(self, transfer: Transfer, now: datetime) -> Transfer:
        """Return the transfer after this change."""
        new = transfer.with_hops(self.hops, now)
        new = self.start.apply_to(new) if self.start else new
        return replace(new, acknowledged=self.acknowledged) if self.acknowledged else new


@dataclass(frozen=True)
class WriteResult:
    """The transfer after a change."""

    transfer: Transfer
    """The transfer as the table has it now."""
    changed: bool
    """Whether this call changed it."""


ChangeFunction = Callable[[Transfer, datetime], Change | None]


class TransferWriter:
    """The only writer of transfers."""

    def __init__(
        self, store: TransferStore, clock: Clock, wait: Callable[[float], None] = time.sleep
    ) -> None:
        self._store = store
        self._clock = clock
        self._wait = wait

    def change(self, transfer_id: str, decide: ChangeFunction, known: Transfer | None = None) -> WriteResult:
        """Apply the change that `decide` returns for the current transfer; retry after a concurrent change.

        `known` saves the first read.

        Raises:
            TransferUnknownError: the transfer does not exist.
            StaleError: concurrent changes won every retry.
        """

        def write() -> WriteResult:
            nonlocal known
            transfer, known = known or self._store.get(transfer_id), None
            now = self._clock()
            change = decide(transfer, now)
            if change is None:
                return WriteResult(transfer, changed=False)
            new = change.apply_to(transfer, now)
            return WriteResult(
                self._store.write_change(transfer, new, change.moment, change.also), changed=True
            )

        subject = f"Transfer {transfer_id}"
        return retry_stale(write, subject, max_attempts=MAX_ATTEMPTS, on_stale=self._back_off)

    def _back_off(self, attempt: int) -> None:
        self._wait(random.uniform(0, _MAX_RETRY_DELAY_S * (attempt + 1) / MAX_ATTEMPTS))  # noqa: S311


def one_hop(number: int, step: Callable[[Hop, datetime], Hop], by: Actor) -> ChangeFunction:
    """Return the change that applies `step` to one hop; None if the hop stays as it is."""

    def decide(transfer: Transfer, now: datetime) -> Change | None:
        old = transfer.hops[number]
        new = step(old, now)
        return None if new == old else Change((new,), became(old, new, by, now))

    return decide
