"""The disk of the state directory: whether the agent can write there, and room that it keeps for itself.

A full disk must not end the agent: it has to report that hops wait, and why. For that the journal needs some
KiB, which the reserve gives back when nothing else is left.
"""

import errno
import logging
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from agent.errors import HopError, HostError, PassingHostError, problem_of
from agent.files import disk
from agent.problems import STATE_DISK_FULL
from agent.quarantine import is_damage
from events.base import Problem

log = logging.getLogger(__name__)

RESERVE_BYTES = 4 * 1024**2
"""Room for thousands of reports."""
LOW_BYTES = 1024**2
"""The reserve is given back when less is free."""
AMPLE_BYTES = 64 * 1024**2
"""The reserve is filled while at least this much is free."""
_PROBE = bytes(64 * 1024)
_FULL = {errno.ENOSPC, errno.EDQUOT}
_UNCLEAR = {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}
"""Codes of errors that a full disk may cause, and other faults, too."""
_LASTING = {errno.EROFS, errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOTDIR, errno.ELOOP}
"""Errors that last until somebody mounts the disk anew, changes an owner, or moves what is in the way."""


def write_error(folder: Path) -> OSError | None:
    """Return why nothing can be written to a directory now; None if it can."""
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(_PROBE)
            probe.flush()
    except OSError as error:
        error.filename = str(folder)  # not the probe's name
        return error
    return None


def is_full(error: BaseException, folder: Path) -> bool:
    """Return whether an error is due to a full disk under the directory."""
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_FULL:
            return True
        cause = write_error(folder) if code in _UNCLEAR else None
        return cause is not None and cause.errno in _FULL
    return isinstance(error, OSError) and error.errno in _FULL


def full_problem(folder: Path) -> Problem:
    """Return what to report of a hop that waits for space in the state directory."""
    return STATE_DISK_FULL.problem(path=str(folder))


def hop_error(error: OSError, folder: Path) -> HopError:
    """Return why a hop cannot use the state directory."""
    if is_full(error, folder):
        return HopError(full_problem(folder))
    return HopError(problem_of(error, str(folder)))


def lasting_fault(error: OSError | sqlite3.Error, folder: Path, database: Path) -> OSError | None:
    """Return what only a person can put right of what the error is due to; None if it may pass by itself.

    SQLite does not tell why it cannot open a database, so its files are opened here.
    """
    causes = [write_error(folder)]
    if isinstance(error, OSError):
        causes.append(error)
    else:
        causes += [_open_error(path) for path in folder.glob(f"{database.name}*")]
    return next((cause for cause in causes if cause is not None and cause.errno in _LASTING), None)


def _open_error(path: Path) -> OSError | None:
    try:
        os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError as error:
        return error
    return None


def host_error(error: OSError, folder: Path) -> HostError:
    """Return what keeps the agent from using its state directory, and what to do."""
    match error.errno:
        case errno.EROFS:
            return HostError(
                f"{folder} is on a read-only file system", "remount it read-write, then start the agent"
            )
        case errno.EACCES | errno.EPERM:
            return HostError(
                f"{error.filename or folder} may not be written to",
                f"run the agent as the owner of {folder}, and let that user own what is in it",
            )
        case errno.ENOSPC | errno.EDQUOT:
            return HostError(f"the disk of {folder} is full", "free some space there")
    return HostError(
        f"{error.filename or folder} cannot be used: {error.strerror}",
        "check that disk (dmesg), and who owns the file; then start the agent",
    )


def passing_error(error: OSError | sqlite3.Error, folder: Path) -> PassingHostError:
    """Return what to say of a fault of the state directory that may pass by itself."""
    reason = error.strerror if isinstance(error, OSError) else str(error)
    place = (isinstance(error, OSError) and error.filename) or folder
    return PassingHostError(
        f"{place} cannot be used: {reason}",
        "systemd starts the agent again; if this repeats, check that disk (dmesg)",
    )


def read_error(error: OSError, path: Path) -> HostError:
    """Return why a file that every start needs cannot be read, and what to do."""
    if error.errno in {errno.EACCES, errno.EPERM}:
        return HostError(f"{path} may not be read", "run as root or as the agent's user, who must own it")
    if error.errno in _LASTING:
        return HostError(
            f"{path} cannot be read: {error.strerror}",
            "move away what is in its place, then register again with `crosshaul agent register --force`",
        )
    return passing_error(OSError(error.errno, error.strerror, str(path)), path.parent)


def journal_error(error: BaseException, folder: Path, journal: Path) -> HostError | None:
    """Return what ended the agent if that was its journal, and what to do; None if it was anything else.

    The tasks of the agent end in an ExceptionGroup; only they use the journal without answering its errors.
    """
    cause = next((one for one in _leaves(error) if isinstance(one, sqlite3.Error)), None)
    if cause is None:
        return None
    if is_damage(cause):
        return PassingHostError(
            f"{journal} is damaged: {cause}",
            "nothing: the next start sets it aside, and the control plane sends again what it had; "
            "if this repeats, check that disk (dmesg)",
        )
    if lasting := lasting_fault(cause, folder, journal):
        return host_error(lasting, folder)
    return PassingHostError(
        f"{journal} cannot be used: {cause}", "check that disk (dmesg); the agent is started again"
    )


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """Yield the error, or those in a group of errors."""
    if not isinstance(error, BaseExceptionGroup):
        yield error
        return
    for inner in error.exceptions:
        yield from _leaves(inner)


class Reserve:
    """A file that takes up room until the journal needs it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / "reserve"

    def give_back_if_needed(self) -> None:
        """Delete the file if hardly any space is left beside it."""
        with suppress(OSError):
            if disk.free_bytes(self._folder) < LOW_BYTES and self._path.is_file():
                self._path.unlink()
                log.warning("the disk of the state directory is full", extra={"path": str(self._folder)})

    def fill(self) -> None:
        """Take up the room, if it is not taken already and there is enough for everybody."""
        try:
            if self._is_filled() or disk.free_bytes(self._folder) < AMPLE_BYTES:
                return
            if self._path.is_symlink() or not self._path.is_file():
                self._path.unlink(missing_ok=True)  # writing to a FIFO would wait for its other end
            with self._path.open("wb") as file:
                os.fchmod(file.fileno(), 0o600)
                os.posix_fallocate(file.fileno(), 0, RESERVE_BYTES)
        except OSError as error:
            log.warning("no reserve in the state directory", extra={"reason": str(error)})

    def _is_filled(self) -> bool:
        return self._path.is_file() and disk.allocated_bytes(self._path.stat()) >= RESERVE_BYTES
