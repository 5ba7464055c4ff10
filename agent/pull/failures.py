"""What did not arrive of a hop, file by file."""

import threading

from agent.errors import HopError
from agent.files.listing import FileEntry
from agent.pull.dry_run import DryRunReport
from agent.pull.ledger import Ledger
from events.base import Problem
from events.reports import MAX_FAILURES


class Failures:
    """Single files that failed; added to from any thread."""

    def __init__(self, ledger: Ledger, rehearsal: DryRunReport | None = None) -> None:
        """All of them go into the ledger, and into a dry run's findings."""
        self._ledger = ledger
        self._rehearsal = rehearsal
        self._lock = threading.Lock()
        self.total = 0
        self._first: list[Problem] = []

    def add(self, problem: Problem, entry: FileEntry) -> None:
        self._ledger.outcome([entry], "failed", problem.message)
        if self._rehearsal:
            self._rehearsal.failed(entry, problem)
        with self._lock:
            self.total += 1
            if len(self._first) < MAX_FAILURES:
                self._first.append(problem)

    def summed(self, arrived: int) -> HopError:
        """The hop's end: the one problem there was, or how many there were. `arrived`: files that did."""
        first = self._first[0]
        if self.total == 1 and not arrived:
            return HopError(first, self._first, 1)
        problem = Problem(
            code="files-failed",
            message=f"{self.total} did not arrive, {arrived} did. The first: {first.message}",
            advice=first.advice or "See what is wrong with each, then retry: only these are sent again.",
            path=first.path,
            retryable=any(one.retryable for one in self._first),
        )
        return HopError(problem, self._first, self.total)
