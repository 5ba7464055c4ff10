"""What each thread that fetches has in its hands: a connection to the source, and the destination."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Event, Lock

from agent.errors import shown
from agent.listing import Entry, Meant
from agent.movers.base import Tally
from agent.movers.comparing import Comparing
from agent.movers.failures import Failures
from agent.movers.landing import Landing
from agent.movers.ledger import Ledger
from agent.movers.limiter import Limiter
from agent.movers.source import LostError, Reader, Source
from agent.movers.stride import Stride
from agent.movers.work import Work
from agent.roots import is_below
from events.base import Problem

TRIES = 3
"""How often something is asked for whose digest is wrong or whose connection broke, and a file that changes
while it is read."""
BREATH = 0.2
"""Seconds after a break before it is tried again; then twice that."""


class StoppedError(Exception):
    """The hop was paused or cancelled."""


@dataclass(frozen=True)
class Bench:
    """What the threads of a pass share."""

    source: Source
    meant: Meant
    ledger: Ledger
    tally: Tally
    work: Work
    failures: Failures
    limiter: Limiter
    stride: Stride
    comparing: Callable[[Landing], Comparing]
    """One for each thread."""
    one_lands: Lock
    """Whoever puts small files in place has it: two at once would only take the interpreter from each other,
    and from those who receive."""
    stopped: Event
    opened: Callable[[], Reader]
    """Another connection that a stop will interrupt; LostError."""
    closed: Callable[[Reader], None]


class Hand:
    """One thread's."""

    def __init__(self, bench: Bench, landing: Landing) -> None:
        self.bench = bench
        self.landing = landing
        self.comparing = bench.comparing(landing)
        self._reader: Reader | None = None

    def close(self) -> None:
        self.comparing.close()
        self._hang_up()

    def connected(self) -> Reader:
        if self._reader is None:
            self._reader = self.bench.opened()
        return self._reader

    def go_on(self) -> None:
        """StoppedError if it is over."""
        if self.bench.stopped.is_set():
            raise StoppedError

    def tried(self, ask: Callable[[], None]) -> None:
        """Ask over another connection if this one breaks, and for less at once. LostError."""
        for failed in range(1, TRIES + 1):
            began = time.monotonic()
            try:
                ask()
            except LostError:
                self.bench.stride.broke()
                self._hang_up()
                if failed == TRIES or self.bench.stopped.wait(BREATH * failed):
                    raise
            else:
                return self.bench.stride.came(time.monotonic() - began)
        return None

    def again(self, entry: Entry, tries: int, problem: Problem) -> None:
        """A file that changed, or came damaged, is looked up anew; then it has failed."""
        if problem.code not in {"source-changed", _DAMAGED} or tries + 1 >= TRIES:
            self.bench.failures.add(problem, entry)
            return
        again = replace(self.bench.meant, selection=(entry.path,) if entry.path else None)
        for fresh in self.bench.source.entries(again):
            if fresh.path == entry.path:
                self.bench.tally.resized(fresh.size - entry.size)
            if not entry.path or is_below(fresh.path, entry.path):  # it may have become a directory
                self.comparing.consider(fresh, tries + 1)

    def _hang_up(self) -> None:
        if self._reader:
            self.bench.closed(self._reader)
            self._reader = None


_DAMAGED = "arrived-damaged"


def damaged(path: str) -> Problem:
    return Problem(
        code=_DAMAGED,
        message=f"{shown(path)} arrived with another digest than it left with, {TRIES} times.",
        advice="Nothing of it was kept. Have the memory of both hosts checked.",
        path=shown(path),
        retryable=True,
    )
