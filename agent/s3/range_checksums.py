"""Verify objects that arrive in ranges by S3's checksum of the whole, combined from those of the ranges."""

import os
import threading
from collections.abc import Callable, Mapping

from agent.files.digests import CHUNK_BYTES
from agent.files.listing import FileEntry
from agent.s3.checksums import algorithm_in


class RangeChecksums:
    """The checksums of the ranges of one object. Thread-safe."""

    def __init__(self, headers: Mapping[str, str], size: int) -> None:
        """Expect the checksum in these headers, if it is one of a whole object, of `size` bytes."""
        self.algorithm = algorithm_in(headers)
        self._expected = headers[self.algorithm.header] if self.algorithm else ""
        self._size = size
        self._lock = threading.Lock()
        self._ranges: dict[int, tuple[int, int]] = {}
        """Start → length and checksum."""
        self._arrived = 0

    def add(self, start: int, length: int, checksum: int) -> bool | None:
        """Add a range that has arrived; return whether the whole is intact, None while ranges are missing."""
        with self._lock:
            self._arrived += length - self._ranges.get(start, (0, 0))[0]
            self._ranges[start] = length, checksum
            return self._is_intact() if self._arrived == self._size else None

    def add_missing(self, descriptor: int, check_stopped: Callable[[], None]) -> bool:
        """Add the ranges that an earlier attempt wrote to this file; return whether the whole is intact.

        `check_stopped` is called for each chunk that is read, and what it raises is passed on.

        Raises:
            OSError: the file cannot be read.
        """
        with self._lock:
            position = 0
            for start, (length, _) in sorted(self._ranges.items()):
                self._add_from(descriptor, position, start - position, check_stopped)
                position = start + length
            self._add_from(descriptor, position, self._size - position, check_stopped)
            return self._is_intact()

    def _add_from(self, descriptor: int, start: int, length: int, check_stopped: Callable[[], None]) -> None:
        if not self.algorithm or length <= 0:
            return
        checksum, position, buffer = 0, start, memoryview(bytearray(min(CHUNK_BYTES, length)))
        while position < start + length and (
            count := os.preadv(descriptor, [buffer[: start + length - position]], position)
        ):
            check_stopped()
            checksum = self.algorithm.update(buffer[:count], checksum)
            position += count
        self._ranges[start] = length, checksum

    def _is_intact(self) -> bool:
        if not self.algorithm:
            return True
        whole = 0
        for _, (length, checksum) in sorted(self._ranges.items()):
            whole = self.algorithm.combine(whole, checksum, length)
        return self.algorithm.text(whole) == self._expected


class ObjectChecksums:
    """The checksums of the objects that are arriving in ranges. Thread-safe."""

    def __init__(self, head: Callable[[FileEntry], Mapping[str, str]]) -> None:
        """`head` returns the headers of an object, with its checksum; what it raises is passed on."""
        self._head = head
        self._lock = threading.Lock()
        self._objects: dict[str, _Object] = {}

    def of(self, entry: FileEntry) -> RangeChecksums:
        """Return those of an object. S3 is asked for its checksum once."""
        with self._lock:
            found = self._objects.setdefault(entry.path, _Object())
        with found.lock:
            if not found.ranges:
                found.ranges = RangeChecksums(self._head(entry), entry.size)
            return found.ranges

    def forget(self, entry: FileEntry) -> None:
        """Forget an object that is complete, or of which a range has failed."""
        with self._lock:
            self._objects.pop(entry.path, None)


class _Object:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.ranges: RangeChecksums | None = None
