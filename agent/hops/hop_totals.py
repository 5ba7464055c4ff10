"""Count what the hops of this agent have moved since it started, for its metrics."""

from collections.abc import Iterator
from typing import Protocol

from agent.hops.record import End
from agent.metrics.families import Counter, Family, Histogram
from agent.pull.progress import ProgressCounter
from events.reports import Failed

DURATION_BOUNDS_S = (1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 24 * 3600)
"""Upper bounds of the buckets of durations, in seconds."""


class CountedAttempt(Protocol):
    """An attempt, as far as it is counted."""

    @property
    def route(self) -> str:
        """Kind of its route."""

    @property
    def counter(self) -> ProgressCounter: ...

    @property
    def end(self) -> End | None:
        """Its result; None while it has none, or if it was stopped."""

    @property
    def waited_s(self) -> float:
        """Seconds for which it has waited for its turn, so far."""

    @property
    def moved_s(self) -> float | None:
        """Seconds since its turn came, until it ended; None if that has not come."""


class HopTotals:
    """Sums over the attempts of one agent, those that run included. Use it on the event loop."""

    def __init__(self) -> None:
        self._running: set[CountedAttempt] = set()
        self._bytes = Counter("route")
        self._files = Counter("route")
        self._ended = Counter("route", "outcome")
        self._failures = Counter("code")
        self._waited = Histogram(*DURATION_BOUNDS_S)
        self._moved = Histogram(*DURATION_BOUNDS_S)

    def begin(self, attempt: CountedAttempt) -> None:
        """Count an attempt as running."""
        self._running.add(attempt)

    def finish(self, attempt: CountedAttempt) -> None:
        """Count an attempt whose task has ended, whatever came of it."""
        self._running.discard(attempt)
        self._bytes.add(attempt.counter.bytes_moved, attempt.route)
        self._files.add(attempt.counter.files_moved, attempt.route)
        self._waited.observe(attempt.waited_s)
        if attempt.end:
            self.count_end(attempt.route, attempt.end)
        if attempt.moved_s is not None:
            self._moved.observe(attempt.moved_s)

    def count_end(self, route: str, end: End) -> None:
        """Count the result of an attempt."""
        self._ended.add(1, route, end.kind)
        if isinstance(end, Failed):
            self._failures.add(1, end.problem.code)

    def oldest_wait_s(self) -> float:
        """Return for how many seconds the hop that waits longest has waited for its turn; 0 if none waits."""
        waiting = (attempt.waited_s for attempt in self._running if attempt.moved_s is None)
        return max(waiting, default=0.0)

    @property
    def waiting(self) -> int:
        """Return how many hops wait for their turn."""
        return sum(attempt.moved_s is None for attempt in self._running)

    def families(self) -> Iterator[Family]:
        running = [(attempt.counter, (attempt.route,)) for attempt in self._running]
        moved_bytes = self._bytes.points((counter.bytes_moved, route) for counter, route in running)
        moved_files = self._files.points((counter.files_moved, route) for counter, route in running)
        yield Family(
            "crosshaul_moved_bytes", "counter", "Bytes that hops have received.", moved_bytes, "bytes"
        )
        yield Family("crosshaul_moved_files", "counter", "Files that hops have completed.", moved_files)
        yield Family(
            "crosshaul_hops_ended", "counter", "Attempts of hops with a result.", self._ended.points()
        )
        yield Family(
            "crosshaul_hop_failures",
            "counter",
            "Attempts of hops that have failed, by the code of the problem.",
            self._failures.points(),
        )
        yield Family(
            "crosshaul_hop_waiting_seconds",
            "histogram",
            "Time for which an attempt has waited for its turn on this agent.",
            self._waited.points(),
            "seconds",
        )
        yield Family(
            "crosshaul_hop_moving_seconds",
            "histogram",
            "Time from an attempt's turn to its end.",
            self._moved.points(),
            "seconds",
        )
