"""The failures of single files of a hop."""

import threading

from agent.errors import HopError
from agent.files.listing import FileEntry
from agent.problems import FILES_FAILED, FILES_FAILED_WITH_ADVICE
from agent.pull.dry_run import DryRunReport
from agent.pull.ledger import Ledger
from events.base import Problem
from events.reports import MAX_FAILURES

MAX_KNOWN = 200_000
"""Failed files that are remembered, so that none counts twice: at most 15 MB."""


class Failures:
    """Files that failed: how many, and the first problems. Thread-safe."""

    def __init__(self, ledger: Ledger, dry_run: DryRunReport | None = None) -> None:
        """Record every failure in the ledger too, and in the report of a dry run."""
        self._ledger = ledger
        self._dry_run = dry_run
        self._lock = threading.Lock()
        self._known: set[int] = set()
        """Hashes of the paths that failed."""
        self.total = 0
        self._examples: list[Problem] = []

    def add_problem(self, problem: Problem, entry: FileEntry) -> None:
        """Count a file as failed. Its first problem is kept: further ones are consequences."""
        if self._is_known(entry):
            return
        self._ledger.outcomes.record([entry], "failed", problem)
        if self._dry_run:
            self._dry_run.failed(entry, problem)
        with self._lock:
            self.total += 1
            if len(self._examples) < MAX_FAILURES:
                self._examples.append(problem)

    def _is_known(self, entry: FileEntry) -> bool:
        with self._lock:
            known, key = self._known, hash(entry.path)
            if key in known:
                return True
            if len(known) < MAX_KNOWN:
                known.add(key)
            return False

    def added_to(self, error: HopError) -> HopError:
        """Return an error that ends the hop for another reason, with the files that had failed before."""
        if error.failures_total or not self.total:
            return error
        return HopError(error.problem, self._examples, self.total)

    def to_error(self, completed: int) -> HopError:
        """Return the error that ends the hop: the only problem, or a summary; `completed` is a count."""
        first = self._examples[0]
        if self.total == 1 and not completed:
            return HopError(first, self._examples, 1)
        kind = FILES_FAILED_WITH_ADVICE if first.advice else FILES_FAILED
        problem = kind.problem(
            path=first.path,
            retryable=any(problem.retryable for problem in self._examples),
            failed=self.total,
            total=self.total + completed,
            first=first.message,
            advice=first.advice,
        )
        return HopError(problem, self._examples, self.total)
