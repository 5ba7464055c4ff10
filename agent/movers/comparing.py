"""What is to become of each thing that the source has, seen against what stands at the destination."""

from agent.errors import HopError, is_fatal, problem_of
from agent.listing import Entry
from agent.movers.base import Tally
from agent.movers.failures import Failures
from agent.movers.landing import Landing
from agent.movers.source import FileError
from agent.movers.work import Work
from events.base import Problem


class Comparing:
    """Directories and links are put in place at once, files are planned. For one thread."""

    def __init__(self, landing: Landing, work: Work, tally: Tally, failures: Failures) -> None:
        self._landing = landing
        self._work = work
        self._tally = tally
        self._failures = failures

    def consider(self, entry: Entry, tries: int = 0) -> None:
        """`tries`: how often the file has changed while it was read. HopError if nothing more can arrive."""
        try:
            match entry.kind:
                case "!":
                    self._failures.add(entry.problem or self._unnamed(entry))
                case "d":
                    self._landing.folder(entry)
                case "l" | "f":
                    self._compare(entry, tries)
        except FileError as error:
            self._failures.add(error.problem)
        except OSError as error:
            self._failures.add(self.problem(entry, error))

    def problem(self, entry: Entry, error: OSError) -> Problem:
        """Why this could not be written; HopError if nothing else could be either."""
        problem = problem_of(error, self._landing.name(entry.path))
        if is_fatal(error):
            raise HopError(problem) from error
        return problem

    def _compare(self, entry: Entry, tries: int) -> None:
        verdict = self._landing.judge(entry)
        if verdict == "ours":
            self._tally.stood(entry.size)
            self._tally.finished(entry.path)
        elif verdict in {"same", "kept"}:
            self._tally.unchanged(entry.size)
        elif entry.kind == "l":
            self._landing.link(entry)
            self._tally.finished(entry.path)
        else:
            self._work.add(entry, tries)

    def _unnamed(self, entry: Entry) -> Problem:
        name = self._landing.name(entry.path)
        return Problem(code="unreadable", message=f"{name} cannot be moved.", path=name)
