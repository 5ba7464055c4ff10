"""Write the bytes and the metadata of one open file."""

import errno
import os
import stat

from agent.files.listing import FileEntry

KEPT_MODE_BITS = 0o1777
"""Permission bits that are kept. Not setuid and setgid, since the owner here is another one."""
WRITE_CHUNK_BYTES = 64 * 1024
"""Bytes per write. With more, the file system allocates memory in larger pieces, which a virtual machine may
have returned to its host and gets back slowly (docs/benchmarks)."""

_NO_SUCH_MODE = {errno.EPERM, errno.EACCES, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS}
"""Errors of a disk that cannot hold a mode; EPERM, or EACCES of a file server, also for a file or directory
of another user."""


def _umask() -> int:
    """Return the umask from procfs: `os.umask` would change it for a moment, for every thread."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as status:  # noqa: PTH123
        return next((int(line.split()[1], 8) for line in status if line.startswith("Umask:")), 0o777)


_UMASK = _umask()


def survives_umask(entry: FileEntry) -> bool:
    """Return whether a file that is created with its mode gets that mode, without a default ACL."""
    return not entry.mode & KEPT_MODE_BITS & _UMASK


def write(descriptor: int, data: memoryview, start: int) -> None:
    while data:
        count = os.pwrite(descriptor, data[:WRITE_CHUNK_BYTES], start)
        data, start = data[count:], start + count


def apply_metadata(descriptor: int, entry: FileEntry, *, has_mode: bool = False) -> None:
    """Set the times, and the mode unless the file has it already; a mode that the disk lacks is not set.

    Raises OSError.
    """
    if not has_mode:
        set_mode(descriptor, entry.mode & KEPT_MODE_BITS)
    os.utime(descriptor, ns=(entry.mtime_ns, entry.mtime_ns))


def set_mode(descriptor: int, mode: int) -> bool:
    """Set a mode; return False if the disk cannot hold it (FAT, exFAT, a share), or the agent may not set it.

    That is no reason for a file to fail: it is counted as not kept. Raises OSError.
    """
    try:
        os.fchmod(descriptor, mode)
    except OSError as error:
        if error.errno not in _NO_SUCH_MODE:
            raise
        return False
    return stat.S_IMODE(os.fstat(descriptor).st_mode) == mode
