"""Listing a directory for people: inside the roots only, a page at a time, however large it is.

Above the roots there are directories that stand for the way to them, so that `/` leads somewhere.
"""

import errno
import heapq
import os
import stat
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeVar

from agent.config import RootConfig
from agent.errors import display_path
from agent.files.roots import Roots, is_below
from events.base import Problem
from events.commands import Browse
from events.locations import alike
from events.reports import Browsed, DirectoryEntry

Found = TypeVar("Found")
Kind = Literal["file", "directory", "symlink", "other"]


class Browser:
    """Answers `Browse` commands; call it from a thread, it waits for disks."""

    def __init__(
        self,
        roots: Iterable[RootConfig],
        private: Path | None = None,
        on_remote: Callable[[Browse], Browsed] | None = None,
    ) -> None:
        """`private` as in `Roots`; `on_remote` answers what is not about the host's own disks."""
        self._roots = tuple(roots)
        self._private = private
        self._on_remote = on_remote

    def reload(self, roots: Iterable[RootConfig]) -> None:
        self._roots = tuple(roots)

    def __call__(self, asked: Browse) -> Browsed:
        if asked.remote is not None and self._on_remote:
            return self._on_remote(asked)
        path = "/" + asked.path.strip("/")
        if not any(is_below(path, root.path) for root in self._roots):
            return self._way_to_roots(asked, path)
        try:
            tree = Roots(self._roots, self._private).tree(path, writing=False)
            with tree, os.scandir(tree.open_directory("")) as found:
                return list_page(asked, ((display_path(entry.name), entry) for entry in found), _entry)
        except OSError as error:
            return Browsed(request_id=asked.request_id, problem=describe_os_error(asked.path, error))

    def _way_to_roots(self, asked: Browse, path: str) -> Browsed:
        below = [root.path.strip("/") for root in self._roots if is_below(root.path, path)]
        if not below:
            return Browsed(request_id=asked.request_id, problem=self._outside(asked.path))
        skip = len(path.strip("/").split("/")) if path != "/" else 0
        names = {place.split("/")[skip] for place in below}
        return list_page(
            asked,
            ((name, name) for name in names),
            lambda _, name: DirectoryEntry(name=name, type="directory"),
        )

    def _outside(self, path: str) -> Problem:
        allowed = ", ".join(root.path for root in self._roots)
        return Problem(
            code="outside-roots",
            message=f"{path} is in none of this agent's roots",
            advice=f"Its roots are {allowed}; the host's administrator can add one in agent.toml.",
            path=path,
        )


def list_page(
    asked: Browse, found: Iterable[tuple[str, Found]], entry: Callable[[str, Found], DirectoryEntry]
) -> Browsed:
    """The first of the names asked for, in code-point order; only so many are ever held."""
    after, sought = asked.after or "", alike(asked.find)
    wanted = (pair for pair in found if pair[0] > after and sought in alike(pair[0]))
    first = heapq.nsmallest(asked.limit + 1, wanted, key=lambda pair: pair[0])
    entries = tuple(entry(name, about) for name, about in first[: asked.limit])
    more = len(first) > asked.limit
    return Browsed(request_id=asked.request_id, entries=entries, next=entries[-1].name if more else None)


def _entry(name: str, entry: os.DirEntry[str]) -> DirectoryEntry:
    utf8 = name == entry.name
    try:
        about = entry.stat(follow_symlinks=False)
    except OSError:  # it went away while we looked
        return DirectoryEntry(name=name, utf8=utf8, type="other")
    kind = _kind(about.st_mode)
    size = about.st_size if kind == "file" else None
    return DirectoryEntry(name=name, utf8=utf8, type=kind, size=size, modified=_moment(about.st_mtime))


def _kind(mode: int) -> Kind:
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "directory"
    return "symlink" if stat.S_ISLNK(mode) else "other"


def _moment(seconds: float) -> datetime | None:
    """None for a time beyond the calendar."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return None


_WORDS = {
    errno.ENOENT: ("path-missing", "There is no such directory.", "See that the path is right."),
    errno.ENOTDIR: ("not-a-directory", "This is no directory.", "Browse the directory it is in."),
    errno.EACCES: ("not-readable", "The agent may not read it.", "Give the agent's user access to it."),
    errno.EXDEV: ("outside-roots", "A symbolic link leads out of the root.", "Name a path in a root."),
    errno.ENAMETOOLONG: ("path-missing", "A name in it is too long.", "See that the path is right."),
}


def describe_os_error(path: str, error: OSError) -> Problem:
    """Why a directory cannot be listed."""
    words = f"It cannot be read: {os.strerror(error.errno or errno.EIO)}."
    code, message, advice = _WORDS.get(error.errno or 0, ("not-readable", words, "See the agent's log."))
    return Problem(code=code, message=f"{path}: {message}", advice=advice, path=path)
