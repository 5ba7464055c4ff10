"""One attempt of one hop, from its place in line to its end."""

import asyncio
import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypedDict

from agent.errors import HopError, unforeseen
from agent.hops.journal import Journal
from agent.hops.priority_semaphore import PrioritySemaphore
from agent.hops.record import End, HopRecord
from agent.hops.report_outbox import ReportOutbox, now
from agent.pull.mover import HopResult, Mover
from agent.pull.progress import ProgressCounter
from agent.supervision import Backoff, Supervisor
from events.base import Problem
from events.commands import Move
from events.progress import Connection, Progress
from events.reports import MAX_FAILURES, Checkpoint, Failed, Paused, Started, Succeeded, Verifying

log = logging.getLogger(__name__)

Movers = Callable[[Move], Mover]

_RETELL = Backoff(first_s=1.0, max_s=10.0)
"""A lease lasts longer than that."""


@dataclass(frozen=True)
class AttemptIntervals:
    """Seconds between two of a kind."""

    live: float = 1.0
    checkpoint: float = 10.0
    heartbeat: float = 30.0


class Head(TypedDict):
    transfer_id: str
    hop_id: str
    attempt: int
    seq: int
    at: datetime


def head(order: Move) -> Head:
    """The fields every report about a hop begins with; the journal gives it its `seq`."""
    return {
        "transfer_id": order.transfer_id,
        "hop_id": order.hop_id,
        "attempt": order.attempt,
        "seq": 0,
        "at": now(),
    }


class Attempt:
    """Waits for its turn, moves, and tells how far it is; its own watcher."""

    def __init__(
        self,
        held: HopRecord,
        journal: Journal,
        desk: ReportOutbox,
        movers: Movers,
        turns: PrioritySemaphore,
        pace: AttemptIntervals,
    ) -> None:
        self.order = held.move
        self._earlier = held.progress
        self._journal = journal
        self._desk = desk
        self._movers = movers
        self._turns = turns
        self._pace = pace
        self._tally = ProgressCounter()
        self._way: Connection | None = None
        self._waits_for: Problem | None = None
        self.moving = False
        """Has its turn come?"""
        self._open = True
        self._checkpoint_at = 0.0
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()

    async def run(self) -> None:
        """Ends in a report, or in nothing when it is cancelled."""
        name = f"progress of {self.order.hop_id}"
        teller = asyncio.create_task(Supervisor(_RETELL).run(name, self._tell), name=name)
        try:
            async with self._turns.acquired(self.order.options.priority):
                await self._move()
        finally:
            self._open = False
            teller.cancel()

    def progress(self) -> Progress:
        """How far the hop is; what an earlier attempt said until this one knows better."""
        found = self._tally.progress()
        begun = found.bytes_total is not None or found.bytes_done or found.files_done
        return found if begun else self._earlier.model_copy(update={"bytes_per_second": 0, "current": None})

    def repeat_state(self) -> None:
        """The same Move came again: whoever sent it has not heard that we began."""
        if self._waits_for:
            self._say_waiting(self._waits_for)
        elif self._way is None:
            self._desk.enqueue_for_hop(Checkpoint(**head(self.order), progress=self.progress()))
        else:
            self._desk.enqueue_for_hop(Started(**head(self.order), via=str(self._way), connection=self._way))

    def on_start(self, way: Connection) -> None:
        """From the mover, on any thread."""
        self._on_loop(self._say_started, way)

    def on_wait(self, problem: Problem) -> None:
        """From the mover, on any thread."""
        self._on_loop(self._say_waiting, problem)

    def on_verify(self) -> None:
        """From the mover, on any thread."""
        self._on_loop(self._say_verifying)

    async def _move(self) -> None:
        begun, self.moving = time.monotonic(), True
        try:
            outcome = await self._movers(self.order).move(self.order, self._tally, self)
        except HopError as error:
            self._fail(error.problem, tuple(error.failures), error.failures_total)
        except Exception as error:
            log.exception("hop broke", extra={"hop_id": self.order.hop_id})
            self._fail(unforeseen(error))
        else:
            try:
                self._succeed(outcome, time.monotonic() - begun)
            except sqlite3.Error:  # the journal's: the core's
                raise
            except Exception as error:  # it would break again after every start
                log.exception("end of a hop cannot be told", extra={"hop_id": self.order.hop_id})
                self._fail(unforeseen(error))

    def _succeed(self, outcome: HopResult, seconds: float) -> None:
        """Under whatever attempt the journal holds by now, and though a pause or cancel was on its way:
        the bytes are there."""
        held = self._journal.hop(self.order.hop_id)
        if held is None:
            return
        end = Succeeded(
            **head(held.move),
            progress=self._tally.progress(),
            digest=outcome.digest,
            seconds=seconds,
            preview=outcome.preview,
        )
        self._end(held, end)

    def _fail(self, problem: Problem, failures: tuple[Problem, ...] = (), failures_total: int = 0) -> None:
        """Unless something else is wanted by now: then `settle` is on its way and decides."""
        held = self._journal.hop(self.order.hop_id)
        if held is None or held.desired_state != "run" or held.attempt != self.order.attempt:
            return
        end = Failed(
            **head(held.move),
            progress=self.progress(),
            problem=problem,
            failures=failures[:MAX_FAILURES],
            failures_total=max(failures_total, len(failures)),
        )
        self._end(held, end)

    def _end(self, held: HopRecord, end: End) -> None:
        self._open = False
        with self._journal.change():
            self._journal.save_hop(replace(held, end=end))
            self._desk.enqueue_for_hop(end)
        facts = {"hop_id": held.hop_id, "attempt": held.attempt, "bytes": end.progress.bytes_done}
        if isinstance(end, Failed):
            why = {"code": end.problem.code, "reason": end.problem.message}
            log.warning("hop failed", extra=facts | why)
        else:
            log.info("hop succeeded", extra=facts)

    def _say_waiting(self, problem: Problem) -> None:
        if self._open:
            self._waits_for = problem
            self._desk.enqueue_for_hop(Paused(**head(self.order), progress=self.progress(), problem=problem))

    def _say_started(self, way: Connection) -> None:
        if self._open:
            self._way, self._waits_for = way, None
            self._desk.enqueue_for_hop(Started(**head(self.order), via=str(way), connection=way))
            log.info("hop started", extra={"hop_id": self.order.hop_id, "via": str(way)})

    def _say_verifying(self) -> None:
        if self._open:
            self._desk.enqueue_for_hop(Verifying(**head(self.order), progress=self.progress()))

    def _on_loop(self, act: Callable[..., None], *args: object) -> None:
        if threading.get_ident() == self._thread:
            act(*args)
        else:
            self._loop.call_soon_threadsafe(act, *args)

    async def _tell(self) -> None:
        """Live progress while it changes; a checkpoint now and then, also while waiting for a turn, so that
        the cloud knows the hop is held. Supervised: without it the hop's lease would lapse while it runs."""
        shown = None
        due = self._checkpoint_at = self._checkpoint_at or time.monotonic() + self._pace.checkpoint
        while True:
            await asyncio.sleep(self._pace.live)
            progress = self.progress()
            if progress != shown:
                await self._desk.publish_live(self.order, progress)
                shown = progress
            if time.monotonic() >= due:
                due = self._checkpoint_at = time.monotonic() + self._pace.checkpoint
                if not self._waits_for:  # then no lease runs
                    self._desk.enqueue_for_hop(Checkpoint(**head(self.order), progress=progress))
