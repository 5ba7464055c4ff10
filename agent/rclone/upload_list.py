"""What a push is to bring: every file of the source, noted in the ledger, and named where rclone reads it."""

import threading
from collections.abc import Iterator
from typing import IO

from agent.errors import HopError, display_path, problem_of
from agent.files.listing import FileEntry, entries
from agent.files.roots import Tree
from agent.pull.failures import Failures
from agent.pull.ledger import Ledger
from agent.pull.mover import HostResources, batches, selection_of
from agent.pull.progress import ProgressCounter
from agent.pull.worker_context import PullStoppedError
from agent.rclone.backend import Backend
from agent.rclone.lsjson import is_line
from events.base import Problem
from events.commands import Move
from events.locations import AgentLocation, base_name, inner_path

LEDGER_BATCH_SIZE = 500
"""Listed files that go into the ledger together."""


class UploadList:
    def __init__(
        self,
        host: HostResources,
        store: Backend,
        order: Move,
        ledger: Ledger,
        failures: Failures,
        stopped: threading.Event,
    ) -> None:
        if not isinstance(order.source, AgentLocation):
            raise TypeError(f"{order.hop_id} does not go from this host")
        self._roots = host.roots
        self._source = order.source
        self._store = store
        self._meant = selection_of(order)
        self._ledger = ledger
        self._failures = failures
        self._stopped = stopped
        self._single = False

    @property
    def single(self) -> str | None:
        """What the source is called at the destination, if it is a single file."""
        return base_name(self._store.place) if self._single else None

    @property
    def target(self) -> str:
        """The directory, in rclone's words: of a single file the one it is to stand in."""
        path = inner_path(self._store.place)
        return self._store.directory(path.rpartition("/")[0] if self._single else path)

    def tree(self) -> Tree:
        return self._roots.tree(self._source.path, writing=False)

    def write(self, names: IO[bytes], tally: ProgressCounter) -> None:
        """One name a line, as `--files-from-raw` takes them. HopError, or StoppedError once that is set."""
        size = files = 0
        with self.tree() as tree:
            self._single = self._is_file(tree)
            for batch in batches(self._found(tree), LEDGER_BATCH_SIZE):
                self._ledger.begin_files(batch)
                names.writelines(self._line(entry) for entry in batch)
                size, files = size + sum(entry.size for entry in batch), files + len(batch)
        tally.total(size, files)

    def inner(self, path: str) -> str:
        """Where the file at this path of the source is to be, below the store's top."""
        return inner_path(self._store.place) if self._single else self._store.inner(path)

    def path(self, name: str) -> str:
        """Of the file that rclone calls so."""
        return "" if self._single else name

    def shown(self, path: str) -> str:
        """The same file, at the destination, for people."""
        return str(self._store.place) if self._single else f"{self._store.place}{path}"

    def _is_file(self, tree: Tree) -> bool:
        try:
            tree.open_directory("")
        except NotADirectoryError:
            return True
        except OSError as error:
            raise HopError(problem_of(error, self._source.path)) from error
        return False

    def _found(self, tree: Tree) -> Iterator[FileEntry]:
        """The files; what the store cannot hold has failed."""
        try:
            for entry in entries(tree, self._meant):
                if self._stopped.is_set():
                    raise PullStoppedError
                if entry.kind == "f" and is_line(entry.path):
                    yield entry
                elif entry.kind != "d":
                    problem = entry.problem or self._not_for(tree.name(entry.path), entry.kind)
                    self._failures.add(problem, entry)
        except OSError as error:
            raise HopError(problem_of(error, self._source.path)) from error

    def _line(self, entry: FileEntry) -> bytes:
        name = entry.path or base_name(self._store.place)
        return name.encode("utf-8", "surrogateescape") + b"\n"

    def _not_for(self, name: str, kind: str) -> Problem:
        if kind == "l":
            message = f"is a symbolic link, which {self._store.name} cannot hold"
            advice = "Choose --symlinks follow or skip."
        else:
            message, advice = "has a line break in its name", "Rename it."
        code = f"not-for-{self._store.kind}"
        return Problem(
            code=code, message=f"{display_path(name)} {message}.", advice=advice, path=display_path(name)
        )
