"""What is to become of each thing that the source has, seen against what stands at the destination."""

from agent.errors import HopError, display_path, is_fatal, problem_of
from agent.files.listing import FileEntry
from agent.pull.destination import Comparison, Destination
from agent.pull.dry_run import DryRunReport
from agent.pull.failures import Failures
from agent.pull.free_space import SpaceCheck
from agent.pull.job_queue import JobQueue
from agent.pull.ledger import Ledger
from agent.pull.progress import ProgressCounter
from agent.pull.source import FileError
from events.base import Problem

LEDGER_BATCH_SIZE = 500
"""Entries that go into the ledger together."""


class Planner:
    """Directories and links are put in place at once, files are planned. For one thread; then `close`."""

    def __init__(
        self,
        landing: Destination,
        ledger: Ledger,
        work: JobQueue,
        tally: ProgressCounter,
        failures: Failures,
        room: SpaceCheck,
        rehearsal: DryRunReport | None = None,
    ) -> None:
        """With a `rehearsal`, it is told what would be done, and nothing is."""
        self._landing = landing
        self._ledger = ledger
        self._work = work
        self._tally = tally
        self._failures = failures
        self._room = room
        self._rehearsal = rehearsal
        self._unchanged: list[FileEntry] = []
        self._left: list[FileEntry] = []

    def close(self) -> None:
        self._ledger.add_unchanged(self._unchanged)
        self._ledger.outcome(self._left, "left")
        self._unchanged, self._left = [], []

    def plan(self, entry: FileEntry, tries: int = 0) -> None:
        """`tries`: how often the file has changed while it was read. HopError if nothing more can arrive."""
        try:
            match entry.kind:
                case "!":
                    self._failures.add(entry.problem or self._unnamed(entry), entry)
                case "d":
                    self._folder(entry)
                case "l" | "f":
                    self.apply(entry, self._landing.compare(entry), tries, waits=not tries)
        except FileError as error:
            self._failures.add(error.problem, entry)
            self._landing.disown(entry)
        except OSError as error:
            self._failures.add(self.problem(entry, error), entry)
            self._landing.disown(entry)

    def checked(self, entry: FileEntry, digest: bytes, *, is_same: bool) -> None:
        """A file of the same size was compared by its digest, the source's. FileError, OSError."""
        is_ours = self._ledger.known(entry) == "done"
        if is_ours and not is_same:
            self._ledger.drop(entry.path)
        if self._rehearsal or not is_same:
            self.apply(entry, "same" if is_same else self._landing.resolve_conflict(entry), waits=False)
            return
        self._landing.apply_metadata(entry)
        if is_ours:
            self._ledger.complete(entry, digest)
        self.apply(entry, "ours" if is_ours else "same", waits=False)

    def apply(self, entry: FileEntry, verdict: Comparison, tries: int = 0, *, waits: bool = True) -> None:
        """Do what follows from the verdict on a file or link. `waits`: until there is need of more work."""
        if verdict == "unsure":
            self._work.check(entry, waits=waits)
            return
        if verdict in {"new", "differs"} and entry.kind == "f" and not (entry.target or tries):
            self._room.reserve(self._landing.bytes_needed(entry, verdict))
        if self._rehearsal:
            self._rehearsal.note(entry, verdict)
        elif verdict == "ours":
            self._tally.add_existing(entry.size)
            self._tally.finish_file(entry.path)
        elif verdict in {"same", "kept"}:
            if verdict == "same":
                self._landing.apply_owner(entry)
            self._stays(entry, verdict)
        elif entry.kind == "l":
            self._landing.link(entry)
            self._tally.finish_file(entry.path)
        elif entry.target:  # its bytes come under the other name
            self._ledger.add_name(entry)
        else:
            self._work.add(entry, tries, waits=waits)

    def problem(self, entry: FileEntry, error: OSError) -> Problem:
        """Why this could not be written; HopError if nothing else could be either."""
        problem = problem_of(error, self._landing.name(entry.path))
        if is_fatal(error):
            raise HopError(problem) from error
        return problem

    def _folder(self, entry: FileEntry) -> None:
        if self._rehearsal:
            self._landing.may_be_folder(entry)
        else:
            self._landing.make_directory(entry)

    def _stays(self, entry: FileEntry, verdict: Comparison) -> None:
        self._tally.add_unchanged(entry.size)
        (self._unchanged if verdict == "same" else self._left).append(entry)
        if len(self._unchanged) + len(self._left) >= LEDGER_BATCH_SIZE:
            self.close()

    def _unnamed(self, entry: FileEntry) -> Problem:
        name = display_path(self._landing.name(entry.path))
        return Problem(code="unreadable", message=f"{name} cannot be moved.", path=name)
