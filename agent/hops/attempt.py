"""One attempt of one hop, from waiting for its turn to its result."""

import asyncio
import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypedDict

from agent.backoff import Backoff
from agent.errors import HopError, unforeseen
from agent.hops.journal import Journal
from agent.hops.priority_semaphore import PrioritySemaphore
from agent.hops.record import End, HopRecord
from agent.hops.report_outbox import ReportOutbox, now
from agent.pull.mover import HopResult, Mover
from agent.pull.progress import ProgressCounter
from agent.supervision import Supervisor
from events.base import Problem
from events.commands import Move
from events.progress import Connection, Progress
from events.reports import (
    HEARTBEAT_S,
    MAX_FAILURES,
    Checkpoint,
    Failed,
    Paused,
    Started,
    Succeeded,
    Verifying,
)

log = logging.getLogger(__name__)

Movers = Callable[[Move], Mover]

_PROGRESS_BACKOFF = Backoff(first_s=1.0, max_s=10.0)
"""How long to wait before progress reporting is restarted: less than a lease lasts."""


@dataclass(frozen=True)
class AttemptIntervals:
    """Seconds between two live updates, checkpoints, heartbeats (while busy, while idle), Hellos."""

    live: float = 1.0
    checkpoint: float = 10.0
    heartbeat: float = HEARTBEAT_S
    idle_heartbeat: float = 300.0
    hello: float = 1800.0


class Head(TypedDict):
    """The fields that every report about a hop begins with."""

    transfer_id: str
    hop_id: str
    attempt: int
    seq: int
    at: datetime


def head(move: Move) -> Head:
    """Return the fields that every report about a hop begins with; the journal assigns its `seq`."""
    return {
        "transfer_id": move.transfer_id,
        "hop_id": move.hop_id,
        "attempt": move.attempt,
        "seq": 0,
        "at": now(),
    }


