"""The `move` option: delete transferred files at the source, each only after two checks.

1. The file at the destination is as it was written, with the source's digest (`Comparer.compare` ensures
   that no file counts as unchanged by size and time alone).
2. The source's directory is not one of the destination's directories, so the file that is deleted is not
   the one that was just written.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from itertools import chain

from agent.errors import HopError, problem_of
from agent.files import mounts
from agent.files.listing import FileEntry
from agent.files.roots import Tree
from agent.problems import DELETION_INTERRUPTED, SOURCE_KEPT
from agent.pull.comparison import Comparer
from agent.pull.failures import Failures
from agent.pull.ledger import Ledger
from agent.pull.marks import Marks
from agent.pull.mover import batches
from agent.pull.pull_context import PullContext
from agent.pull.source import Reader, Source, SourceConnectionError
from events.base import Problem

BATCH_SIZE = 256


class SourceDeletion:
    """The deletion of a hop's files at the source. Call `run` once."""

    def __init__(
        self,
        context: PullContext,
        source: Source,
        tree: Tree,
        comparer: Comparer,
        ledger: Ledger,
        failures: Failures,
    ) -> None:
        """Use `tree`, the destination, without closing it."""
        self._command = context.command
        self._source = source
        self._tree = tree
        self._comparer = comparer
        self._ledger = ledger
        self._failures = failures
        self._marks = Marks(context.roots, tree, ledger, sync_disks=True)
        self._mount_points = self._find_mount_points()
        self._source_root: FileEntry | None = None
        """The entry of the source path itself, if that is deleted, too."""

    def delete_transferred(self, check_stopped: Callable[[], None]) -> None:
        """Delete what was transferred; failures of single files go to `failures`.

        `check_stopped` is called before each request and may raise.

        Raises:
            HopError: the connection to the source broke; retryable, since files that are deleted already
                do not count as missing.
        """
        try:
            self._marks.make(self._directories(check_stopped))
            with closing(self._source.reader()) as reader:
                for batch in batches(self._inside_source(), BATCH_SIZE):
                    check_stopped()
                    self._delete(reader, batch)
                check_stopped()
                self._delete_source_root(reader)
        except SourceConnectionError as error:
            problem = DELETION_INTERRUPTED.problem(source=self._command.source, reason=error)
            raise HopError(problem) from error
        finally:
            self._marks.remove_all()

    # --- what was transferred ---

    def _arrived(self) -> Iterator[FileEntry]:
        """Return files and links, then the directories they were in, the deepest first."""
        links = (FileEntry("l", path, target=os.fsdecode(target)) for path, target in self._ledger.links())
        directories = [entry for entry, _ in self._ledger.directories()]
        return chain(self._ledger.present(), links, reversed(directories))

    def _inside_source(self) -> Iterator[FileEntry]:
        for entry in self._arrived():
            if entry.path:
                yield entry
            else:
                self._source_root = entry

    def _directories(self, check_stopped: Callable[[], None]) -> Iterator[str]:
        """Yield the absolute path of each directory to which something was written, each once."""
        seen = set[str]()
        for entry in self._arrived():
            directory = self._directory_of(entry)
            if directory not in seen:
                seen.add(directory)
                check_stopped()
                yield directory

    def _directory_of(self, entry: FileEntry) -> str:
        name = self._tree.name(entry.path)
        return name if entry.kind == "d" else name.rpartition("/")[0] or "/"

    # --- at the source ---

    def _delete_source_root(self, reader: Reader) -> None:
        """Delete the source path itself, last, and record that its absence is expected from now on.

        A source directory that was given with a trailing slash is kept.
        """
        directory = self._source_root
        if directory is None or (directory.kind == "d" and str(self._command.source).endswith("/")):
            return
        if not self._failures.total:
            self._ledger.mark_source_deleted()
        self._delete(reader, [directory])

    def _delete(self, reader: Reader, batch: Iterable[FileEntry]) -> None:
        proven = [entry for entry in batch if self._is_proven(entry)]
        name = self._tree.path.rpartition("/")[2]
        for entry, problem in zip(
            proven, reader.delete_entries(proven, self._marks.name, name), strict=False
        ):
            if problem:
                self._failures.add_problem(problem, entry)

    def _is_proven(self, entry: FileEntry) -> bool:
        if problem := self._reason_to_keep(entry):
            self._failures.add_problem(problem, entry)
        return problem is None

    def _reason_to_keep(self, entry: FileEntry) -> Problem | None:
        """Return why the file must stay at the source; None if both checks passed."""
        if reason := self._marks.missing.get(self._directory_of(entry)):
            return SOURCE_KEPT.problem(
                path=entry.path or self._tree.path,
                reason=f"the agent cannot prove that it is a separate file: {reason}",
            )
        try:
            if not self._is_present(entry):
                reason = "the file at the destination has changed since it was written"
                return SOURCE_KEPT.problem(path=entry.path or self._tree.path, reason=reason)
        except OSError as error:
            return problem_of(error, self._tree.name(entry.path))
        return None

    def _is_present(self, entry: FileEntry) -> bool:
        """Return whether the destination has this entry, as a file of its own and not a mounted one.

        Raises OSError.
        """
        match entry.kind:
            case "f":
                return self._comparer.is_present(entry) and not self._is_mounted(entry)
            case "l":
                return self._tree.readlink(entry.path) == entry.target
        return True

    def _is_mounted(self, entry: FileEntry) -> bool:
        return bool(self._mount_points) and self._tree.real_path(entry.path) in self._mount_points

    def _find_mount_points(self) -> frozenset[str]:
        """Return the mount points at or below the destination."""
        try:
            directory = self._tree.real_path()
        except OSError:
            return frozenset()
        return mounts.points_below(directory)
