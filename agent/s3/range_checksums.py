"""Verify objects that arrive in ranges by S3's checksum of the whole, combined from those of the ranges."""

import threading
from collections.abc import Callable, Mapping

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
