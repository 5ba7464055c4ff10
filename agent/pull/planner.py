"""Plan what to do with each entry of the source, by comparing it with the destination."""

from dataclasses import dataclass

from agent.errors import HopError, is_fatal
from agent.files.digests import MAX_COMPARED_RANGES, MAX_FILE_RANGES, MAX_PACK_FILES, range_count
from agent.files.listing import FileEntry
from agent.problems import DESTINATION_EXISTS, LONGER_THAN_TRANSFERRED, RESERVED_NAME, UNREADABLE
from agent.pull.comparison import Comparison
from agent.pull.destination import Destination
from agent.pull.dry_run import DryRunReport
from agent.pull.failures import Failures
from agent.pull.free_space import SpaceCheck
from agent.pull.job_queue import JobQueue
from agent.pull.ledger import Ledger
from agent.pull.progress import ProgressCounter
from agent.pull.source import FileError
from events.base import Problem

LEDGER_BATCH_SIZE = 500
"""Entries per ledger transaction."""
_MAX_CHECKED_RANGES = MAX_COMPARED_RANGES - MAX_PACK_FILES
"""Ranges of one file that is compared by digest: the small ones of its request have at most as many as a
pack has files."""


@dataclass(frozen=True)
class PlannerContext:
    """What the planners of a pass share."""

    ledger: Ledger
    jobs: JobQueue
    progress: ProgressCounter
    failures: Failures
    space: SpaceCheck
    dry_run: DryRunReport | None = None
    """If given, planners only report what would be done."""


class Planner:
    """Creates directories and links, and adds files to the job queue. For one thread; then `close`."""

    def __init__(self, context: PlannerContext, destination: Destination) -> None:
        self._destination = destination
        self._comparer = destination.comparer
        self._ledger = context.ledger
        self._jobs = context.jobs
        self._progress = context.progress
        self._failures = context.failures
        self._space = context.space
        self._dry_run = context.dry_run
        self._unchanged: list[FileEntry] = []
        self._skipped: list[FileEntry] = []

    def close(self) -> None:
        self._ledger.outcomes.record_unchanged(self._unchanged)
        self._ledger.outcomes.record(self._skipped, "left")
        self._unchanged, self._skipped = [], []

    def plan(self, entry: FileEntry, tries: int = 0) -> None:
        """Plan one entry; `tries` is how often the file has changed while it was read.

        Raises HopError if the destination accepts no more files.
        """
        if not tries:
            self._note_losses(entry)
        try:
            match entry.kind:
                case "!" if entry.problem and entry.problem.code == RESERVED_NAME.code:
                    self._ledger.outcomes.record([entry], "left", entry.problem)
                case "!":
                    self._failures.add_problem(entry.problem or self._unreadable(entry), entry)
                case "d":
                    self._plan_directory(entry)
                case "l" | "f":
                    self.apply(entry, self._comparer.compare(entry), tries, block=not tries)
        except FileError as error:
            self._failures.add_problem(error.problem, entry)
            self._destination.invalidate(entry)
        except OSError as error:
            self._failures.add_problem(self.write_problem(entry, error), entry)
            self._destination.invalidate(entry)

    def _note_losses(self, entry: FileEntry) -> None:
        """Count and record what of an entry will not be kept."""
        if lost := self._destination.losses(entry):
            self._progress.add_lost(lost)
            self._ledger.outcomes.record_lost(entry.path, lost)

    def apply_checksum(self, entry: FileEntry, digest: bytes, *, is_same: bool) -> None:
        """Apply the result of a checksum job; `digest` is the source's. Raises FileError, OSError."""
        is_own = self._ledger.known(entry) == "done"
        if is_own and not is_same:
            self._ledger.forget_file(entry.path)
        if self._dry_run or not is_same:
            comparison = Comparison.IDENTICAL if is_same else self._comparer.resolve_conflict(entry)
            self.apply(entry, comparison, block=False)
            return
        self._destination.apply_metadata(entry)
        if is_own:
            self._ledger.complete(entry, digest)
        self.apply(entry, Comparison.ALREADY_SENT if is_own else Comparison.IDENTICAL, block=False)

    def apply(self, entry: FileEntry, comparison: Comparison, tries: int = 0, *, block: bool = True) -> None:
        """Do what follows from the comparison of a file or link. `block`: wait while the queue is full.

        Raises FileError if the comparison refuses it, OSError if it cannot be written.
        """
        is_compared = comparison is Comparison.NEEDS_CHECKSUM
        self._require_length(entry, _MAX_CHECKED_RANGES if is_compared else MAX_FILE_RANGES)
        if comparison is Comparison.REFUSED:
            raise FileError(DESTINATION_EXISTS.problem(path=self._destination.name(entry.path)))
        if is_compared:
            self._jobs.add_check(entry, block=block)
            return
        is_sent = comparison is Comparison.MISSING or comparison is Comparison.DIFFERENT
        if is_sent and entry.kind == "f" and not (entry.target or tries):
            self._space.reserve(self._destination.bytes_needed(entry, comparison))
        if self._dry_run:
            self._dry_run.note(entry, comparison)
        elif comparison is Comparison.ALREADY_SENT:
            self._progress.add_existing_file(entry.path, entry.size)
        elif not is_sent:
            if comparison is Comparison.IDENTICAL:
                self._destination.apply_owner(entry)
            self._keep(entry, comparison)
        elif entry.kind == "l":
            self._destination.link(entry)
            self._progress.finish_file(entry.path)
        elif entry.target:  # a hard link: its bytes are fetched under the other name
            self._ledger.add_name(entry)
        else:
            self._jobs.add(entry, tries, block=block)

    def _require_length(self, entry: FileEntry, max_ranges: int) -> None:
        """Raise FileError if a file has more ranges than can be transferred, or compared."""
        if range_count(entry.size) > max_ranges:
            raise FileError(LONGER_THAN_TRANSFERRED.problem(path=self._destination.name(entry.path)))

    def write_problem(self, entry: FileEntry, error: OSError) -> Problem:
        """Return the problem of a failed write; raise HopError if it affects every other file, too."""
        problem = self._destination.entry_problem(error, entry.path)
        if is_fatal(error):
            raise HopError(problem) from error
        return problem

    def _plan_directory(self, entry: FileEntry) -> None:
        if self._dry_run:
            self._comparer.check_directory(entry)
        else:
            self._destination.make_directory(entry)

    def _keep(self, entry: FileEntry, comparison: Comparison) -> None:
        self._progress.add_unchanged(entry.size)
        (self._unchanged if comparison is Comparison.IDENTICAL else self._skipped).append(entry)
        if len(self._unchanged) + len(self._skipped) >= LEDGER_BATCH_SIZE:
            self.close()

    def _unreadable(self, entry: FileEntry) -> Problem:
        return UNREADABLE.problem(path=self._destination.name(entry.path))
