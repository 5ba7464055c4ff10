"""Write the bytes and the metadata of one open file."""

import os

from agent.files.listing import FileEntry

KEPT_MODE_BITS = 0o1777
"""Permission bits that are kept. Not setuid and setgid, since the owner here is another one."""
WRITE_CHUNK_BYTES = 64 * 1024
"""Bytes per write. With more, the file system allocates memory in larger pieces, which a virtual machine may
have returned to its host and gets back slowly (docs/benchmarks)."""


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
    """Set the times, and the mode unless the file has it already."""
    if not has_mode:
        os.fchmod(descriptor, entry.mode & KEPT_MODE_BITS)
    os.utime(descriptor, ns=(entry.mtime_ns, entry.mtime_ns))
