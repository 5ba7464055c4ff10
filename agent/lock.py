"""Allow one service per state directory, by an advisory lock that ends with the process."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from agent.errors import HostError
from agent.quarantine import Quarantine

_CONTENT_BYTES = 32


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock, with this process's id in it.

    Raises HostError if another process holds it; OSError.
    """
    if path.exists() and not path.is_file():
        Quarantine(path.parent).move(path, "it is not a file")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not _acquire(descriptor):
            raise HostError(
                f"an agent is already running with {path.parent} (process {_holder(descriptor)})",
                "stop it first, or give this agent another state directory",
            )
        with suppress(OSError):  # a full disk: then the lock tells less
            os.pwrite(descriptor, f"{os.getpid():<31}\n".encode(), 0)
            os.ftruncate(descriptor, _CONTENT_BYTES)
        yield
    finally:
        os.close(descriptor)


def holder(path: Path) -> int | None:
    """Return the id of the process that holds the lock; None if it is free, 0 if the id is unknown."""
    if not path.is_file():
        return None
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        found = _holder(descriptor)
        return None if _acquire(descriptor) else int(found) if found.isdecimal() else 0
    finally:
        os.close(descriptor)


def _acquire(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(descriptor: int) -> str:
    return os.pread(descriptor, _CONTENT_BYTES, 0).decode("ascii", "replace").strip()
