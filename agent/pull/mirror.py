"""`delete_extra`: what the destination has and the source does not is removed."""

import errno
from collections.abc import Callable

from agent.errors import HopError, problem_of
from agent.files.listing import FileEntry, Selection, entries
from agent.files.roots import Tree
from agent.pull.dry_run import DryRunReport
from agent.pull.failures import Failures
from agent.pull.ledger import Ledger
from agent.pull.progress import ProgressCounter
from events.base import Problem

SPECIAL = "special-file"
_NOT_EMPTY = {errno.ENOTEMPTY, errno.ENOENT}


class Mirror:
    """Once everything has arrived. The ledger knows what the source has."""

    def __init__(
        self,
        tree: Tree,
        meant: Selection,
        ledger: Ledger,
        tally: ProgressCounter,
        failures: Failures,
        rehearsal: DryRunReport | None,
    ) -> None:
        self._tree = tree
        self._meant = Selection("skip" if meant.symlinks == "skip" else "keep", None, meant.filters)
        self._ledger = ledger
        self._tally = tally
        self._failures = failures
        self._rehearsal = rehearsal

    def places(self, go_on: Callable[[], None]) -> set[str]:
        """The directories from which something is to be removed, and those they are in."""
        found = set[str]()
        for entry in entries(self._tree, self._meant):
            go_on()
            if entry.kind in "!d" or self._ledger.is_listed(entry.path):
                continue
            folder = entry.path.rpartition("/")[0]
            while folder not in found:
                found.add(folder)
                folder = folder.rpartition("/")[0]
        return found

    def remove_extra(self, go_on: Callable[[], None]) -> None:
        """`go_on` is called before each removal, and may raise."""
        folders = []
        try:
            for entry in entries(self._tree, self._meant):
                if self._ledger.is_listed(entry.path):
                    continue
                go_on()
                if entry.kind == "d":
                    folders.append(entry)
                else:
                    self._remove(entry)
        except FileNotFoundError:  # a dry run, before anything arrived
            return
        for entry in reversed(folders):
            go_on()
            self._remove_folder(entry)

    def _remove(self, entry: FileEntry) -> None:
        if entry.problem:
            if entry.problem.code != SPECIAL:
                self._failures.add(entry.problem, entry)
            return None
        try:
            if not self._rehearsal:
                self._tree.unlink(entry.path)
        except FileNotFoundError:
            return None
        except OSError as error:
            return self._failures.add(problem_of(error, self._tree.name(entry.path)), entry)
        if self._rehearsal:
            return self._rehearsal.removed(entry)
        self._ledger.outcome([entry], "removed")
        return self._tally.add_removed(entry.path)

    def _remove_folder(self, entry: FileEntry) -> None:
        """If nothing is left in it: what the filters leave out stays, and so does where it is."""
        if self._rehearsal:
            return
        try:
            self._tree.remove_directory(entry.path)
        except OSError as error:
            if error.errno not in _NOT_EMPTY:
                self._failures.add(problem_of(error, self._tree.name(entry.path)), entry)


def empty_source(place: object) -> HopError:
    problem = Problem(
        code="source-empty",
        message=f"There is no file at {place}, so nothing is removed at the destination.",
        advice="If the destination is to be emptied, remove its files there. If not, see that the source is "
        "the right one, and mounted.",
    )
    return HopError(problem)
