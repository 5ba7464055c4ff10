"""Keep files whose size is unknown before they are read, such as documents of some services.

They are read in full when they are listed, and kept until the hop ends, so that the pull can treat them like
all others.
"""

import os
import shutil
import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path

from agent.files.digests import CHUNK_BYTES
from agent.files.listing import FileEntry
from agent.pull.source import Sink

RESERVED_FREE_BYTES = 1024**3
"""Bytes that are left free on the disk."""


class NoSpaceError(Exception):
    """The file is larger than the free space allows."""


class UnsizedFiles:
    """One hop's files, in an unnamed temporary file that ends with the process. Safe for any thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - `close`
        self._lock = threading.Lock()
        self._write_lock = threading.Lock()
        self._end = 0
        self._stored: dict[str, tuple[FileEntry, int]] = {}
        """By path: the entry with its size, and where it starts in the file."""

    def find(self, entry: FileEntry) -> FileEntry | None:
        """Return the entry with its size, if this version is stored."""
        with self._lock:
            stored, _ = self._stored.get(entry.path, (None, 0))
        return stored if stored and stored.mtime_ns == entry.mtime_ns else None

    def store(self, entry: FileEntry, data: Iterable[bytes]) -> FileEntry:
        """Store the data, and return the entry with its size. Exceptions of `data` are passed on.

        Raises:
            NoSpaceError: the disk would have less than RESERVED_FREE_BYTES left.
            OSError: the data cannot be written.
        """
        with self._write_lock:
            start = self._end
            end = self._append(data, start)
            self._end = end
        sized = entry._replace(size=end - start)
        with self._lock:
            self._stored[entry.path] = sized, start
        return sized

    def _append(self, data: Iterable[bytes], start: int) -> int:
        """Write the data and return where it ends; incomplete data is overwritten by the next call."""
        end = start
        for piece in data:
            if shutil.disk_usage(self._folder).free < RESERVED_FREE_BYTES + len(piece):
                raise NoSpaceError
            left = memoryview(piece)
            while left:
                count = os.pwrite(self._file.fileno(), left, end)
                left, end = left[count:], end + count
        return end

    def read_range(self, entry: FileEntry, start: int, length: int, sink: Sink) -> bool:
        """Pass a range of a stored file to `sink`; return False if the file is not stored."""
        with self._lock:
            stored, begin = self._stored.get(entry.path, (None, 0))
        if stored != entry:
            return False
        position, end = begin + start, begin + start + length
        while position < end:
            piece = os.pread(self._file.fileno(), min(CHUNK_BYTES, end - position), position)
            sink(memoryview(piece))
            position += len(piece)
        return True

    def close(self) -> None:
        self._file.close()
