"""List a directory for people: inside the roots only, one page at a time, however large it is.

Above the roots, the directories on the way to them are listed, so that `/` leads somewhere.
"""

import errno
import heapq
import os
import stat
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeVar

from agent import problems
from agent.config import RootConfig
from agent.errors import display_path
from agent.files.paths import is_below
from agent.files.roots import Roots
from events.base import Problem
from events.commands import Browse
from events.locations import alike
from events.reports import Browsed, DirectoryEntry

Found = TypeVar("Found")
Kind = Literal["file", "directory", "symlink", "other"]


class Browser:
    """Answers `Browse` commands. Call it from a thread: it waits for disks."""

    def __init__(
        self,
        roots: Iterable[RootConfig],
        private: Path | None = None,
        on_remote: Callable[[Browse], Browsed] | None = None,
    ) -> None:
        """Create a browser.

        `private` is the agent's state directory, as in `Roots`; `on_remote` answers for rclone's remotes.
        """
        self._roots = tuple(roots)
        self._private = private
        self._on_remote = on_remote

    def reload(self, roots: Iterable[RootConfig]) -> None:
        """Use the roots of a changed agent.toml from now on."""
        self._roots = tuple(roots)

    def __call__(self, command: Browse) -> Browsed:
        """Return one page of a directory, or the problem with it."""
        if command.remote is not None and self._on_remote:
            return self._on_remote(command)
        path = "/" + command.path.strip("/")
        if not any(is_below(path, root.path) for root in self._roots):
            return self._list_above_roots(command, path)
        try:
            tree = Roots(self._roots, self._private).tree(path, writing=False)
            with tree, os.scandir(tree.open_directory("")) as found:
                return list_page(command, ((display_path(entry.name), entry) for entry in found), _entry)
        except OSError as error:
            return Browsed(request_id=command.request_id, problem=describe_os_error(command.path, error))

    def _list_above_roots(self, command: Browse, path: str) -> Browsed:
        below = [root.path.strip("/") for root in self._roots if is_below(root.path, path)]
        if not below:
            return Browsed(request_id=command.request_id, problem=self._outside(command.path))
        skip = len(path.strip("/").split("/")) if path != "/" else 0
        names = {root.split("/")[skip] for root in below}
        return list_page(
            command,
            ((name, name) for name in names),
            lambda _, name: DirectoryEntry(name=name, type="directory"),
        )

    def _outside(self, path: str) -> Problem:
        allowed = ", ".join(root.path for root in self._roots)
        return problems.OUTSIDE_ROOTS.problem(path=path, roots=allowed)


def list_page(
    command: Browse, found: Iterable[tuple[str, Found]], entry: Callable[[str, Found], DirectoryEntry]
) -> Browsed:
    """Return one page of matching names in code-point order; only that many are kept in memory."""
    after, search = command.after or "", alike(command.find)
    matching = (pair for pair in found if pair[0] > after and search in alike(pair[0]))
    first = heapq.nsmallest(command.limit + 1, matching, key=lambda pair: pair[0])
    entries = tuple(entry(name, status) for name, status in first[: command.limit])
    more = len(first) > command.limit
    return Browsed(request_id=command.request_id, entries=entries, next=entries[-1].name if more else None)


def _entry(name: str, entry: os.DirEntry[str]) -> DirectoryEntry:
    utf8 = name == entry.name
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError:  # it was deleted in the meantime
        return DirectoryEntry(name=name, utf8=utf8, type="other")
    kind = _kind(status.st_mode)
    size = status.st_size if kind == "file" else None
    return DirectoryEntry(name=name, utf8=utf8, type=kind, size=size, modified=_timestamp(status.st_mtime))


def _kind(mode: int) -> Kind:
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "directory"
    return "symlink" if stat.S_ISLNK(mode) else "other"


def _timestamp(seconds: float) -> datetime | None:
    """Return the time; None if it is beyond the calendar."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return None


_PROBLEM_TYPES = {
    errno.ENOENT: problems.PATH_MISSING,
    errno.ENOTDIR: problems.NOT_BROWSABLE,
    errno.EACCES: problems.NOT_READABLE_BY_USER,
    errno.ELOOP: problems.PATH_THROUGH_LINK,
    errno.EXDEV: problems.LINK_LEAVES_ROOT,
    errno.ENAMETOOLONG: problems.PATH_TOO_LONG,
}


def describe_os_error(path: str, error: OSError) -> Problem:
    """Return the problem to report for a directory that cannot be listed."""
    number = error.errno or errno.EIO
    return _PROBLEM_TYPES.get(number, problems.NOT_READABLE).problem(path=path, reason=os.strerror(number))
