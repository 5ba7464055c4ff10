"""Write small files through unnamed temporary files (`O_TMPFILE`).

A kill leaves nothing of them, and ext4 does a quarter less work than for a rename (docs/benchmarks).
"""

import os
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from agent.files import disk
from agent.files.listing import FileEntry
from agent.files.roots import Tree


def _umask() -> int:
    """Return the umask from procfs: `os.umask` would change it for a moment, for every thread."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as status:  # noqa: PTH123
        return next((int(line.split()[1], 8) for line in status if line.startswith("Umask:")), 0o777)


_UMASK = _umask()


class _DirectoryTraits(NamedTuple):
    """What decides how files are created in a directory; looked up once per directory."""

    path: str | None
    prefers_tmpfile: bool
    has_default_acl: bool


class TmpfileWriter:
    """Writes small files to unnamed temporary files. For one thread."""

    def __init__(self, tree: Tree, partial_name: Callable[[str], str]) -> None:
        """Use `partial_name` to name a file shortly before it replaces another."""
        self._tree = tree
        self._partial_name = partial_name
        self._traits = _DirectoryTraits(None, prefers_tmpfile=False, has_default_acl=True)
        self._is_forbidden = False

    def write(self, entry: FileEntry, data: memoryview, folder: int, name: str) -> bool:
        """Write a file as `name` in `folder`, as `Tree.open_parent` returned them.

        Return False if unnamed temporary files are slow or not available there. Raises OSError.
        """
        if self._is_forbidden or not self._traits_of(entry.path, folder).prefers_tmpfile:
            return False
        descriptor = disk.open_tmpfile(folder, entry.mode & KEPT_MODE_BITS)
        if descriptor is None:
            return False
        try:
            write(descriptor, data, 0)
            apply_metadata(descriptor, entry, has_mode=self.keeps_mode(entry, folder))
            linked_name = self._link(descriptor, entry.path, name, folder)
        finally:
            os.close(descriptor)
        if linked_name is None:
            self._is_forbidden = True
            return False
        if linked_name == name:
            disk.notify_close_write(name, folder)
        else:
            self._tree.rename_over(linked_name, entry.path)
        return True

    def keeps_mode(self, entry: FileEntry, folder: int) -> bool:
        """Return whether a file that is created with its mode gets that mode unchanged."""
        return not (
            entry.mode & KEPT_MODE_BITS & _UMASK or self._traits_of(entry.path, folder).has_default_acl
        )

    def _traits_of(self, path: str, folder: int) -> _DirectoryTraits:
        parent = path.rpartition("/")[0]
        if parent != self._traits.path:
            self._traits = _DirectoryTraits(
                parent, disk.prefers_tmpfile(folder), disk.has_default_acl(folder)
            )
        return self._traits

    def _link(self, descriptor: int, path: str, name: str, folder: int) -> str | None:
        """Link the file to `name`, or to its partial name if that is taken; return the name.

        Return None if it cannot be linked: a security module may forbid it. If there is another cause, the
        caller meets it when it writes a partial file instead.
        """
        try:
            if disk.link_tmpfile(descriptor, name, folder):
                return name
            partial_name = self._partial_name(path)
            with suppress(FileNotFoundError):  # left by an earlier attempt
                os.unlink(partial_name, dir_fd=folder)
            return partial_name if disk.link_tmpfile(descriptor, partial_name, folder) else None
        except OSError:
            return None


KEPT_MODE_BITS = 0o1777
"""Permission bits that are kept. Not setuid and setgid, since the owner here is another one."""
WRITE_CHUNK_BYTES = 64 * 1024
"""Bytes per write. With more, the file system allocates memory in larger pieces, which a virtual machine may
have returned to its host and gets back slowly (docs/benchmarks)."""


def write(descriptor: int, data: memoryview, start: int) -> None:
    while data:
        count = os.pwrite(descriptor, data[:WRITE_CHUNK_BYTES], start)
        data, start = data[count:], start + count


def apply_metadata(descriptor: int, entry: FileEntry, *, has_mode: bool = False) -> None:
    """Set the times, and the mode unless the file has it already."""
    if not has_mode:
        os.fchmod(descriptor, entry.mode & KEPT_MODE_BITS)
    os.utime(descriptor, ns=(entry.mtime_ns, entry.mtime_ns))
