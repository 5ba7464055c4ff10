"""No path leaves its root: names resolved with their links followed, and looked at again once open.

Everything below a root is reached through descriptors of directories. A directory is opened at its resolved
path and must then still be inside the root, by the kernel's own word; a file is opened in its directory
without following a link. So a link, or a directory swapped for one meanwhile, leads nowhere.
"""

import errno
import os
import stat
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from agent.config import RootConfig
from agent.errors import HopError, shown
from events.base import Problem

OPEN_FOLDERS = 128
"""Descriptors that one `Tree` keeps open at most."""


class Roots:
    """The roots of this host, as its administrator has them now."""

    def __init__(self, roots: Iterable[RootConfig]) -> None:
        self._roots = tuple(roots)

    def reload(self, roots: Iterable[RootConfig]) -> None:
        self._roots = tuple(roots)

    def tree(self, path: str, *, writing: bool) -> "Tree":
        """What lies at an absolute path, to read or also write. HopError if the host does not allow it."""
        plain = "/" + path.strip("/")
        holding = [root for root in self._roots if is_below(plain, root.path)]
        if not holding or ".." in plain.split("/") or "\0" in plain:
            raise HopError(self._outside(plain))
        root = max(holding, key=lambda root: len(root.path))
        if writing and root.access != "rw":
            raise HopError(self._read_only(plain, root))
        inner = plain[len(root.path.rstrip("/")) :].strip("/")
        return Tree(root.folder, inner, path=plain)

    def _outside(self, path: str) -> Problem:
        return Problem(
            code="outside-roots",
            message=f"{shown(path)} is in none of this agent's roots.",
            advice=f"Its roots are {self._names(self._roots)}; its host's administrator can add one.",
            path=shown(path),
        )

    def _read_only(self, path: str, root: RootConfig) -> Problem:
        writable = [one for one in self._roots if one.access == "rw"]
        return Problem(
            code="read-only-root",
            message=f"{shown(path)} is in the root {root.path}, where nothing may be written.",
            advice=f"It may write in {self._names(writable)}.",
            path=shown(path),
        )

    @staticmethod
    def _names(roots: Iterable[RootConfig]) -> str:
        return ", ".join(root.path for root in roots) or "none"


def is_below(path: str, top: str) -> bool:
    """Is `path` the directory `top` or in it? By their names alone."""
    top = top.rstrip("/")
    return path.rstrip("/") == top or path.startswith(f"{top}/")


