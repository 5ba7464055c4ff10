"""List the files of a push: each is recorded in the ledger and named in a list for rclone."""

import threading
from collections.abc import Iterator
from typing import IO

from agent.errors import HopError, display_path, problem_of
from agent.files.listing import FileEntry, entries
from agent.files.roots import Tree
from agent.problems import LINK_NOT_FOR_REMOTE, LINK_NOT_FOR_S3, NAME_NOT_UTF8, RESERVED_NAME
from agent.pull.failures import Failures
from agent.pull.ledger import Ledger
from agent.pull.mover import HostResources, batches, selection_of
from agent.pull.progress import ProgressCounter
from agent.pull.worker_context import PullStoppedError
from agent.rclone.backend import Backend
from agent.rclone.names import from_rclone, is_utf8, to_rclone
from events.base import Problem
from events.commands import Move
from events.locations import AgentLocation, base_name, inner_path

LEDGER_BATCH_SIZE = 500
"""Files that are recorded in the ledger together."""


class UploadList:
    """The files of one push."""

    def __init__(
        self,
        host: HostResources,
        backend: Backend,
        command: Move,
        ledger: Ledger,
        failures: Failures,
        stopped: threading.Event,
    ) -> None:
        if not isinstance(command.source, AgentLocation):
            raise TypeError(f"{command.hop_id} does not go from this host")
        self._roots = host.roots
        self._source = command.source
        self._backend = backend
        self._selection = selection_of(command)
        self._ledger = ledger
        self._failures = failures
        self._stopped = stopped
        self._is_single_file = False

    @property
    def single_name(self) -> str | None:
        """Return the name of the source at the destination, if it is a single file."""
        return base_name(self._backend.location) if self._is_single_file else None

    @property
    def target(self) -> str:
        """Return the target directory in rclone's syntax.

        For a single file, it is the directory that will contain the file.
        """
        path = inner_path(self._backend.location)
        return self._backend.rclone_directory(path.rpartition("/")[0] if self._is_single_file else path)

    def open_tree(self) -> Tree:
        following = self._selection.symlinks == "follow"
        return self._roots.tree(self._source.path, writing=False, following=following)

    def write(self, names: IO[bytes], progress: ProgressCounter) -> None:
        """Write one name a line in rclone's encoding, as `--files-from-raw` expects them.

        Raises:
            HopError: the source cannot be listed.
            PullStoppedError: the attempt was stopped.
        """
        size = files = 0
        with self.open_tree() as tree:
            self._is_single_file = self._is_file(tree)
            for batch in batches(self._files(tree, progress), LEDGER_BATCH_SIZE):
                self._ledger.begin_files(batch)
                names.writelines(self._list_line(entry) for entry in batch)
                size, files = size + sum(entry.size for entry in batch), files + len(batch)
        progress.set_total(size, files)

    def path_below_root(self, path: str) -> str:
        """Return where a file of the source will be, as a path below the backend's root."""
        return (
            inner_path(self._backend.location)
            if self._is_single_file
            else self._backend.path_below_root(path)
        )

    def path_of(self, name: str) -> str:
        """Return the source path of the file that rclone calls `name`."""
        return "" if self._is_single_file else from_rclone(name)

    def display_name(self, path: str) -> str:
        """Return the file's name at the destination, for people."""
        return str(self._backend.location) if self._is_single_file else f"{self._backend.location}{path}"

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
                if entry.kind == "f" and is_utf8(entry.path):
                    yield entry
                elif entry.problem and entry.problem.code == RESERVED_NAME.code:
                    self._ledger.outcomes.record([entry], "left", entry.problem)
                    progress.add_lost(entry.lost)
                    self._ledger.outcomes.record_lost(entry.path, entry.lost)
                elif entry.kind != "d":
                    problem = entry.problem or self._not_supported(tree.name(entry.path), entry.kind)
                    self._failures.add_problem(problem, entry)
        except OSError as error:
            raise HopError(problem_of(error, self._source.path)) from error

    def _list_line(self, entry: FileEntry) -> bytes:
        name = entry.path or base_name(self._backend.location)
        return to_rclone(name).encode() + b"\n"

    def _not_supported(self, name: str, kind: str) -> Problem:
        if kind != "l":
            return NAME_NOT_UTF8.problem(path=display_path(name))
        refused = LINK_NOT_FOR_S3 if self._backend.kind == "s3" else LINK_NOT_FOR_REMOTE
        return refused.problem(path=name, backend=self._backend.name)
