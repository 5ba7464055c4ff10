"""Read, decide, write, and begin again when someone else was faster."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from events.base import Actor
from events.views import Approval, TimelineEntry
from lambdas.domain.errors import StaleError
from lambdas.domain.hop import Hop
from lambdas.domain.timeline import became
from lambdas.domain.transfer import Transfer
from lambdas.ports import Clock
from lambdas.store.base import Writes, no_writes
from lambdas.store.transfers import TransferStore

MAX_ATTEMPTS = 12
"""How often one change is tried: a transfer's fifty hops may all end in the same second."""
_MAX_RETRY_DELAY_S = 0.4
"""Seconds."""


@dataclass(frozen=True)
class Change:
    """Hops as they shall be, and the line that says so."""

    hops: tuple[Hop, ...]
    moment: TimelineEntry
    also: Writes = no_writes
    """What is written with it."""
    approval: Approval | None = None
    """None: as it was."""


@dataclass(frozen=True)
class WriteResult:
    transfer: Transfer
    """As the table has it now."""
    changed: bool
    """Was it this call that changed it?"""


ChangeFunction = Callable[[Transfer, datetime], Change | None]


class TransferWriter:
    """The one hand that writes transfers."""

    def __init__(
        self, store: TransferStore, clock: Clock, wait: Callable[[float], None] = time.sleep
    ) -> None:
        self._store = store
        self._clock = clock
        self._wait = wait

    def change(self, transfer_id: str, decide: ChangeFunction, known: Transfer | None = None) -> WriteResult:
        """Do what `decide` says of the transfer as it is; it is asked again if that was no longer so.

        `known` saves the first reading. Raises TransferUnknownError, and StaleError when all patience is
        lost.
        """
        for tried in range(MAX_ATTEMPTS):
            transfer = known if known and not tried else self._store.get(transfer_id)
            now = self._clock()
            change = decide(transfer, now)
            if change is None:
                return WriteResult(transfer, changed=False)
            try:
                new = transfer.with_hops(change.hops, now)
                new = replace(new, approval=change.approval or transfer.approval)
                return WriteResult(self._store.write(transfer, new, change.moment, change.also), changed=True)
            except StaleError:
                self._wait(random.uniform(0, _MAX_RETRY_DELAY_S * (tried + 1) / MAX_ATTEMPTS))  # noqa: S311
        raise StaleError(f"Transfer {transfer_id}")


def one_hop(number: int, step: Callable[[Hop, datetime], Hop], by: Actor) -> ChangeFunction:
    """The decision that takes one step with one hop, if it is a step at all."""

    def decide(transfer: Transfer, now: datetime) -> Change | None:
        old = transfer.hops[number]
        new = step(old, now)
        return None if new == old else Change((new,), became(new, by, now))

    return decide
