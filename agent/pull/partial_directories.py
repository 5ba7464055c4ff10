"""The directories in which a hop may have temporary files: a small file beside its ledger.

It survives the ledger: if that is damaged, these directories alone are searched for what the hop left behind,
not the whole destination. Each path ends with a zero byte; a path that was cut off by a power failure names
another directory, in which the hop has no file.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from agent import state_disk
from agent.bounded_set import BoundedSet
from agent.errors import HopError
from agent.files.paths import is_below, temporary_prefixes
from agent.files.roots import Roots, Tree

SUFFIX = ".places"
_END = b"\0"


class PartialDirectories:
    """The record of one hop. Thread-safe."""

    def __init__(self, path: Path) -> None:
        """Use the file at `path`, which is created when the first directory is added."""
        self._path = path
        self._lock = threading.Lock()
        self._added: BoundedSet[str] = BoundedSet()
        self.is_searched = not path.exists()
        """Whether no directory can have a temporary file from before this record was opened."""

    def add(self, directory: str) -> None:
        """Record a directory, by its absolute path, before a temporary file is created there.

        Raises HopError if the state directory takes no more.
        """
        with self._lock:
            if directory in self._added:
                return
            try:
                with self._path.open("ab") as file:
                    file.write(os.fsencode(directory) + _END)
            except OSError as error:
                raise state_disk.hop_error(error, self._path.parent) from error
            self._added.add(directory)

    def recorded(self) -> set[str]:
        """Return the recorded directories; none if the file is missing or cannot be read."""
        try:
            content = self._path.read_bytes() if self._path.is_file() else b""
        except OSError:
            return set()
        return {os.fsdecode(path) for path in content.split(_END) if path.startswith(b"/")}

    def forget(self) -> None:
        """Delete the record: the hop has no temporary file any more."""
        with self._lock:
            self._added.clear()
            self._path.unlink(missing_ok=True)

    def sweep(self, roots: Roots, hop_id: str, tree: Tree | None = None) -> bool:
        """Remove the hop's temporary files from all recorded directories, whose times stay as they are.

        `tree` is the hop's destination, if it is open. Return whether every directory could be searched; one
        that no longer exists counts as searched.
        """
        prefixes, is_complete = temporary_prefixes(hop_id), True
        for directory in self.recorded():
            try:
                with open_directory(roots, directory, tree) as descriptor:
                    _remove_names(descriptor, prefixes)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except (OSError, HopError, ValueError):
                is_complete = False
        self.is_searched = is_complete
        return is_complete


def _remove_names(directory: int, prefixes: tuple[str, ...]) -> None:
    with os.scandir(directory) as listed:
        names = [entry.name for entry in listed if entry.name.startswith(prefixes)]
    if not names:
        return
    before = os.fstat(directory)
    for name in names:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=directory)
    with suppress(PermissionError):  # the directory of another user
        os.utime(directory, ns=(before.st_atime_ns, before.st_mtime_ns))


@contextmanager
def open_directory(roots: Roots, directory: str, tree: Tree | None = None) -> Iterator[int]:
    """Open a directory by its absolute path, through `tree` if it is inside. Raises OSError, HopError."""
    if tree is not None and is_below(directory, tree.path):
        yield tree.open_directory(directory[len(tree.path.rstrip("/")) :].strip("/"))
        return
    with roots.destination(directory) as other:
        yield other.open_directory("")
