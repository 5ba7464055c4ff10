"""What a file gets at the destination: its bytes, its times, its mode."""

import os

from agent.listing import FileEntry

KEPT_MODE_BITS = 0o1777
"""Permission bits that are kept. Not setuid and setgid: the owner is another one here."""
WRITE_CHUNK_BYTES = 64 * 1024
"""Bytes written at once. With more, the file system takes its memory in larger pieces: those that a virtual
machine has given back to its host, and gets again slowly (docs/benchmarks)."""


def write(descriptor: int, data: memoryview, start: int) -> None:
    while data:
        count = os.pwrite(descriptor, data[:WRITE_CHUNK_BYTES], start)
        data, start = data[count:], start + count


def apply_metadata(descriptor: int, entry: FileEntry, *, has_mode: bool = False) -> None:
    """Times and mode, unless it has that already."""
    if not has_mode:
        os.fchmod(descriptor, entry.mode & KEPT_MODE_BITS)
    os.utime(descriptor, ns=(entry.mtime_ns, entry.mtime_ns))