class Tree:
    """A place inside a root, a file or a directory, and all that lies below it.

    Paths are relative to the place, '' is the place itself; they use `os.fsdecode`'s surrogates for bytes
    that are not UTF-8. OSError with EXDEV says that a link leads out of the root. One thread at a time.
    """

    def __init__(self, top: Path, inner: str, *, path: str) -> None:
        self.path = path
        """The place as locations call it."""
        self._top = os.path.realpath(top)
        self._inner = inner
        self._folders: OrderedDict[str, int] = OrderedDict()

    def __enter__(self) -> "Tree":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        while self._folders:
            os.close(self._folders.popitem()[1])

    def name(self, rel: str) -> str:
        """A path below the place as locations call it."""
        return f"{self.path.rstrip('/')}/{rel}" if rel else self.path

    def folder(self, rel: str) -> int:
        """A directory's descriptor; it stays this tree's to close."""
        key = self._below_top(rel)
        return self._opened(key)

    def stat(self, rel: str) -> os.stat_result:
        """Of the thing itself, not of what a link points to."""
        parent, name = self._split(rel)
        return os.stat(name, dir_fd=parent, follow_symlinks=False)

    def open(self, rel: str, flags: int, mode: int = 0o666) -> int:
        """A file's descriptor, for the caller to close. A link is not followed: ELOOP."""
        parent, name = self._split(rel)
        return os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=parent)

    def open_followed(self, rel: str, flags: int) -> int:
        """The same, but a link is followed as long as it stays inside the root."""
        target = os.path.realpath(os.path.join(self._top, self._below_top(rel)))  # noqa: PTH118
        self._must_be_inside(target)
        descriptor = os.open(target, flags | os.O_NOFOLLOW | os.O_CLOEXEC)
        return self._checked(descriptor)

    def make_folder(self, rel: str) -> None:
        """The directory and those above it, where they are missing; FileExistsError if a file is there."""
        self._make(self._below_top(rel))

    def make_room(self, rel: str) -> None:
        """The directory that `rel` is to stand in."""
        self._make(self._below_top(rel).rpartition("/")[0])

    def link(self, rel: str, target: str) -> None:
        """A symbolic link, in place of whatever link or file was there."""
        parent, name = self._split(rel)
        half_done = f".crosshaul-{os.urandom(8).hex()}"
        os.symlink(target, half_done, dir_fd=parent)
        try:
            os.rename(half_done, name, src_dir_fd=parent, dst_dir_fd=parent)
        except OSError:
            os.unlink(half_done, dir_fd=parent)
            raise

    def readlink(self, rel: str) -> str:
        parent, name = self._split(rel)
        return os.readlink(name, dir_fd=parent)

    def open_beside(self, rel: str, name: str, flags: int, mode: int = 0o666) -> int:
        """The descriptor of the file called `name` in the directory that `rel` is in, or is to be in."""
        parent, _ = self._split(rel)
        return os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=parent)

    def put(self, name: str, rel: str) -> None:
        """The file called `name` beside it becomes `rel`, in place of whatever file was there."""
        parent, own = self._split(rel)
        os.rename(name, own, src_dir_fd=parent, dst_dir_fd=parent)

    def unlink_beside(self, rel: str, name: str) -> None:
        parent, _ = self._split(rel)
        os.unlink(name, dir_fd=parent)

    def unlink(self, rel: str) -> None:
        parent, name = self._split(rel)
        os.unlink(name, dir_fd=parent)

    def set_times(self, rel: str, mtime_ns: int, mode: int) -> None:
        """Of a directory."""
        descriptor = self.folder(rel)
        os.fchmod(descriptor, mode | stat.S_IRWXU)
        os.utime(descriptor, ns=(mtime_ns, mtime_ns))

    def resolved(self, rel: str = "") -> str:
        """The host's own path, with links followed, for programs that take paths; EXDEV if it leads out."""
        target = os.path.realpath(os.path.join(self._top, self._below_top(rel)))  # noqa: PTH118
        self._must_be_inside(target)
        return target

    def _below_top(self, rel: str) -> str:
        return "/".join(part for part in (self._inner, rel) if part)

    def _split(self, rel: str) -> tuple[int, str]:
        """The descriptor of the directory that something is in, and its name there."""
        parent, _, name = self._below_top(rel).rpartition("/")
        return self._opened(parent), name or "."

    def _opened(self, key: str) -> int:
        if key in self._folders:
            self._folders.move_to_end(key)
            self._must_be_inside(_where(self._folders[key]))  # it may have been moved since
            return self._folders[key]
        target = os.path.realpath(os.path.join(self._top, key))  # noqa: PTH118
        self._must_be_inside(target)
        descriptor = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        self._folders[key] = self._checked(descriptor)
        if len(self._folders) > OPEN_FOLDERS:
            os.close(self._folders.popitem(last=False)[1])
        return descriptor

    def _make(self, key: str) -> None:
        if not key:
            return
        try:
            self._opened(key)
        except FileNotFoundError:
            parent, _, name = key.rpartition("/")
            self._make(parent)
            try:
                os.mkdir(name, dir_fd=self._opened(parent))
            except FileExistsError:  # made by another thread, or a link that leads to nothing
                self._opened(key)

    def _checked(self, descriptor: int) -> int:
        try:
            self._must_be_inside(_where(descriptor))
        except OSError:
            os.close(descriptor)
            raise
        return descriptor

    def _must_be_inside(self, target: str) -> None:
        if not (self._top == "/" or is_below(target, self._top)):
            raise OSError(errno.EXDEV, "a symbolic link leads out of the root", target)


def _where(descriptor: int) -> str:
    """By the kernel's own word."""
    return os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115
