"""Marker files in the destination's directories, for which the source looks: see `agent.files.same_place`."""

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from agent.errors import HopError, problem_of
from agent.files import disk
from agent.files.listing import Selection
from agent.files.paths import is_below
from agent.files.roots import Roots, Tree
from agent.files.same_place import MarkedLocation, new_mark
from agent.problems import SAME_DIRECTORY_TWICE
from agent.pull.ledger import Ledger
from agent.pull.mover import batches

BATCH_SIZE = 30
"""Directories per ledger transaction; a `Tree` keeps that many open."""


class Marks:
    """Marker files of one new name in any number of directories, recorded in the ledger until removed."""

    def __init__(self, roots: Roots, tree: Tree, ledger: Ledger, *, sync_disks: bool = False) -> None:
        """Use `tree`, the destination, without closing it.

        With `sync_disks`, sync each file system on which a directory is marked, except the one of the
        destination itself, which is synced already.
        """
        self._roots = roots
        self._tree = tree
        self._ledger = ledger
        self.name = new_mark()
        self.missing: dict[str, str] = {}
        """Path of each directory that could not be marked → the reason."""
        self._sync_disks = sync_disks
        self._devices: set[int] = set()
        """Device numbers of the file systems that need no sync."""
        with suppress(OSError):
            self._devices.add(os.fstat(tree.open_directory("")).st_dev)

    def make(self, directories: Iterable[str]) -> None:
        """Create the marker file in each of `directories`, absolute paths without duplicates.

        Raises HopError if two of them are the same directory.
        """
        for batch in batches(directories, BATCH_SIZE):
            self._ledger.add_marks(batch, self.name)
            times_of_made = [(directory, times) for directory in batch if (times := self._make_in(directory))]
            self._ledger.set_mark_times(times_of_made)

    def _make_in(self, directory: str) -> tuple[int, int] | None:
        """Return the modification time in ns before and after; None if the directory cannot be marked."""
        try:
            with self._open_directory(directory) as descriptor:
                before = os.fstat(descriptor)
                os.mknod(self.name, stat.S_IFREG | 0o600, dir_fd=descriptor)
                if self._sync_disks:
                    self._sync(descriptor, before.st_dev)
                return before.st_mtime_ns, os.fstat(descriptor).st_mtime_ns
        except FileExistsError as error:
            raise HopError(SAME_DIRECTORY_TWICE.problem(path=directory)) from error
        except OSError as error:
            self.missing[directory] = problem_of(error, directory).message
        except HopError as error:
            self.missing[directory] = error.problem.message
        return None

    def _sync(self, descriptor: int, device: int) -> None:
        if device not in self._devices:
            self._devices.add(device)
            disk.sync_file_system(descriptor)

    def remove_all(self) -> None:
        """Remove all recorded marker files, also those of a killed agent, and restore directory times."""
        for directory, name, before, after in self._ledger.marks():
            with suppress(OSError, HopError), self._open_directory(directory) as descriptor:
                is_as_marked = os.fstat(descriptor).st_mtime_ns == after
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=descriptor)
                if is_as_marked and before is not None:
                    os.utime(descriptor, ns=(os.fstat(descriptor).st_atime_ns, before))
        self._ledger.remove_marks()

    @contextmanager
    def _open_directory(self, directory: str) -> Iterator[int]:
        if is_below(directory, self._tree.path):
            yield self._tree.open_directory(directory[len(self._tree.path.rstrip("/")) :].strip("/"))
            return
        with self._roots.destination(directory) as tree:
            yield tree.open_directory("")

    def for_listing(self, selection: Selection) -> Selection:
        """Return `selection` with a marker at the destination or its nearest existing parent directory.

        Return it unchanged if that directory cannot be marked: deletions are checked again later, and a
        directory without write permission is reported by the pass.
        """
        try:
            directory, above, below = self._tree.nearest_place()
        except OSError:
            return selection
        self.make([directory])
        return (
            selection
            if self.missing
            else replace(selection, destination=MarkedLocation(self.name, above, below))
        )
