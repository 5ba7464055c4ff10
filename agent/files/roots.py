"""No path leaves its root: names resolved with their links followed, and looked at again once open.

Everything below a root is reached through descriptors of directories. A directory is opened at its resolved
path and must then still be inside the root, by the kernel's own word, and again while it is kept open; a file
is opened in its directory without following a link. So a link, or a directory swapped for one or moved away
meanwhile, leads nowhere. Below a hop's destination no link is followed at all: each directory is opened in
the one before, and must be one.
"""

import errno
import os
import stat
import time
from collections import OrderedDict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from agent.config import RootConfig
from agent.errors import HopError, InTheWayError, SamePlaceError, display_path
from agent.files import disk, mounts
from agent.files.name_folding import NameFolding
from events.base import Problem

MAX_OPEN_DIRECTORIES = 32
"""Descriptors that one `Tree` keeps open at most: every thread of a hop has a tree, and a process may have
no more than 1,024 descriptors."""
DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
PASSED = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
DIRECTORY_CHECK_TTL_S = 1.0
"""Seconds for which a directory that is kept open is believed to be where it was."""


class Roots:
    """The roots of this host, as its administrator has them now."""

    def __init__(self, roots: Iterable[RootConfig], private: Path | None = None) -> None:
        """`private` is the agent's own directory, with its keys: in no root, though one may hold it."""
        self._roots = tuple(roots)
        self._private = os.path.realpath(private) if private else None

    def reload(self, roots: Iterable[RootConfig]) -> None:
        self._roots = tuple(roots)

    def destination(self, path: str) -> "Tree":
        """The place at an absolute path, to be written to by a hop: below it no link is followed. HopError if
        the host does not allow it."""
        return self.tree(path, writing=True, following=False)

    def tree(self, path: str, *, writing: bool, following: bool = True) -> "Tree":
        """What lies at an absolute path, to read or also write; with links below it `following` where they
        lead, inside the root. HopError if the host does not allow it."""
        plain = "/" + path.strip("/")
        holding = [root for root in self._roots if is_below(plain, root.path)]
        if not holding or ".." in plain.split("/") or "\0" in plain:
            raise HopError(self._outside(plain))
        root = max(holding, key=lambda root: len(root.path))
        if writing and root.access != "rw":
            raise HopError(self._read_only(plain, root))
        inner = plain[len(root.path.rstrip("/")) :].strip("/")
        nested = self._nested() if writing else ()
        return Tree(
            root.folder,
            inner,
            path=plain,
            nested=nested,
            private=self._private,
            writing=writing,
            following=following,
        )

    def _nested(self) -> tuple["Nested", ...]:
        return tuple((os.path.realpath(root.folder), root.access == "rw") for root in self._roots)

    def _outside(self, path: str) -> Problem:
        return Problem(
            code="outside-roots",
            message=f"{display_path(path)} is in none of this agent's roots.",
            advice=f"Its roots are {self._names(self._roots)}; its host's administrator can add one.",
            path=display_path(path),
        )

    def _read_only(self, path: str, root: RootConfig) -> Problem:
        writable = [one for one in self._roots if one.access == "rw"]
        return Problem(
            code="read-only-root",
            message=f"{display_path(path)} is in the root {root.path}, where nothing may be written.",
            advice=f"It may write in {self._names(writable)}.",
            path=display_path(path),
        )

    @staticmethod
    def _names(roots: Iterable[RootConfig]) -> str:
        return ", ".join(root.path for root in roots) or "none"


def is_below(path: str, top: str) -> bool:
    """Is `path` the directory `top` or in it? By their names alone."""
    top = top.rstrip("/")
    return path.rstrip("/") == top or path.startswith(f"{top}/")


Nested = tuple[str, bool]
"""A root's directory, and whether it may be written."""


@dataclass(slots=True)
class _OpenDirectory:
    """A directory that is kept open."""

    descriptor: int
    place: str
    """Where it was, by the kernel's word."""
    looked_at: float


