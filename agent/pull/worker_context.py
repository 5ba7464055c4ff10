"""What each thread that fetches has in its hands: a connection to the source, and the destination."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Event, Lock

from agent.errors import display_path
from agent.files.listing import FileEntry, Selection
from agent.files.roots import is_below
from agent.pull.bandwidth import RateLimiter
from agent.pull.destination import Destination
from agent.pull.failures import Failures
from agent.pull.job_queue import JobQueue
from agent.pull.ledger import Ledger
from agent.pull.planner import Planner
from agent.pull.progress import ProgressCounter
from agent.pull.request_size import RequestSize
from agent.pull.source import Reader, Source, SourceConnectionError
from events.base import Problem

MAX_ATTEMPTS = 3
"""How often something is asked for whose digest is wrong or whose connection broke, and a file that changes
while it is read."""
INITIAL_RETRY_DELAY_S = 0.2
"""Seconds after a break before it is tried again; then twice that."""


class PullStoppedError(Exception):
    """The hop was paused or cancelled."""


@dataclass(frozen=True)
class WorkerContext:
    """What the threads of a pass share."""

    source: Source
    meant: Selection
    ledger: Ledger
    tally: ProgressCounter
    work: JobQueue
    failures: Failures
    limiter: RateLimiter
    stride: RequestSize
    comparing: Callable[[Destination], Planner]
    """One for each thread."""
    one_lands: Lock
    """Whoever puts small files in place has it: two at once would only take the interpreter from each other,
    and from those who receive."""
    stopped: Event
    opened: Callable[[], Reader]
    """Another connection that a stop will interrupt; LostError."""
    closed: Callable[[Reader], None]


class WorkerConnection:
    """One thread's."""

    def __init__(self, bench: WorkerContext, landing: Destination) -> None:
        self.bench = bench
        self.landing = landing
        self.comparing = bench.comparing(landing)
        self._reader: Reader | None = None

    def close(self) -> None:
        self.comparing.close()
        self._disconnect()

    def connection(self) -> Reader:
        if self._reader is None:
            self._reader = self.bench.opened()
        return self._reader

    def check_stopped(self) -> None:
        """StoppedError if it is over."""
        if self.bench.stopped.is_set():
            raise PullStoppedError

    def with_retry(self, ask: Callable[[], None]) -> None:
        """Ask over another connection if this one breaks, and for less at once. LostError."""
        for failed in range(1, MAX_ATTEMPTS + 1):
            began = time.monotonic()
            try:
                ask()
            except SourceConnectionError:
                self.bench.stride.on_failure()
                self._disconnect()
                if failed == MAX_ATTEMPTS or self.bench.stopped.wait(INITIAL_RETRY_DELAY_S * failed):
                    raise
            else:
                return self.bench.stride.on_success(time.monotonic() - began)
        return None

    def requeue(self, entry: FileEntry, tries: int, problem: Problem) -> None:
        """A file that changed, or came damaged, is looked up anew; then it has failed."""
        if problem.code not in {"source-changed", _DAMAGED} or tries + 1 >= MAX_ATTEMPTS:
            self.bench.failures.add(problem, entry)
            return
        again = replace(self.bench.meant, selection=(entry.path,) if entry.path else None)
        for fresh in self.bench.source.entries(again):
            if fresh.path == entry.path:
                self.bench.tally.adjust_total(fresh.size - entry.size)
            if not entry.path or is_below(fresh.path, entry.path):  # it may have become a directory
                self.comparing.plan(fresh, tries + 1)

    def _disconnect(self) -> None:
        if self._reader:
            self.bench.closed(self._reader)
            self._reader = None


_DAMAGED = "arrived-damaged"


def damaged(path: str) -> Problem:
    return Problem(
        code=_DAMAGED,
        message=f"{display_path(path)} arrived with another digest than it left with, {MAX_ATTEMPTS} times.",
        advice="Nothing of it was kept. Have the memory of both hosts checked.",
        path=display_path(path),
        retryable=True,
    )
