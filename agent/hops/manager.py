"""The hops this agent carries out: brings the work in line with what the journal says is wanted.

A command changes the journal first; `settle` follows. So a crash between the two costs nothing, and a
restart is the same as settling every hop that has not ended.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from agent.errors import HopError, unforeseen
from agent.hops.attempt import Attempt, AttemptIntervals, Movers, head
from agent.hops.journal import Journal
from agent.hops.priority_semaphore import PrioritySemaphore
from agent.hops.record import HopRecord
from agent.hops.report_outbox import ReportOutbox
from events.reports import AgentHop, Cancelled, Failed, Paused

log = logging.getLogger(__name__)

LOCK_STRIPES = 64
"""Hops share so many locks: enough that they seldom wait for each other, and no more to forget again."""

Spawn = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]


class HopManager:
    """At most `at_once` hops move at a time; others wait here for their turn."""

    def __init__(
        self,
        journal: Journal,
        desk: ReportOutbox,
        movers: Movers,
        at_once: int,
        pace: AttemptIntervals,
        spawn: Spawn,
    ) -> None:
        """`spawn` makes a task whose failure is not overlooked: a TaskGroup's."""
        self._journal = journal
        self._desk = desk
        self._movers = movers
        self._turns = PrioritySemaphore(at_once)
        self._pace = pace
        self._attempts: dict[str, tuple[Attempt, asyncio.Task[None]]] = {}
        self._spawn = spawn
        self._locks = [asyncio.Lock() for _ in range(LOCK_STRIPES)]

    async def resume_all(self) -> None:
        """After a start: every hop goes on where the journal left it."""
        for held in self._journal.open_hops():
            try:
                await self.reconcile(held.hop_id)
            except sqlite3.Error:  # the journal's
                raise
            except Exception as error:  # it must not keep back the hops behind it
                log.exception("hop cannot go on", extra={"hop_id": held.hop_id})
                self._break_off(held, error)

    async def reconcile(self, hop_id: str) -> None:
        """Start, stop or discard, as the journal wants it; one after the other for each hop."""
        async with self._locks[hash(hop_id) % LOCK_STRIPES]:
            held = self._journal.hop(hop_id)
            if held and self._is_under_way(held):
                self._attempts[hop_id][0].repeat_state()
                return
            await self._stop(hop_id)
            held = self._journal.hop(hop_id)  # it may have come to its end while it was being stopped
            if held and not held.end:
                await self._apply_desired_state(held)

    def records(self) -> tuple[AgentHop, ...]:
        """What to tell the cloud at a connect. A hop whose end waits to be sent counts as running: the cloud
        would otherwise order it again."""
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
        """How many move now; those that wait for their turn do not count."""
        return sum(attempt.moving for attempt, _ in self._attempts.values())

    def _is_under_way(self, held: HopRecord) -> bool:
        found = self._attempts.get(held.hop_id)
        return bool(
            found and held.desired_state == "run" and found[0].order.attempt == held.attempt and not held.end
        )

    async def _apply_desired_state(self, held: HopRecord) -> None:
        if held.desired_state == "run":
            self._start(held)
        elif held.desired_state == "cancel":
            await self._discard(held)
        elif not held.paused:
            with self._journal.change():
                self._journal.save_hop(replace(held, paused=True))
                self._desk.enqueue_for_hop(Paused(**head(held.move), progress=held.progress))
            log.info("hop paused", extra={"hop_id": held.hop_id, "attempt": held.attempt})

    def _start(self, held: HopRecord) -> None:
        attempt = Attempt(held, self._journal, self._desk, self._movers, self._turns, self._pace)
        task = self._spawn(attempt.run())
        self._attempts[held.hop_id] = (attempt, task)
        task.add_done_callback(lambda done: self._on_done(held.hop_id, done))

    def _on_done(self, hop_id: str, task: asyncio.Task[None]) -> None:
        found = self._attempts.get(hop_id)
        if found and found[1] is task:
            del self._attempts[hop_id]

    async def _stop(self, hop_id: str) -> None:
        """Wait until nothing of the hop moves any more, and keep how far it came."""
        found = self._attempts.pop(hop_id, None)
        if not found:
            return
        attempt, task = found
        task.cancel()
        await asyncio.wait([task])
        held = self._journal.hop(hop_id)
        if held and not held.end:
            self._journal.save_hop(replace(held, progress=attempt.progress()))

    def _break_off(self, held: HopRecord, error: Exception) -> None:
        end = Failed(**head(held.move), progress=held.progress, problem=unforeseen(error))
        with self._journal.change():
            self._journal.save_hop(replace(held, end=end))
            self._desk.enqueue_for_hop(end)

    async def _discard(self, held: HopRecord) -> None:
        try:
            await self._movers(held.move).discard(held.move)
        except (HopError, OSError) as error:
            log.warning("half-done files may be left", extra={"hop_id": held.hop_id, "reason": str(error)})
        except Exception:  # the hop is canceled all the same
            log.exception("half-done files may be left", extra={"hop_id": held.hop_id})
        end = Cancelled(**head(held.move), progress=held.progress)
        with self._journal.change():
            self._journal.save_hop(replace(held, end=end))
            self._desk.enqueue_for_hop(end)
        log.info("hop cancelled", extra={"hop_id": held.hop_id, "attempt": held.attempt})
