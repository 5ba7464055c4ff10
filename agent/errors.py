"""What can go wrong with a hop: exceptions that carry the text people read."""

import errno
import os
from collections.abc import Sequence

from agent import problems
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
    return problems.AGENT_ERROR.problem(
        error=type(error).__name__, reason=error, retryable=isinstance(error, OSError)
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


class ReplacedError(OSError):
    """Something that is not a regular file has replaced a file since it was listed."""

    def __init__(self) -> None:
        super().__init__(errno.EINVAL, "it is not a regular file any more")


class RemountedError(OSError):
    """Another file system is mounted at a location, or on the way to it, than when the hop began."""

    def __init__(self) -> None:
        super().__init__(errno.ESTALE, "a disk was mounted or unmounted")


def display_path(path: str) -> str:
    """Return a path that can be sent and printed: bytes that are not UTF-8 appear as \\xff."""
    return display_text(path)


_FULL_ERRNOS = {errno.ENOSPC, errno.EDQUOT}


def is_fatal(error: OSError) -> bool:
    """Return whether every other file would fail with this error, too."""
    return isinstance(error, RemountedError) or error.errno in _FULL_ERRNOS | {errno.EROFS, errno.EIO}


_PROBLEM_TYPES = {
    errno.ENOENT: problems.SOURCE_MISSING,
    errno.EACCES: problems.PERMISSION_DENIED,
    errno.EPERM: problems.PERMISSION_DENIED,
    errno.ENOSPC: problems.DESTINATION_FULL,
    errno.EDQUOT: problems.QUOTA_EXCEEDED,
    errno.EFBIG: problems.FILE_TOO_LARGE,
    errno.EROFS: problems.DESTINATION_READ_ONLY,
    errno.ENAMETOOLONG: problems.NAME_TOO_LONG,
    errno.EILSEQ: problems.NAME_NOT_ALLOWED,
    errno.ENOTDIR: problems.NOT_A_DIRECTORY,
    errno.EISDIR: problems.IS_A_DIRECTORY,
    errno.EEXIST: problems.IN_THE_WAY,
    errno.ENOTEMPTY: problems.IN_THE_WAY,
    errno.ELOOP: problems.PATH_THROUGH_LINK,
    errno.EXDEV: problems.PATH_LEAVES_ROOT,
}
_RETRYABLE_ERRNOS = {errno.EIO, errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ESTALE}
"""Errors without a problem type of their own that a later attempt may not meet."""


def problem_of(error: OSError, path: str) -> Problem:
    """Return the problem to report for an operating system's error about a path."""
    match error:
        case ReplacedError():
            return problems.REPLACED_BY_SPECIAL_FILE.problem(path=path)
        case RemountedError():
            return problems.REMOUNTED.problem(path=path)
        case SameNameError():
            return problems.NAME_COLLISION.problem(path=path, other=error.other)
        case InTheWayError():
            kind = problems.LINK_IN_THE_WAY if error.is_link else problems.FILE_IN_THE_WAY
            prefix = "" if path == error.path else f"{path} cannot be written: "
            return kind.problem(path=path, obstacle=f"{prefix}{error.path}")
        case SamePlaceError():
            prefix = "" if path == error.path else f"{path} is not used: "
            return problems.MOUNTED_TWICE.problem(
                path=path, mounted=f"{prefix}{error.path}", other=error.other
            )
    number = error.errno or errno.EIO
    if kind_of_errno := _PROBLEM_TYPES.get(number):
        return kind_of_errno.problem(path=path)
    return problems.IO_ERROR.problem(
        path=path, reason=os.strerror(number), retryable=number in _RETRYABLE_ERRNOS
    )


class HostError(Exception):
    """Something on this host, or in what the agent was given, keeps it from working."""

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice


class UpdateError(HostError):
    """An update cannot be installed, for a reason that the control plane is told."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message, problem.advice)
        self.problem = problem


class PassingHostError(HostError):
    """A fault of this host that may pass by itself, such as one of a disk: a later start may succeed."""
