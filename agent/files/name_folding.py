"""Detect directories that treat two names as one, because they fold case or Unicode forms.

No file system reports that, and in some it differs from one directory to the next. So it is detected by
behavior: if another spelling of a name finds a file, too, the directory is read to learn what it lists. Inode
numbers do not tell: through FUSE, two spellings of one name may have two of them (exFAT).
"""

import errno
import os
from collections.abc import Iterator
from contextlib import suppress
from string import ascii_lowercase, ascii_uppercase
from unicodedata import normalize

from agent.bounded_set import BoundedSet
from agent.errors import SameNameError
from agent.files.disk import InodeId, inode_of

_OTHER_CASE = str.maketrans(
    ascii_lowercase + ascii_uppercase,
    ascii_uppercase + ascii_lowercase,
)
_UNREADABLE = {errno.ENOENT, errno.EACCES, errno.EPERM, errno.EBADF}
"""Errors if the file was deleted, or its directory's names may not be read; EBADF for an O_PATH descriptor.
"""


class NameFolding:
    """What is known about the directories of a tree. Use it from one thread."""

    def __init__(self) -> None:
        self._strict: BoundedSet[InodeId] = BoundedSet()
        """Directories in which an ASCII name stands for itself alone, unless a dot or blank ends it."""
        self._read: tuple[InodeId, frozenset[str]] | None = None
        """The names in the directory that was read last."""
        self._kept: set[tuple[int, str]] = set()
        """By device: endings of names (`_changed_endings`) that it keeps."""
        self._verified: BoundedSet[str] = BoundedSet()
        """Paths of directories that are known to be listed under exactly these names."""

    def other_name(self, directory: int, name: str) -> str | None:
        """Return the listed name of what `name` finds in the directory, if it differs; otherwise None.

        Raises OSError.
        """
        inode = inode_of(os.fstat(directory))
        tells_case = name.isascii() and not _shortened(name)
        if tells_case and inode in self._strict:
            return None
        try:
            os.stat(name, dir_fd=directory, follow_symlinks=False)
        except FileNotFoundError:
            return None
        others = folded_names(name)
        if any(_inode_at(directory, other) for other in others):
            return self._listed_name(directory, inode, name)
        if tells_case and others:
            self._strict.add(inode)
        return None

    def require_exact_name(self, directory: int, name: str) -> None:
        """Raise SameNameError if what `name` finds is listed under another name.

        Raises OSError.
        """
        if other := self.other_name(directory, name):
            raise SameNameError(other)

    def require_kept_name(self, directory: int, temporary: str, name: str) -> None:
        """Raise OSError with EILSEQ if the disk would store a file with this name under another one.

        FAT and exFAT drop dots at the end, HFS+ stores other forms of letters. It is tried once for each disk
        and kind of name, with a file whose name begins with `temporary`: what is there under the other name
        belongs to another file.
        """
        for key in self._untried(directory, name):
            if not self._keeps(directory, temporary + key[1]):
                raise OSError(errno.EILSEQ, os.strerror(errno.EILSEQ), name)
            self._kept.add(key)

    def require_listed_name(self, directory: int, name: str) -> None:
        """Raise OSError with EILSEQ if the directory that was just made is listed under another name.

        The names are listed once for each disk and kind of name: there may be very many.
        """
        if untried := self._untried(directory, name):
            if name not in os.listdir(directory):
                raise OSError(errno.EILSEQ, os.strerror(errno.EILSEQ), name)
            self._kept.update(untried)

    def _untried(self, directory: int, name: str) -> list[tuple[int, str]]:
        """Return the device with each ending of this name that it is not known to keep."""
        endings = list(_changed_endings(name))
        device = os.fstat(directory).st_dev if endings else 0
        return [(device, ending) for ending in endings if (device, ending) not in self._kept]

    @staticmethod
    def _keeps(directory: int, name: str) -> bool:
        """Return whether a new file is listed under this name, whatever had it before. Raises OSError."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            descriptor = os.open(name, flags, 0o600, dir_fd=directory)
        except FileExistsError:  # left by a kill, or a link or pipe of another user
            os.unlink(name, dir_fd=directory)
            descriptor = os.open(name, flags, 0o600, dir_fd=directory)
        os.close(descriptor)
        try:
            if any(_inode_at(directory, other) for other in folded_names(name)):
                return name in os.listdir(directory)
            return True
        finally:
            os.unlink(name, dir_fd=directory)

    def unverified_ancestors(self, top: str, inner: str, key: str) -> list[str]:
        """Return directories on the way to `key`, below `inner`, whose names are not verified yet.

        Raises SameNameError if one is listed under another name. They are not opened for use: a directory
        that is read-only may be on the way to one that is not.
        """
        ancestors = []
        while len(key) > len(inner) and key not in self._verified:
            ancestors.append(key)
            above, _, name = key.rpartition("/")
            self._require_listed(f"{top}/{above}", name)
            key = above
        return ancestors

    def step(self, directory: int, name: str, key: str) -> None:
        """Verify the name of a directory in its open parent, which need not be readable.

        Raises SameNameError or OSError.
        """
        if key in self._verified:
            return
        try:
            self.require_exact_name(directory, name)
        except OSError as error:
            if error.errno not in _UNREADABLE:
                raise
        self.verify([key])

    def verify(self, ancestors: list[str]) -> None:
        """Remember that these directories exist under exactly these names."""
        for key in ancestors:
            self._verified.add(key)

    def _require_listed(self, path: str, name: str) -> None:
        """Check a name in a directory; if that cannot be read, opening it later reports the error."""
        with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                self.require_exact_name(directory, name)
            finally:
                os.close(directory)

    def _listed_name(self, directory: int, inode: InodeId, name: str) -> str | None:
        """Return the name that the directory lists in place of this one; None if it lists this one, too."""
        if self._read and self._read[0] == inode and name in self._read[1]:
            return None
        names = os.listdir(directory)
        self._read = inode, frozenset(names)
        if name in self._read[1]:
            return None
        found, folded = _inode_at(directory, name), _fold(name)
        if found is None:  # deleted since
            return None
        similar = [candidate for candidate in names if _fold(candidate) == folded]
        same = (candidate for candidate in names if _inode_at(directory, candidate) == found)
        return similar[0] if similar else next(same, name)


def folded_names(name: str) -> set[str]:
    """Return other spellings of a name, at least one of which every folding directory treats as equal."""
    cases = {name.swapcase(), name.translate(_OTHER_CASE)}
    return (cases | {normalize("NFC", name), normalize("NFD", name)} | _shortened(name)) - {name}


def _changed_endings(name: str) -> Iterator[str]:
    """Yield the endings of names that a file system changes if it would change this name."""
    if _shortened(name):
        yield name[-1]
    composed, decomposed = normalize("NFC", name), normalize("NFD", name)
    if composed != decomposed:
        endings = {composed: "\u00e9", decomposed: "e\u0301"}
        yield endings.get(name, "e\u0301\u00e9")


def _shortened(name: str) -> set[str]:
    """Return the name without dots and blanks at its end, if that is another one."""
    return {name.rstrip(". ")} - {name, ""}


def _fold(name: str) -> str:
    return normalize("NFD", normalize("NFD", name).casefold())


def _inode_at(directory: int, name: str) -> InodeId | None:
    try:
        return inode_of(os.stat(name, dir_fd=directory, follow_symlinks=False))
    except (OSError, ValueError):
        return None
