"""What the workers of a pass share, and the per-worker state: one source connection and the destination."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from threading import Event, Lock

from agent.backoff import Backoff
from agent.files.listing import FileEntry, Selection
from agent.files.paths import is_below
from agent.problems import ARRIVED_DAMAGED, SOURCE_CHANGED
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
"""Attempts at a request that breaks off or arrives damaged, and at a file that keeps changing."""


class PullStoppedError(Exception):
    """The hop was paused or canceled."""


@dataclass(frozen=True)
class WorkerContext:
    """What the workers of a pass share."""

    source: Source
    selection: Selection
    ledger: Ledger
    progress: ProgressCounter
    jobs: JobQueue
    failures: Failures
    limiter: RateLimiter
    request_size: RequestSize
    make_planner: Callable[[Destination], Planner]
    """Creates the planner of one worker."""
    write_lock: Lock
    """Held while small files are written: two writers would only compete for the interpreter lock."""
    stopped: Event
    retry_backoff: Backoff
    """Before a broken request is retried."""
    open_reader: Callable[[], Reader]
    """Opens a connection that `SyncPass.stop` interrupts. Raises SourceConnectionError."""
    close_reader: Callable[[Reader], None]
    log_fields: Mapping[str, object]
    """What identifies the attempt in every line of the log."""


class WorkerConnection:
    """The state of one worker: its source connection, its destination and its planner."""

    def __init__(self, context: WorkerContext, destination: Destination) -> None:
        self.context = context
        self.destination = destination
        self.planner = context.make_planner(destination)
        self._reader: Reader | None = None

    def close(self) -> None:
        self.planner.close()
        self._disconnect()

    def reader(self) -> Reader:
        if self._reader is None:
            self._reader = self.context.open_reader()
        return self._reader

    def check_stopped(self) -> None:
        """Raise PullStoppedError if the pass was stopped."""
        if self.context.stopped.is_set():
            raise PullStoppedError

    def with_retry(self, request: Callable[[], None]) -> None:
        """Send a request; if the connection breaks, retry over a new one and with a smaller request size.

        Raises SourceConnectionError after the last attempt.
        """
        for attempt in range(1, MAX_ATTEMPTS + 1):
            started = time.monotonic()
            try:
                request()
            except SourceConnectionError:
                self.context.request_size.on_failure()
                self._disconnect()
                delay_s = self.context.retry_backoff.delay_s(attempt - 1)
                if attempt == MAX_ATTEMPTS or self.context.stopped.wait(delay_s):
                    raise
            else:
                return self.context.request_size.on_success(time.monotonic() - started)
        return None

    def requeue(self, entry: FileEntry, tries: int, problem: Problem) -> None:
        """List and plan a file again that changed or arrived damaged; after too many tries, let it fail."""
        if problem.code not in {SOURCE_CHANGED.code, ARRIVED_DAMAGED.code} or tries + 1 >= MAX_ATTEMPTS:
            self.context.failures.add_problem(problem, entry)
            return
        selection = replace(self.context.selection, paths=(entry.path,) if entry.path else None)
        for updated in self.context.source.entries(selection):
            if updated.path == entry.path:
                self.context.progress.adjust_total(updated.size - entry.size)
            if not entry.path or is_below(updated.path, entry.path):  # it may have become a directory
                self.planner.plan(updated, tries + 1)

    def _disconnect(self) -> None:
        if self._reader:
            self.context.close_reader(self._reader)
            self._reader = None
