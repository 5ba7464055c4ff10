"""Files whose size shows only once they have been read to their end, as documents of some services are: read
in full when they are listed, and kept aside until the hop is over. Then they are files like any other.
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
"""Bytes that are left to everyone else on the disk."""


class NoSpaceError(Exception):
    """It is larger than what may be kept aside."""


class UnsizedFiles:
    """One hop's, in a file that has no name and so goes with the process. Used by any thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - `close`
        self._lock = threading.Lock()
        self._one_writes = threading.Lock()
        self._end = 0
        self._kept: dict[str, tuple[FileEntry, int]] = {}
        """By path: as it is, and where it begins in the file."""

    def known(self, entry: FileEntry) -> FileEntry | None:
        """The same with its size, if this version is kept already."""
        with self._lock:
            kept, _ = self._kept.get(entry.path, (None, 0))
        return kept if kept and kept.mtime_ns == entry.mtime_ns else None

    def keep(self, entry: FileEntry, data: Iterable[bytes]) -> FileEntry:
        """The same with its size, once all is here. NoRoomError, OSError, and what `data` raises."""
        with self._one_writes:
            start = self._end
            end = self._written(data, start)
            self._end = end
        sized = entry._replace(size=end - start)
        with self._lock:
            self._kept[entry.path] = sized, start
        return sized

    def _written(self, data: Iterable[bytes], start: int) -> int:
        """Where it ends. What broke off is written over."""
        end = start
        for piece in data:
            if shutil.disk_usage(self._folder).free < RESERVED_FREE_BYTES + len(piece):
                raise NoSpaceError
            left = memoryview(piece)
            while left:
                count = os.pwrite(self._file.fileno(), left, end)
                left, end = left[count:], end + count
        return end

    def gives(self, entry: FileEntry, start: int, length: int, sink: Sink) -> bool:
        """A range of it; False if it is not kept here."""
        with self._lock:
            kept, begin = self._kept.get(entry.path, (None, 0))
        if kept != entry:
            return False
        position, end = begin + start, begin + start + length
        while position < end:
            piece = os.pread(self._file.fileno(), min(CHUNK_BYTES, end - position), position)
            sink(memoryview(piece))
            position += len(piece)
        return True

    def close(self) -> None:
        self._file.close()
