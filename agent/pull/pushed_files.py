"""List the files of a push: each one is recorded in the ledger, everything else as lost or failed."""

import threading
from collections.abc import Callable, Iterator

from agent.errors import HopError, display_path, problem_of
from agent.files.listing import FileEntry, entries
from agent.files.roots import Roots, Tree
from agent.problems import RESERVED_NAME
from agent.pull.failures import Failures
from agent.pull.ledger import Ledger
from agent.pull.mover import batches, selection_of
from agent.pull.progress import ProgressCounter
from agent.pull.worker_context import PullStoppedError
from events.base import Problem
from events.commands import Move
from events.locations import AgentLocation, base_name

LEDGER_BATCH_SIZE = 500
"""Files that are recorded in the ledger together."""


class PushedFiles:
    """The files of one push."""

    def __init__(
        self,
        roots: Roots,
        command: Move,
        ledger: Ledger,
        failures: Failures,
        stopped: threading.Event,
        refuse: Callable[[str, FileEntry], Problem | None],
    ) -> None:
        """`refuse` returns why the destination cannot have a file or link, by its name for people."""
        if not isinstance(command.source, AgentLocation):
            raise TypeError(f"{command.hop_id} does not go from this host")
        self._roots = roots
        self._source = command.source
        self._destination = command.destination
        self._selection = selection_of(command)
        self._ledger = ledger
        self._failures = failures
        self._stopped = stopped
        self._refuse = refuse
        self.is_single = False
        """Whether the source is a single file, once it is listed."""

    def open_tree(self) -> Tree:
        following = self._selection.symlinks == "follow"
        return self._roots.tree(self._source.path, writing=False, following=following)

    def record(self, progress: ProgressCounter) -> Iterator[list[FileEntry]]:
        """Record all files in the ledger as begun, and yield them in batches; set the totals at the end.

        Raises:
            HopError: the source cannot be listed.
            PullStoppedError: the attempt was stopped.
        """
        size = files = 0
        with self.open_tree() as tree:
            self.is_single = self._is_file(tree)
            for batch in batches(self._files(tree, progress), LEDGER_BATCH_SIZE):
                self._begin(batch, progress)
                yield batch
                size, files = size + sum(entry.size for entry in batch), files + len(batch)
        progress.set_total(size, files)

    def display_name(self, path: str) -> str:
        """Return the file's name at the destination, for people."""
        return str(self._destination) if self.is_single else f"{self._destination}{path}"

    def name_of(self, entry: FileEntry) -> str:
        """Return the last name of a file at the destination, or the path below it."""
        return entry.path or base_name(self._destination)

    def _begin(self, batch: list[FileEntry], progress: ProgressCounter) -> None:
        new = []
        for entry in batch:
            if self._is_done(entry):
                progress.add_existing_file(entry.path, entry.size)
            else:
                new.append(entry)
        self._ledger.begin_files(new)

    def _is_done(self, entry: FileEntry) -> bool:
        """Return whether an earlier attempt of this hop has uploaded this very version."""
        return self._ledger.earlier_state(entry) == "done" and self._ledger.is_same_version(entry)

    def _is_file(self, tree: Tree) -> bool:
        try:
            tree.open_directory("")
        except NotADirectoryError:
            return True
        except OSError as error:
            raise HopError(problem_of(error, self._source.path)) from error
        return False

    def _files(self, tree: Tree, progress: ProgressCounter) -> Iterator[FileEntry]:
        """Yield the files; record why for each other entry: reserved names are left out, the rest fails."""
        try:
            for entry in entries(tree, self._selection):
                if self._stopped.is_set():
                    raise PullStoppedError
                if entry.problem and entry.problem.code == RESERVED_NAME.code:
                    self._ledger.outcomes.record([entry], "left", entry.problem)
                    progress.add_lost(entry.lost)
                    self._ledger.outcomes.record_lost(entry.path, entry.lost)
                elif entry.kind != "d":
                    name = display_path(tree.name(entry.path))
                    if problem := entry.problem or self._refuse(name, entry):
                        self._failures.add_problem(problem, entry)
                    else:
                        yield entry
        except OSError as error:
            raise HopError(problem_of(error, self._source.path)) from error
