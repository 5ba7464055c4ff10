"""What can go wrong with a hop, as one exception that carries the words people read."""

import errno
import os
from collections.abc import Sequence

from events.base import Problem, display_text


class HopError(Exception):
    """The hop, or one attempt at it, ends here.

    `failures` are single files that did not arrive; `failures_total` counts them all.
    """

    def __init__(self, problem: Problem, failures: Sequence[Problem] = (), failures_total: int = 0) -> None:
        super().__init__(problem.message)
        self.problem = problem
        self.failures = tuple(failures)
        self.failures_total = max(failures_total, len(self.failures))


def unforeseen(error: Exception) -> Problem:
    """Return what to say of an error that was not expected. A fault of the host may pass; a mistake of ours
    stays, and its traceback is in the log."""
    return Problem(
        code="agent-error",
        message=f"{type(error).__name__}: {error}",
        advice="see the agent's log (journalctl -u crosshaul-agent) on that host",
        retryable=isinstance(error, OSError),
    )


def filter_refused(reason: ValueError) -> Problem:
    """Patterns that mean nothing, or cost too much."""
    return Problem(
        code="filter-refused",
        message=f"The filters cannot be used: {reason}.",
        advice="Ask for the transfer again with other filters; for a template, change it.",
    )


class SameNameError(FileExistsError):
    """To that file system a name is one with another that stands there."""

    def __init__(self, other: str) -> None:
        """`other`: the very name of what stands there."""
        super().__init__(errno.EEXIST, os.strerror(errno.EEXIST))
        self.other = other


class PlaceError(OSError):
    """At the destination a path is not a place of its own: nothing is read, written or removed there."""


class InTheWayError(PlaceError):
    """Something else stands where a directory belongs."""

    def __init__(self, path: str, *, is_link: bool) -> None:
        """`path` is that of what stands there, as locations call it; `is_link`: a symbolic link."""
        super().__init__(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        self.path = path
        self.is_link = is_link


class SamePlaceError(PlaceError):
    """A directory is mounted at the destination a second time, under another path."""

    def __init__(self, path: str, other: str) -> None:
        super().__init__(errno.EEXIST, os.strerror(errno.EEXIST))
        self.path = path
        self.other = other


def display_path(path: str) -> str:
    """A path that can be sent and printed: bytes that are not UTF-8 as \\xff."""
    return display_text(path)


_FULL = {errno.ENOSPC, errno.EDQUOT}


def is_fatal(error: OSError) -> bool:
    """Would every further file fail alike?"""
    return error.errno in _FULL | {errno.EROFS, errno.EIO}


_WORDS: dict[int, tuple[str, str, str]] = {
    errno.ENOENT: ("source-missing", "is not there", "See that the path is right."),
    errno.EACCES: ("permission-denied", "is not open to the agent's user", "Give that user access to it."),
    errno.EPERM: ("permission-denied", "is not open to the agent's user", "Give that user access to it."),
    errno.ENOSPC: ("destination-full", "has no room left", "Free some space; it goes on by itself."),
    errno.EDQUOT: ("destination-full", "is over its quota", "Free some space; it goes on by itself."),
    errno.EFBIG: (
        "file-too-large",
        "is larger than that file system can hold",
        "Choose another destination.",
    ),
    errno.EROFS: ("destination-read-only", "is on a read-only file system", "Mount it for writing."),
    errno.ENAMETOOLONG: ("name-too-long", "has a name too long for that file system", "Shorten the name."),
    errno.ENOTDIR: ("not-a-directory", "is no directory", "Name the file without a slash at its end."),
    errno.EISDIR: ("is-a-directory", "is a directory where a file should be", "Move it away or rename one."),
    errno.EEXIST: ("in-the-way", "is in the way", "Move it away or rename one."),
    errno.ENOTEMPTY: ("in-the-way", "is in the way", "Move it away or rename one."),
    errno.ELOOP: ("outside-roots", "leads through a symbolic link", "Name a path without links."),
    errno.EXDEV: (
        "outside-roots",
        "leads out of the root, or into one that is read-only",
        "Name a path inside one of the agent's roots.",
    ),
}
_RETRYABLE = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ESTALE}


def problem_of(error: OSError, path: str) -> Problem:
    """An operating system's error about a path, in words."""
    if isinstance(error, SameNameError):
        return _same_name(display_path(path), display_path(error.other))
    if isinstance(error, InTheWayError):
        return _in_the_way(display_path(path), display_path(error.path), is_link=error.is_link)
    if isinstance(error, SamePlaceError):
        return _same_place(display_path(path), display_path(error.path), display_path(error.other))
    number = error.errno or errno.EIO
    general = ("io-error", f"cannot be used: {os.strerror(number)}", "See the host's own log.")
    code, words, advice = _WORDS.get(number, general)
    name = display_path(path)
    return Problem(
        code=code, message=f"{name} {words}.", advice=advice, path=name, retryable=number in _RETRYABLE
    )


def _same_name(path: str, other: str) -> Problem:
    return Problem(
        code="name-collision",
        message=f"{path} cannot stand beside {other}: that file system takes the two names for one.",
        advice="Rename one of the two, or choose a destination that tells them apart. What stands there was "
        "not touched.",
        path=path,
    )


def _in_the_way(path: str, obstacle: str, *, is_link: bool) -> Problem:
    if is_link:
        code, what = "link-in-the-way", "is a symbolic link"
        advice = (
            "Remove the link, or name the directory that it leads to as the destination of a transfer of its "
            "own. What it leads to was not touched."
        )
    else:
        code, what, advice = "in-the-way", "is not a directory", "Move it away or rename one of the two."
    below = "" if path == obstacle else f"{path} cannot be written: "
    words = f"{below}{obstacle} {what}, and a directory belongs there."
    return Problem(code=code, message=words, advice=advice, path=path)


def _same_place(path: str, one: str, other: str) -> Problem:
    below = "" if path == one else f"{path} is not used: "
    return Problem(
        code="mounted-twice",
        message=f"{below}{one} is the same directory as {other}, mounted a second time.",
        advice="Unmount one of them, or leave one out with --exclude. Nothing was written under this path.",
        path=path,
    )


class HostError(Exception):
    """Something on this host, or in what it was given, keeps the agent from going on."""

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice
