"""What can go wrong with a hop: exceptions that carry the text people read."""

import errno
import os
from collections.abc import Sequence

from events.base import Problem, display_text


class HopError(Exception):
    """A hop, or one attempt at it, has failed.

    `failures` are single files that did not arrive; `failures_total` counts all of them.
    """

    def __init__(self, problem: Problem, failures: Sequence[Problem] = (), failures_total: int = 0) -> None:
        super().__init__(problem.message)
        self.problem = problem
        self.failures = tuple(failures)
        self.failures_total = max(failures_total, len(self.failures))


def unforeseen(error: Exception) -> Problem:
    """Return the problem to report for an unexpected error.

    An OSError may pass and is retryable; a bug is not, and its traceback is in the log.
    """
    return Problem(
        code="agent-error",
        message=f"{type(error).__name__}: {error}",
        advice="See the agent's log (journalctl -u crosshaul-agent) on that host.",
        retryable=isinstance(error, OSError),
    )


def filter_refused(reason: ValueError) -> Problem:
    """Return the problem for filters that are invalid or too expensive."""
    return Problem(
        code="filter-refused",
        message=f"The filters cannot be used: {reason}.",
        advice="Create the transfer again with other filters; or change its template.",
    )


class SameNameError(FileExistsError):
    """The file system treats a name as equal to that of an existing file."""

    def __init__(self, other: str) -> None:
        """Create the error; `other` is the existing name as the directory lists it."""
        super().__init__(errno.EEXIST, os.strerror(errno.EEXIST))
        self.other = other


class PlaceError(OSError):
    """A path at the destination cannot be used: nothing is read, written or removed there."""


class InTheWayError(PlaceError):
    """Something other than a directory is where a directory belongs."""

    def __init__(self, path: str, *, is_link: bool) -> None:
        """Create the error.

        `path` is the location of what is in the way; `is_link` tells whether that is a symbolic link.
        """
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
    """Return a path that can be sent and printed: bytes that are not UTF-8 appear as \\xff."""
    return display_text(path)


_FULL_ERRNOS = {errno.ENOSPC, errno.EDQUOT}


def is_fatal(error: OSError) -> bool:
    """Return whether every other file would fail with this error, too."""
    return error.errno in _FULL_ERRNOS | {errno.EROFS, errno.EIO}


_PROBLEMS: dict[int, tuple[str, str, str]] = {
    errno.ENOENT: ("source-missing", "does not exist", "Check the path."),
    errno.EACCES: (
        "permission-denied",
        "is not accessible to the agent's user",
        "Give that user access to it.",
    ),
    errno.EPERM: (
        "permission-denied",
        "is not accessible to the agent's user",
        "Give that user access to it.",
    ),
    errno.ENOSPC: (
        "destination-full",
        "has no space left",
        "Free some space; the transfer then continues by itself.",
    ),
    errno.EDQUOT: (
        "destination-full",
        "is over its quota",
        "Free some space; the transfer then continues by itself.",
    ),
    errno.EFBIG: (
        "file-too-large",
        "is larger than the destination's file system allows",
        "Choose another destination.",
    ),
    errno.EROFS: ("destination-read-only", "is on a read-only file system", "Remount it read-write."),
    errno.ENAMETOOLONG: (
        "name-too-long",
        "has a name that is too long for the file system",
        "Shorten the name.",
    ),
    errno.ENOTDIR: ("not-a-directory", "is not a directory", "Name a file without a trailing slash."),
    errno.EISDIR: (
        "is-a-directory",
        "is a directory, but a file belongs there",
        "Move it away or rename one of the two.",
    ),
    errno.EEXIST: (
        "in-the-way",
        "already exists and is in the way",
        "Move it away or rename one of the two.",
    ),
    errno.ENOTEMPTY: (
        "in-the-way",
        "already exists and is in the way",
        "Move it away or rename one of the two.",
    ),
    errno.ELOOP: ("outside-roots", "leads through a symbolic link", "Use a path without symbolic links."),
    errno.EXDEV: (
        "outside-roots",
        "leads out of the root, or into a read-only root",
        "Name a path inside one of the agent's roots.",
    ),
}
_RETRYABLE_ERRNOS = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EIO,
    errno.EAGAIN,
    errno.EMFILE,
    errno.ENFILE,
    errno.ESTALE,
}


def problem_of(error: OSError, path: str) -> Problem:
    """Return the problem to report for an operating system's error about a path."""
    if isinstance(error, SameNameError):
        return _same_name(display_path(path), display_path(error.other))
    if isinstance(error, InTheWayError):
        return _in_the_way(display_path(path), display_path(error.path), is_link=error.is_link)
    if isinstance(error, SamePlaceError):
        return _same_place(display_path(path), display_path(error.path), display_path(error.other))
    number = error.errno or errno.EIO
    fallback = ("io-error", f"cannot be used: {os.strerror(number)}", "See that host's system log.")
    code, text, advice = _PROBLEMS.get(number, fallback)
    name = display_path(path)
    return Problem(
        code=code, message=f"{name} {text}.", advice=advice, path=name, retryable=number in _RETRYABLE_ERRNOS
    )


def _same_name(path: str, other: str) -> Problem:
    return Problem(
        code="name-collision",
        message=f"{path} collides with {other}: its file system treats them as one.",
        advice="Rename one of the two, or choose a destination that distinguishes them. The existing file "
        "was not touched.",
        path=path,
    )


def _in_the_way(path: str, obstacle: str, *, is_link: bool) -> Problem:
    if is_link:
        code, description = "link-in-the-way", "is a symbolic link"
        advice = (
            "Remove the link, or use the directory that it points to as the destination of another "
            "transfer. What it points to was not touched."
        )
    else:
        code, description, advice = (
            "in-the-way",
            "is not a directory",
            "Move it away or rename one of the two.",
        )
    prefix = "" if path == obstacle else f"{path} cannot be written: "
    text = f"{prefix}{obstacle} {description}, and a directory belongs there."
    return Problem(code=code, message=text, advice=advice, path=path)


def _same_place(path: str, mounted: str, other: str) -> Problem:
    prefix = "" if path == mounted else f"{path} is not used: "
    return Problem(
        code="mounted-twice",
        message=f"{prefix}{mounted} is the same directory as {other}, mounted a second time.",
        advice="Unmount one of them, or use --exclude for one. Nothing was written under this path.",
        path=path,
    )


class HostError(Exception):
    """Something on this host, or in what the agent was given, keeps it from working."""

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice
