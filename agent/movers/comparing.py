"""What is to become of each thing that the source has, seen against what stands at the destination."""

from agent.errors import HopError, is_fatal, problem_of, shown
from agent.listing import Entry
from agent.movers.base import Tally
from agent.movers.failures import Failures
from agent.movers.landing import Landing, Verdict
from agent.movers.ledger import Ledger
from agent.movers.rehearsal import Rehearsal
from agent.movers.room import Room
from agent.movers.source import FileError
from agent.movers.work import Work
from events.base import Problem

AT_ONCE = 500
"""Entries that go into the ledger together."""


class Comparing:
    """Directories and links are put in place at once, files are planned. For one thread; then `close`."""

    def __init__(
        self,
        landing: Landing,
        ledger: Ledger,
        work: Work,
        tally: Tally,
        failures: Failures,
        room: Room,
        rehearsal: Rehearsal | None = None,
    ) -> None:
        """With a `rehearsal`, it is told what would be done, and nothing is."""
        self._landing = landing
        self._ledger = ledger
        self._work = work
        self._tally = tally
        self._failures = failures
        self._room = room
        self._rehearsal = rehearsal
        self._unchanged: list[Entry] = []
        self._left: list[Entry] = []

    def close(self) -> None:
        self._ledger.unchanged(self._unchanged)
        self._ledger.fate(self._left, "left")
        self._unchanged, self._left = [], []

    def consider(self, entry: Entry, tries: int = 0) -> None:
        """`tries`: how often the file has changed while it was read. HopError if nothing more can arrive."""
        try:
            match entry.kind:
                case "!":
                    self._failures.add(entry.problem or self._unnamed(entry), entry)
                case "d":
                    self._folder(entry)
                case "l" | "f":
                    self.settle(entry, self._landing.judge(entry), tries, waits=not tries)
        except FileError as error:
            self._failures.add(error.problem, entry)
            self._landing.disown(entry)
        except OSError as error:
            self._failures.add(self.problem(entry, error), entry)
            self._landing.disown(entry)

    def checked(self, entry: Entry, digest: bytes, *, is_same: bool) -> None:
        """A file of the same size was compared by its digest, the source's. FileError, OSError."""
        is_ours = self._ledger.known(entry) == "done"
        if is_ours and not is_same:
            self._ledger.drop(entry.path)
        if self._rehearsal or not is_same:
            self.settle(entry, "same" if is_same else self._landing.overwritten(entry), waits=False)
            return
        self._landing.dress(entry)
        if is_ours:
            self._ledger.done(entry, digest)
        self.settle(entry, "ours" if is_ours else "same", waits=False)

    def settle(self, entry: Entry, verdict: Verdict, tries: int = 0, *, waits: bool = True) -> None:
        """Do what follows from the verdict on a file or link. `waits`: until there is need of more work."""
        if verdict == "unsure":
            self._work.check(entry, waits=waits)
            return
        if verdict in {"new", "differs"} and entry.kind == "f" and not (entry.target or tries):
            self._room.wants(self._landing.needs(entry, verdict))
        if self._rehearsal:
            self._rehearsal.note(entry, verdict)
        elif verdict == "ours":
            self._tally.stood(entry.size)
            self._tally.finished(entry.path)
        elif verdict in {"same", "kept"}:
            if verdict == "same":
                self._landing.own(entry)
            self._stays(entry, verdict)
        elif entry.kind == "l":
            self._landing.link(entry)
            self._tally.finished(entry.path)
        elif entry.target:  # its bytes come under the other name
            self._ledger.name(entry)
        else:
            self._work.add(entry, tries, waits=waits)

    def problem(self, entry: Entry, error: OSError) -> Problem:
        """Why this could not be written; HopError if nothing else could be either."""
        problem = problem_of(error, self._landing.name(entry.path))
        if is_fatal(error):
            raise HopError(problem) from error
        return problem

    def _folder(self, entry: Entry) -> None:
        if self._rehearsal:
            self._landing.may_be_folder(entry)
        else:
            self._landing.folder(entry)

    def _stays(self, entry: Entry, verdict: Verdict) -> None:
        self._tally.unchanged(entry.size)
        (self._unchanged if verdict == "same" else self._left).append(entry)
        if len(self._unchanged) + len(self._left) >= AT_ONCE:
            self.close()

    def _unnamed(self, entry: Entry) -> Problem:
        name = shown(self._landing.name(entry.path))
        return Problem(code="unreadable", message=f"{name} cannot be moved.", path=name)
