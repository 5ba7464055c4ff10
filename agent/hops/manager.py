"""Carry out this agent's hops: reconcile running work with the desired state in the journal.

A command changes the journal first; `reconcile` follows. So a crash between the two loses nothing, and a
restart reconciles every hop that has not ended.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from agent.errors import HopError, unforeseen
from agent.hops.attempt import Attempt, AttemptIntervals, Movers, head
from agent.hops.hop_totals import HopTotals
from agent.hops.journal import Journal
from agent.hops.priority_semaphore import PrioritySemaphore
from agent.hops.record import HopRecord
from agent.hops.report_outbox import ReportOutbox
from events.base import HopId
from events.reports import AgentHop, Cancelled, Failed, Paused

log = logging.getLogger(__name__)

LOCK_STRIPES = 64
"""Number of locks that all hops share: enough that they seldom wait for each other, and a fixed number."""

DiscardHop = Callable[[HopId], Coroutine[Any, Any, None]]
Spawn = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]


class HopManager:
    """Runs at most `limit` hops at a time; the others wait for their turn."""

    def __init__(
        self,
        journal: Journal,
        outbox: ReportOutbox,
        movers: Movers,
        limit: int,
        intervals: AttemptIntervals,
        spawn: Spawn,
    ) -> None:
        """Create a manager.

        `spawn` makes a task whose failure is not lost, such as one of a TaskGroup.
        """
        self._journal = journal
        self._outbox = outbox
        self._movers = movers
        self._semaphore = PrioritySemaphore(limit)
        self._intervals = intervals
        self._attempts: dict[str, tuple[Attempt, asyncio.Task[None]]] = {}
        self._spawn = spawn
        self.totals = HopTotals()
        self._locks = [asyncio.Lock() for _ in range(LOCK_STRIPES)]

    async def resume_all(self) -> None:
        """Reconcile every hop that has not ended, after a start."""
        for record in self._journal.open_hops():
            try:
                await self.reconcile(record.hop_id)
            except sqlite3.Error:  # the journal itself is at fault
                raise
            except Exception as error:  # the hops after it must still be resumed
                log.exception("hop cannot be resumed", extra={"hop_id": record.hop_id})
                self._fail(record, error)

    async def reconcile(self, hop_id: str) -> None:
        """Start, stop or discard a hop as the journal wants it; calls for one hop run in turn."""
        async with self._locks[hash(hop_id) % LOCK_STRIPES]:
            record = self._journal.hop(hop_id)
            if record and self._is_under_way(record):
                self._attempts[hop_id][0].repeat_state()
                return
            await self._stop(hop_id)
            record = self._journal.hop(hop_id)  # it may have ended while it was being stopped
            if record and not record.end:
                await self._apply_desired_state(record)

    async def discard_unknown(self, hop_id: HopId, discard: DiscardHop) -> None:
        """Discard a canceled hop of which the journal has no record, since it was damaged and set aside."""
        async with self._locks[hash(hop_id) % LOCK_STRIPES]:
            if self._journal.hop(hop_id) is None:
                await discard(hop_id)

    def records(self) -> tuple[AgentHop, ...]:
        """Return the hops to name in a Hello.

        A hop whose result is not sent yet counts as running: otherwise the control plane would command it
        again.
        """
        hops = [*self._journal.open_hops(), *self._journal.unsent_results()]
        return tuple(
            AgentHop(
                transfer_id=hop.move.transfer_id,
                hop_id=hop.hop_id,
                attempt=hop.attempt,
                state="paused" if hop.desired_state == "pause" and not hop.end else "running",
            )
            for hop in hops
        )

    @property
    def running(self) -> int:
        """Return how many hops move data now, without those that wait for their turn."""
        return sum(attempt.moving for attempt, _ in self._attempts.values())

    def _is_under_way(self, record: HopRecord) -> bool:
        found = self._attempts.get(record.hop_id)
        return bool(
            found
            and record.desired_state == "run"
            and found[0].move.attempt == record.attempt
            and not record.end
        )

    async def _apply_desired_state(self, record: HopRecord) -> None:
        if record.desired_state == "run":
            self._start(record)
        elif record.desired_state == "cancel":
            await self._discard(record)
        elif not record.paused:
            with self._journal.change():
                self._journal.save_hop(replace(record, paused=True))
                self._outbox.enqueue_for_hop(Paused(**head(record.move), progress=record.progress))
            log.info("hop paused", extra={"hop_id": record.hop_id, "attempt": record.attempt})

    def _start(self, record: HopRecord) -> None:
        attempt = Attempt(record, self._journal, self._outbox, self._movers, self._semaphore, self._intervals)
        self.totals.begin(attempt)
        task = self._spawn(attempt.execute())
        self._attempts[record.hop_id] = (attempt, task)
        task.add_done_callback(lambda done: self._on_done(attempt, done))

    def _on_done(self, attempt: Attempt, task: asyncio.Task[None]) -> None:
        self.totals.finish(attempt)
        found = self._attempts.get(attempt.move.hop_id)
        if found and found[1] is task:
            del self._attempts[attempt.move.hop_id]

    async def _stop(self, hop_id: str) -> None:
        """Wait until nothing of the hop runs any more, and save how far it came."""
        found = self._attempts.pop(hop_id, None)
        if not found:
            return
        attempt, task = found
        task.cancel()
        await asyncio.wait([task])
        record = self._journal.hop(hop_id)
        if record and not record.end:
            self._journal.save_hop(replace(record, progress=attempt.progress()))

    def _fail(self, record: HopRecord, error: Exception) -> None:
        self._end(record, Failed(**head(record.move), progress=record.progress, problem=unforeseen(error)))

    async def _discard(self, record: HopRecord) -> None:
        try:
            await self._movers(record.move).discard(record.move)
        except (HopError, OSError) as error:
            log.warning("partial files may be left", extra={"hop_id": record.hop_id, "reason": str(error)})
        except Exception:  # the hop is canceled all the same
            log.exception("partial files may be left", extra={"hop_id": record.hop_id})
        self._end(record, Cancelled(**head(record.move), progress=record.progress))
        log.info("hop cancelled", extra={"hop_id": record.hop_id, "attempt": record.attempt})

    def _end(self, record: HopRecord, end: Failed | Cancelled) -> None:
        with self._journal.change():
            self._journal.save_hop(replace(record, end=end))
            self._outbox.enqueue_for_hop(end)
        self.totals.count_end(record.move.route.kind, end)