class Attempt:
    """Wait for a turn, move the data, and report progress; observes its own mover."""

    def __init__(
        self,
        record: HopRecord,
        journal: Journal,
        outbox: ReportOutbox,
        movers: Movers,
        semaphore: PrioritySemaphore,
        intervals: AttemptIntervals,
    ) -> None:
        self.move = record.move
        self._earlier = record.progress
        self._journal = journal
        self._outbox = outbox
        self._movers = movers
        self._semaphore = semaphore
        self._intervals = intervals
        self.counter = ProgressCounter()
        self.end: End | None = None
        """Its result; None while it has none, or if it was stopped."""
        self._connection: Connection | None = None
        self._waiting_for: Problem | None = None
        self._created_at = time.monotonic()
        self._turn_at: float | None = None
        self._is_open = True
        self._checkpoint_at = 0.0
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()

    @property
    def route(self) -> str:
        """Return the kind of its route."""
        return self.move.route.kind

    @property
    def moving(self) -> bool:
        """Return whether its turn has come."""
        return self._turn_at is not None

    @property
    def waited_s(self) -> float:
        """Return for how many seconds it has waited for its turn, so far."""
        return (self._turn_at or time.monotonic()) - self._created_at

    @property
    def moved_s(self) -> float | None:
        """Return for how many seconds it has moved data; None if its turn has not come."""
        return None if self._turn_at is None else time.monotonic() - self._turn_at

    async def execute(self) -> None:
        """Run until the hop has a result, which is reported, or until canceled, which is not."""
        name = f"progress of {self.move.hop_id}"
        reporter = asyncio.create_task(
            Supervisor(_PROGRESS_BACKOFF).supervise(name, self._report_progress), name=name
        )
        try:
            async with self._semaphore.acquired(self.move.options.priority):
                await self._move()
        finally:
            self._is_open = False
            reporter.cancel()

    def progress(self) -> Progress:
        """Return how far the hop is; until this attempt has counted anything, how far an earlier one was."""
        found = self.counter.snapshot()
        has_begun = found.bytes_total is not None or found.bytes_done or found.files_done
        return (
            found if has_begun else self._earlier.model_copy(update={"bytes_per_second": 0, "current": None})
        )

    def repeat_state(self) -> None:
        """Report the current state again: the control plane sent the same Move a second time."""
        if self._waiting_for:
            self._report_waiting(self._waiting_for)
        elif self._connection is None:
            self._outbox.enqueue_for_hop(Checkpoint(**head(self.move), progress=self.progress()))
        else:
            self._outbox.enqueue_for_hop(
                Started(**head(self.move), via=str(self._connection), connection=self._connection)
            )

    def on_start(self, connection: Connection) -> None:
        """Report that data moves over this connection. Called by the mover, on any thread."""
        self._on_loop(self._report_started, connection)

    def on_wait(self, problem: Problem) -> None:
        """Report why the hop waits. Called by the mover, on any thread."""
        self._on_loop(self._report_waiting, problem)

    def on_verify(self) -> None:
        """Report that the hop verifies what it moved. Called by the mover, on any thread."""
        self._on_loop(self._report_verifying)

    async def _move(self) -> None:
        started_at = self._turn_at = time.monotonic()
        try:
            result = await self._movers(self.move).move(self.move, self.counter, self)
        except HopError as error:
            self._fail(error.problem, tuple(error.failures), error.failures_total)
        except Exception as error:
            log.exception("hop failed unexpectedly", extra={"hop_id": self.move.hop_id})
            self._fail(unforeseen(error))
        else:
            try:
                self._succeed(result, time.monotonic() - started_at)
            except sqlite3.Error:  # the journal itself is at fault
                raise
            except Exception as error:  # it would fail again after every start
                log.exception("result of a hop cannot be reported", extra={"hop_id": self.move.hop_id})
                self._fail(unforeseen(error))

    def _succeed(self, result: HopResult, seconds: float) -> None:
        """Report success under the attempt that the journal holds now.

        A pause or cancel may have arrived in the meantime: the bytes are at the destination all the same.
        """
        record = self._journal.hop(self.move.hop_id)
        if record is None:
            return
        end = Succeeded(
            **head(record.move),
            progress=self.counter.snapshot(),
            digest=result.digest,
            seconds=seconds,
            preview=result.preview,
        )
        self._end(record, end)

    def _fail(self, problem: Problem, failures: tuple[Problem, ...] = (), failures_total: int = 0) -> None:
        """Report failure, unless the desired state has changed: then `HopManager.reconcile` decides."""
        record = self._journal.hop(self.move.hop_id)
        if record is None or record.desired_state != "run" or record.attempt != self.move.attempt:
            return
        end = Failed(
            **head(record.move),
            progress=self.progress(),
            problem=problem,
            failures=failures[:MAX_FAILURES],
            failures_total=max(failures_total, len(failures)),
        )
        self._end(record, end)

    def _end(self, record: HopRecord, end: End) -> None:
        self._is_open = False
        self.end = end
        with self._journal.change():
            self._journal.save_hop(replace(record, end=end))
            self._outbox.enqueue_for_hop(end)
        facts = {"hop_id": record.hop_id, "attempt": record.attempt, "bytes": end.progress.bytes_done}
        if isinstance(end, Failed):
            why = {"code": end.problem.code, "reason": end.problem.message}
            log.warning("hop failed", extra=facts | why)
        else:
            log.info("hop succeeded", extra=facts)

    def _report_waiting(self, problem: Problem) -> None:
        if self._is_open:
            self._waiting_for = problem
            self._outbox.enqueue_for_hop(Paused(**head(self.move), progress=self.progress(), problem=problem))

    def _report_started(self, connection: Connection) -> None:
        if self._is_open:
            self._connection, self._waiting_for = connection, None
            self._outbox.enqueue_for_hop(
                Started(**head(self.move), via=str(connection), connection=connection)
            )
            log.info("hop started", extra={"hop_id": self.move.hop_id, "via": str(connection)})

    def _report_verifying(self) -> None:
        if self._is_open:
            self._outbox.enqueue_for_hop(Verifying(**head(self.move), progress=self.progress()))

    def _on_loop(self, callback: Callable[..., None], *args: object) -> None:
        if threading.get_ident() == self._thread:
            callback(*args)
        else:
            self._loop.call_soon_threadsafe(callback, *args)

    async def _report_progress(self) -> None:
        """Publish live progress while it changes and is watched; enqueue a checkpoint at each interval.

        Checkpoints are also sent while the hop waits for its turn: without them its lease would expire. That
        is why this task is supervised.
        """
        published = None
        checkpoint_due = self._checkpoint_at = (
            self._checkpoint_at or time.monotonic() + self._intervals.checkpoint
        )
        while True:
            await asyncio.sleep(self._intervals.live)
            progress = self.progress()
            if progress != published and await self._outbox.publish_live(self.move, progress):
                published = progress
            if time.monotonic() >= checkpoint_due:
                checkpoint_due = self._checkpoint_at = time.monotonic() + self._intervals.checkpoint
                if not self._waiting_for:  # then no lease runs
                    self._outbox.enqueue_for_hop(Checkpoint(**head(self.move), progress=progress))
