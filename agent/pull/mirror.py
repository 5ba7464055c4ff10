"""The `delete_extra` option: remove what the destination has and the source does not."""

import errno
from collections.abc import Callable

from agent.errors import problem_of
from agent.files.listing import FileEntry, Selection, entries
from agent.files.roots import Tree
from agent.problems import RESERVED_NAME, SPECIAL_FILE
from agent.pull.dry_run import DryRunReport
from agent.pull.failures import Failures
from agent.pull.ledger import Ledger
from agent.pull.progress import ProgressCounter

_NOT_EMPTY = {errno.ENOTEMPTY, errno.ENOENT}


class Mirror:
    """Removes extra files, after all files are written; the ledger has the source's listing."""

    def __init__(
        self,
        tree: Tree,
        selection: Selection,
        ledger: Ledger,
        progress: ProgressCounter,
        failures: Failures,
        dry_run: DryRunReport | None,
    ) -> None:
        self._tree = tree
        self._selection = Selection(
            "skip" if selection.symlinks == "skip" else "keep", None, selection.filters
        )
        self._ledger = ledger
        self._progress = progress
        self._failures = failures
        self._dry_run = dry_run
        self.emptied = set[str]()
        """Directories from which something was removed."""

    def changed_directories(self, check_stopped: Callable[[], None]) -> set[str]:
        """Return the directories with extra files, and their parents."""
        found = set[str]()
        for entry in entries(self._tree, self._selection):
            check_stopped()
            if entry.kind in "!d" or self._ledger.is_listed(entry.path):
                continue
            directory = entry.path.rpartition("/")[0]
            while directory not in found:
                found.add(directory)
                directory = directory.rpartition("/")[0]
        return found

    def remove_extra(self, check_stopped: Callable[[], None]) -> None:
        """Remove extra files, then empty extra directories; `check_stopped` may raise before each."""
        directories = []
        try:
            for entry in entries(self._tree, self._selection):
                if self._ledger.is_listed(entry.path):
                    continue
                check_stopped()
                if entry.kind == "d":
                    directories.append(entry)
                else:
                    self._remove(entry)
        except FileNotFoundError:  # a dry run to a destination that does not exist yet
            return
        for entry in reversed(directories):
            check_stopped()
            self._remove_directory(entry)

    def _remove(self, entry: FileEntry) -> None:
        if entry.problem:
            if entry.problem.code not in {SPECIAL_FILE.code, RESERVED_NAME.code}:
                self._failures.add_problem(entry.problem, entry)
            return None
        try:
            if not self._dry_run:
                self._tree.unlink(entry.path)
        except FileNotFoundError:
            return None
        except OSError as error:
            return self._failures.add_problem(problem_of(error, self._tree.name(entry.path)), entry)
        if self._dry_run:
            return self._dry_run.removed(entry)
        self._note_removed(entry)
        self._ledger.outcomes.record([entry], "removed")
        return self._progress.add_removed(entry.path)

    def _remove_directory(self, entry: FileEntry) -> None:
        """Remove the directory if it is empty: files that the filters exclude stay, with their directory."""
        if self._dry_run:
            return
        try:
            self._tree.remove_directory(entry.path)
        except OSError as error:
            if error.errno not in _NOT_EMPTY:
                self._failures.add_problem(problem_of(error, self._tree.name(entry.path)), entry)
        else:
            self._note_removed(entry)

    def _note_removed(self, entry: FileEntry) -> None:
        """Remember whose times have changed, and that an earlier attempt's entry is no longer there."""
        self.emptied.add(entry.path.rpartition("/")[0])
        self._ledger.invalidate(entry.path)
