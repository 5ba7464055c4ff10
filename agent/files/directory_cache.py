"""Keep directories open, and check from time to time that each is still where it was opened."""

import os
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

MAX_OPEN_DIRECTORIES = 32
"""Descriptors that one cache keeps open at most.

Every thread of a hop has a cache, and a process may have no more than 1,024 descriptors.
"""


@dataclass(slots=True)
class _OpenDirectory:
    """A directory that is kept open."""

    descriptor: int
    path: str
    """Its path when it was opened, as the kernel reported it."""
    checked_at: float
    """When the path was last checked (monotonic seconds)."""


class DirectoryCache:
    """Descriptors of the directories that were used last, by a key. Use it from one thread."""

    def __init__(self, open_directory: Callable[[str], tuple[int, str]], check_ttl_s: float) -> None:
        """`open_directory` opens a directory; it returns a descriptor and its path, as the kernel reports it.

        It may use the cache, and raise OSError. After `check_ttl_s` seconds the path of a directory that is
        open is checked again.
        """
        self._check_ttl_s = check_ttl_s
        self._open_directory = open_directory
        self._open: OrderedDict[str, _OpenDirectory] = OrderedDict()

    def __contains__(self, key: str) -> bool:
        return key in self._open

    def open_directory(self, key: str) -> int:
        """Return a directory's descriptor, opened now or before.

        The cache closes it, possibly at the next call. Raises what `open_directory` raises.
        """
        return self._opened(key).descriptor

    def path_of(self, key: str) -> str:
        """Return a directory's path, as the kernel reports it; the directory is opened like that, too."""
        return self._opened(key).path

    def _opened(self, key: str) -> _OpenDirectory:
        cached = self._open.get(key)
        if cached and self._is_still_there(cached):
            self._open.move_to_end(key)
            return cached
        if cached:
            self.forget(key)
        self._open_parents(key)
        return self._open_uncached(key)

    def _open_uncached(self, key: str) -> _OpenDirectory:
        opened = self._open[key] = _OpenDirectory(*self._open_directory(key), time.monotonic())
        if len(self._open) > MAX_OPEN_DIRECTORIES:
            os.close(self._open.popitem(last=False)[1].descriptor)
        return opened

    def _open_parents(self, key: str) -> None:
        """Open the parents of a very deep directory: whoever goes up from there needs them next.

        Otherwise each of them would be opened from the top of the tree, in time that grows with the square
        of its depth. A parent that cannot be opened by itself is not needed.
        """
        if key.count("/") < MAX_OPEN_DIRECTORIES:
            return
        parents, parent = list[str](), key.rpartition("/")[0]
        while len(parents) < MAX_OPEN_DIRECTORIES // 2 and parent not in self._open:
            parents.append(parent)
            parent = parent.rpartition("/")[0]
        for missing in reversed(parents):
            with suppress(OSError):
                self._open_uncached(missing)

    def forget(self, key: str) -> None:
        """Close a directory if it is open."""
        if directory := self._open.pop(key, None):
            os.close(directory.descriptor)

    def close(self) -> None:
        """Close all directories."""
        while self._open:
            os.close(self._open.popitem()[1].descriptor)

    def _is_still_there(self, directory: _OpenDirectory) -> bool:
        now = time.monotonic()
        if now - directory.checked_at >= self._check_ttl_s:
            if kernel_path(directory.descriptor) != directory.path:
                return False
            directory.checked_at = now
        return True


def kernel_path(descriptor: int) -> str:
    """Return a descriptor's path as the kernel reports it; after a deletion it differs."""
    return os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115


def leads_to(path: str, descriptor: int) -> bool:
    """Return whether a kernel's path leads to its directory: not if its disk was unmounted."""
    try:
        return os.path.samestat(Path(path).lstat(), os.fstat(descriptor))
    except OSError:
        return False
