"""Whether a directory takes two names for one, as file systems do that fold case or Unicode's forms.

No file system says so of itself, and in some it differs from one directory to the next. So it is found out
by what the directory does: where another spelling of a name finds the very same thing, the directory is read,
and that thing goes by the name that stands there.
"""

import errno
import os
from contextlib import suppress
from string import ascii_lowercase, ascii_uppercase
from unicodedata import normalize

from agent.errors import SameNameError

MAX_REMEMBERED_DIRECTORIES = 10_000
"""Directories of which something is known."""
_OTHER_CASE = str.maketrans(
    ascii_lowercase + ascii_uppercase,
    ascii_uppercase + ascii_lowercase,
)
_UNSEEN = {errno.ENOENT, errno.EACCES, errno.EPERM, errno.EBADF}
"""The thing has gone, or its directory's names may not be read: of one that is only passed the last."""
InodeId = tuple[int, int]


class NameFolding:
    """For one thread."""

    def __init__(self) -> None:
        self._strict: set[InodeId] = set()
        """Those in which an ASCII name stands for itself alone."""
        self._read: tuple[InodeId, frozenset[str]] | None = None
        """The names of the one that was read last."""
        self._right: set[str] = set()
        """Ways down to directories that go by these very names."""

    def other_name(self, folder: int, name: str) -> str | None:
        """The very name of what `name` finds in the directory, if that is another; None where it finds
        nothing, too. OSError."""
        place = _place(os.fstat(folder))
        if name.isascii() and place in self._strict:
            return None
        try:
            found = _place(os.stat(name, dir_fd=folder, follow_symlinks=False))
        except FileNotFoundError:
            return None
        others = folded_names(name)
        if any(_found(folder, other) == found for other in others):
            return self._listed(folder, place, name, found)
        if others and name.isascii():
            self._remember(place)
        return None

    def require_exact_name(self, folder: int, name: str) -> None:
        """SameNameError if what `name` finds goes by another. OSError."""
        if other := self.other_name(folder, name):
            raise SameNameError(other)

    def unverified_ancestors(self, top: str, inner: str, key: str) -> list[str]:
        """Directories on the way to one, from below `inner` on, that are not known yet to go by these names.
        SameNameError if one does not. They are not opened to be used: one that is not to be written may lie
        on the way to one that is."""
        way = []
        while len(key) > len(inner) and key not in self._right:
            way.append(key)
            above, _, name = key.rpartition("/")
            self._must_be_in(f"{top}/{above}", name)
            key = above
        return way

    def step(self, folder: int, name: str, key: str) -> None:
        """The last step of a way down, taken in an open directory, which need not be readable. SameNameError.
        OSError."""
        if key in self._right:
            return
        try:
            self.require_exact_name(folder, name)
        except OSError as error:
            if error.errno not in _UNSEEN:
                raise
        self.verify([key])

    def verify(self, way: list[str]) -> None:
        """They stand, by these names."""
        if len(self._right) + len(way) > MAX_REMEMBERED_DIRECTORIES:
            self._right.clear()
        self._right.update(way)

    def _must_be_in(self, path: str, name: str) -> None:
        """Where nothing is, or nothing may be read, whoever opens it hears of it."""
        with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                self.require_exact_name(folder, name)
            finally:
                os.close(folder)

    def _listed(self, folder: int, place: InodeId, name: str, found: InodeId) -> str | None:
        """By the directory's own word: on most disks a thing may well have two names, as hard links."""
        if self._read and self._read[0] == place and name in self._read[1]:
            return None
        names = os.listdir(folder)
        self._read = place, frozenset(names)
        if name in self._read[1]:
            return None
        return next((one for one in names if _found(folder, one) == found), None)

    def _remember(self, place: InodeId) -> None:
        if len(self._strict) >= MAX_REMEMBERED_DIRECTORIES:
            self._strict.clear()
        self._strict.add(place)


def folded_names(name: str) -> set[str]:
    """Other ways to write a name, one of which every directory that folds takes for the same."""
    cases = {name.swapcase(), name.translate(_OTHER_CASE)}
    return (cases | {normalize("NFC", name), normalize("NFD", name)}) - {name}


def _found(folder: int, name: str) -> InodeId | None:
    try:
        return _place(os.stat(name, dir_fd=folder, follow_symlinks=False))
    except (OSError, ValueError):
        return None


def _place(found: os.stat_result) -> InodeId:
    return found.st_dev, found.st_ino