class Tree:
    """A place inside a root, a file or a directory, and all that lies below it.

    Paths are relative to the place, '' is the place itself; they use `os.fsdecode`'s surrogates for bytes
    that are not UTF-8. OSError with EXDEV says that a link leads out of the root. One thread at a time.
    """

    def __init__(
        self,
        top: Path,
        inner: str,
        *,
        path: str,
        nested: Iterable[Nested] = (),
        private: str | None = None,
        writing: bool = False,
        following: bool = True,
    ) -> None:
        """`nested` are roots that may lie in this one: what the innermost allows counts. For `writing`,
        directories are opened by their very names only, though the file system may take others for the same:
        SameNameError. Without `following`, links are followed only on the way to the place. Below it there
        are directories and nothing else on the way to anything, each of them under one path: InTheWayError,
        SamePlaceError."""
        self.path = path
        """The place as locations call it."""
        self._top = os.path.realpath(top)
        self._inner = inner
        self._private = private
        self._nested = [one for one in nested if one[0] != self._top and is_below(one[0], self._top)]
        self._folders: OrderedDict[str, _OpenDirectory] = OrderedDict()
        self._spelling = NameFolding() if writing else None
        self._following = following
        self._doubled = {} if following else self._second_names()
        """Of directories below the place that are there under another path, too: that path."""

    def __enter__(self) -> "Tree":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        while self._folders:
            os.close(self._folders.popitem()[1].descriptor)

    def name(self, rel: str) -> str:
        """A path below the place as locations call it."""
        return f"{self.path.rstrip('/')}/{rel}" if rel else self.path

    def open_directory(self, rel: str) -> int:
        """A directory's descriptor; it stays this tree's to close, and may be closed by the next call."""
        return self._opened(self._below_top(rel))

    def nearest_existing(self) -> int:
        """The descriptor of the place's directory, or of the first above it that is there; like `folder`."""
        key = self._inner
        while key:
            try:
                return self._opened(key)
            except (FileNotFoundError, NotADirectoryError):
                key = key.rpartition("/")[0]
        return self._opened("")

    def nearest_place(self) -> tuple[str, str, str]:
        """The location of the place's directory, or of the first above it that is there; the names from the
        root down to there; and from there down to the place."""
        key, place, below = self._inner, self.path.rstrip("/"), ""
        while key:
            try:
                self._opened(key)
                break
            except (FileNotFoundError, NotADirectoryError):
                key = key.rpartition("/")[0]
                place, _, name = place.rpartition("/")
                below = f"{name}/{below}" if below else name
        return place or "/", key, below

    def real_path(self, rel: str = "") -> str:
        """Where a thing is, links on the way followed, by the kernel's word."""
        try:
            return _place_of(self.open_directory(rel))
        except NotADirectoryError:
            parent, name = self._split(rel)
            os.stat(name, dir_fd=parent, follow_symlinks=False)
            return f"{_place_of(parent).rstrip('/')}/{name}"

    def names_beside(self) -> list[str]:
        """Of all that is in the directory that the place is in."""
        return os.listdir(self._split("")[0])  # noqa: PTH208 - of a descriptor

    def stat(self, rel: str) -> os.stat_result:
        """Of the thing itself, not of what a link points to."""
        parent, name = self._split(rel)
        return os.stat(name, dir_fd=parent, follow_symlinks=False)

    def stat_exact(self, rel: str) -> os.stat_result:
        """The same of what goes by that very name; SameNameError."""
        parent, name = self._split(rel)
        found = os.stat(name, dir_fd=parent, follow_symlinks=False)
        self._must_be_so_called(parent, name)
        return found

    def require_exact_name(self, rel: str) -> None:
        """SameNameError if what stands there goes by another name, and is only found by this one."""
        self._must_be_so_called(*self._split(rel))

    def _must_be_so_called(self, parent: int, name: str) -> None:
        if self._spelling and name != ".":
            self._spelling.require_exact_name(parent, name)

    def open(self, rel: str, flags: int, mode: int = 0o666) -> int:
        """A file's descriptor, for the caller to close. A link is not followed: ELOOP."""
        parent, name = self._split(rel)
        return os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=parent)

    def open_followed(self, rel: str, flags: int) -> int:
        """The same, but a link is followed as long as it stays inside the root. Below a place that is not
        `following` it is not: ELOOP."""
        if rel and not self._following:
            return self.open(rel, flags)
        target = os.path.realpath(os.path.join(self._top, self._below_top(rel)))  # noqa: PTH118
        self._must_be_inside(target)
        descriptor = os.open(target, flags | os.O_NOFOLLOW | os.O_CLOEXEC)
        self._checked(descriptor)
        return descriptor

    def make_directory(self, rel: str) -> None:
        """The directory and those above it, where they are missing; FileExistsError if a file is there."""
        self._make(self._below_top(rel))

    def open_parent(self, rel: str) -> tuple[int, str]:
        """The directory that `rel` is to stand in, made where it is missing, and the name of `rel` there. The
        descriptor is like `folder`'s."""
        key = self._below_top(rel)
        self._must_be_single(key)
        parent, _, name = key.rpartition("/")
        try:
            return self._opened(parent), name or "."
        except (FileNotFoundError, NotADirectoryError):
            self._make(parent)
            return self._opened(parent), name or "."

    def link(self, rel: str, target: str) -> None:
        """A symbolic link, in place of whatever link or file was there."""
        parent, _ = self._split(rel)
        half_done = f".crosshaul-{os.urandom(8).hex()}"
        os.symlink(target, half_done, dir_fd=parent)
        try:
            self.rename_new(half_done, rel)
        except OSError:
            self.unlink_beside(rel, half_done)
            raise

    def hard_link(self, rel: str, target: str) -> None:
        """Another name for the file `target`, in place of whatever link or file was there."""
        parent, _ = self._split(rel)
        there = os.dup(parent)  # what is opened for the target may close it
        half_done = f".crosshaul-{os.urandom(8).hex()}"
        try:
            beside, own = self._split(target)
            os.link(own, half_done, src_dir_fd=beside, dst_dir_fd=there, follow_symlinks=False)
            try:
                self.rename_new(half_done, rel)
            finally:  # if it was the same file already, the rename did nothing
                with suppress(FileNotFoundError):
                    os.unlink(half_done, dir_fd=there)
        finally:
            os.close(there)

    def readlink(self, rel: str) -> str:
        parent, name = self._split(rel)
        return os.readlink(name, dir_fd=parent)

    def open_beside(self, rel: str, name: str, flags: int, mode: int = 0o666) -> int:
        """The descriptor of the file called `name` in the directory that `rel` is in, or is to be in."""
        parent, _ = self._split(rel)
        return os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=parent)

    def make_writable(self, rel: str, name: str) -> None:
        """The file called `name` beside it, for its owner alone: whatever its mode forbids."""
        parent, _ = self._split(rel)
        descriptor = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        try:
            os.chmod(f"/proc/self/fd/{descriptor}", 0o600)  # noqa: PTH101
        finally:
            os.close(descriptor)

    def stat_beside(self, rel: str, name: str) -> os.stat_result:
        parent, _ = self._split(rel)
        return os.stat(name, dir_fd=parent, follow_symlinks=False)

    def rename_new(self, name: str, rel: str) -> None:
        """The file called `name` beside it becomes `rel`, in place of whatever file was there under that very
        name; SameNameError if it goes by another."""
        parent, own = self._split(rel)
        if not disk.rename_new(name, parent, own, parent):
            self.rename_over(name, rel)

    def rename_over(self, name: str, rel: str) -> None:
        """The same where it is known that something is there, or may be."""
        self.require_exact_name(rel)
        parent, own = self._split(rel)
        os.rename(name, own, src_dir_fd=parent, dst_dir_fd=parent)

    def unlink_beside(self, rel: str, name: str) -> None:
        parent, _ = self._split(rel)
        os.unlink(name, dir_fd=parent)

    def unlink(self, rel: str) -> None:
        parent, name = self._split(rel)
        os.unlink(name, dir_fd=parent)

    def remove_directory(self, rel: str) -> None:
        """A directory that is empty; of a link to one, the link itself is not touched: ENOTDIR."""
        key = self._below_top(rel)
        parent, name = self._split(rel)
        os.rmdir(name, dir_fd=parent)
        if stale := self._folders.pop(key, None):
            os.close(stale.descriptor)

    def set_times(self, rel: str, mtime_ns: int, mode: int) -> None:
        """Of a directory."""
        descriptor = self.open_directory(rel)
        os.fchmod(descriptor, mode | stat.S_IRWXU)
        os.utime(descriptor, ns=(mtime_ns, mtime_ns))

    def change_owner(self, rel: str, user_id: int, group_id: int) -> None:
        """To whom it is to belong: the thing itself, not what a link points to."""
        parent, name = self._split(rel)
        found = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if (found.st_uid, found.st_gid) != (user_id, group_id):
            os.chown(name, user_id, group_id, dir_fd=parent, follow_symlinks=False)

    def _below_top(self, rel: str) -> str:
        if ".." in rel and ".." in rel.split("/"):
            raise OSError(errno.EXDEV, "a path leads upwards", rel)
        return f"{self._inner}/{rel}" if self._inner and rel else self._inner or rel

    def _split(self, rel: str) -> tuple[int, str]:
        """The descriptor of the directory that something is in, and its name there."""
        key = self._below_top(rel)
        self._must_be_single(key)
        parent, _, name = key.rpartition("/")
        return self._opened(parent), name or "."

    def _opened(self, key: str) -> int:
        known = self._folders.get(key)
        if known and self._is_still_there(known):
            self._folders.move_to_end(key)
            return known.descriptor
        if known:
            os.close(self._folders.pop(key).descriptor)
        opened = self._open_folder(key)
        self._folders[key] = opened
        if len(self._folders) > MAX_OPEN_DIRECTORIES:
            os.close(self._folders.popitem(last=False)[1].descriptor)
        return opened.descriptor

    @staticmethod
    def _is_still_there(folder: _OpenDirectory) -> bool:
        now = time.monotonic()
        if now - folder.looked_at >= DIRECTORY_CHECK_TTL_S:
            if _place_of(folder.descriptor) != folder.place:
                return False
            folder.looked_at = now
        return True

    def _open_folder(self, key: str) -> _OpenDirectory:
        if not self._following and len(key) > len(self._inner):
            below = self._opened_step_by_step(key)
            return _OpenDirectory(below, self._checked(below), time.monotonic())
        way = self._spelling.unverified_ancestors(self._top, self._inner, key) if self._spelling else []
        descriptor = self._opened_in_parent(key)
        if descriptor is None:
            target = os.path.realpath(os.path.join(self._top, key))  # noqa: PTH118
            self._must_be_inside(target)
            descriptor = os.open(target, DIRECTORY_FLAGS)
        opened = _OpenDirectory(descriptor, self._checked(descriptor), time.monotonic())
        if self._spelling:
            self._spelling.verify(way)
        return opened

    def _opened_in_parent(self, key: str) -> int | None:
        """The short way, for a plain directory in one that is open already."""
        parent, _, name = key.rpartition("/")
        if not name or parent not in self._folders:
            return None
        try:
            return os.open(name, DIRECTORY_FLAGS, dir_fd=self._opened(parent))
        except OSError:  # a link, or nothing
            return None

    def _opened_step_by_step(self, key: str) -> int:
        """A directory below the place, each on the way opened in the one before, from the last that is open
        already. InTheWayError, SamePlaceError, SameNameError."""
        way = key.rpartition("/")[0]
        while len(way) > len(self._inner) and way not in self._folders:
            way = way.rpartition("/")[0]
        names = key[len(way) :].strip("/").split("/")
        descriptor, is_ours = self._opened(way), False
        for name in names:
            way = f"{way}/{name}" if way else name
            try:
                below = self._step(descriptor, name, way, is_last=way == key)
            finally:
                if is_ours:
                    os.close(descriptor)
            descriptor, is_ours = below, True
        return descriptor

    def _step(self, folder: int, name: str, key: str, *, is_last: bool) -> int:
        """The directory called `name` in an open one; one that is only passed need not be readable."""
        self._must_be_single(key)
        try:
            descriptor = os.open(name, DIRECTORY_FLAGS, dir_fd=folder)
        except PermissionError:
            if is_last:
                raise
            descriptor = os.open(name, PASSED, dir_fd=folder)
        except OSError as error:
            if error.errno not in {errno.ENOTDIR, errno.ELOOP}:
                raise
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
            raise InTheWayError(self._named(key), is_link=stat.S_ISLNK(found.st_mode)) from error
        try:
            if self._spelling:
                self._spelling.step(folder, name, key)
        except OSError:
            os.close(descriptor)
            raise
        return descriptor

    def _must_be_single(self, key: str) -> None:
        """SamePlaceError for a directory that is mounted below the place a second time."""
        if self._doubled and (other := self._doubled.get(key)):
            raise SamePlaceError(self._named(key), other)

    def _second_names(self) -> dict[str, str]:
        place = os.path.realpath(os.path.join(self._top, self._inner))  # noqa: PTH118
        doubled = mounts.doubled(place)
        keys = (self._below_top(rel) for rel in doubled)
        return dict(zip(keys, map(self.name, doubled.values()), strict=True))

    def _named(self, key: str) -> str:
        """What is below the place, as locations call it."""
        return self.name(key[len(self._inner) :].lstrip("/"))

    def _make(self, key: str) -> None:
        missing = []
        while key and not self._stands(key):
            missing.append(key)
            key = key.rpartition("/")[0]
        for one in reversed(missing):
            self._make_one(one)

    def _make_one(self, key: str) -> None:
        parent, _, name = key.rpartition("/")
        try:
            os.mkdir(name, dir_fd=self._opened(parent))
        except FileExistsError:  # made by another thread, or a link that leads to nothing
            if not self._stands(key):
                raise

    def _stands(self, key: str) -> bool:
        """Is there a directory? FileExistsError if there is something else."""
        try:
            self._opened(key)
        except FileNotFoundError:
            return False
        except NotADirectoryError as error:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), key) from error
        return True

    def _checked(self, descriptor: int) -> str:
        """Where an open thing is; it is closed if that is not inside the root."""
        try:
            place = _place_of(descriptor)
            self._must_be_inside(place)
        except OSError:
            os.close(descriptor)
            raise
        return place

    def _must_be_inside(self, target: str) -> None:
        if not is_below(target, self._top):
            raise OSError(errno.EXDEV, "a symbolic link leads out of the root", target)
        if self._private and is_below(target, self._private):
            raise OSError(errno.EXDEV, "the agent's own directory is in no root", target)
        holding = [one for one in self._nested if is_below(target, one[0])]
        if holding and not max(holding, key=lambda one: (len(one[0]), one[1]))[1]:
            raise OSError(errno.EXDEV, "a root that is read-only lies in this one", target)


def _place_of(descriptor: int) -> str:
    """By the kernel's word; of something that was deleted it is another place."""
    return os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115
