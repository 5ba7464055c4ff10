"""How many bytes one request asks for: fewer on a slow or unstable connection, so that little is sent twice.

The size starts small and doubles after each success until the first failure. It is halved by each failure and
grows by an eighth after each later success: the size that has just failed is not repeated at once, and a
connection that has recovered soon carries whole ranges.
"""

import threading
from collections.abc import Sequence

from agent.files.digests import MIB, RANGE_BYTES
from agent.files.listing import FileEntry

INITIAL_BYTES = 4 * MIB
MIN_BYTES = MIB // 4
MAX_REQUEST_S = 2.0
"""Target duration of a request in seconds: what is in flight when a hop is paused is sent again."""


class RequestSize:
    """The adaptive request size of a hop. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.has_broken = False
        """Whether a request has failed."""
        self.size = INITIAL_BYTES
        """Bytes."""

    def on_failure(self) -> None:
        """Halve the size after a request that failed."""
        with self._lock:
            self.has_broken = True
            self.size = max(MIN_BYTES, self.size // 2)

    def on_success(self, seconds: float) -> None:
        """Adapt the size after a request that succeeded in so many seconds."""
        with self._lock:
            if seconds > MAX_REQUEST_S:
                self.size = max(MIN_BYTES, int(self.size * MAX_REQUEST_S / seconds))
            else:
                self.size = min(RANGE_BYTES, self.size + self.size // (8 if self.has_broken else 1))

    def limit(self, entries: Sequence[FileEntry]) -> Sequence[FileEntry]:
        """Return the leading entries that fit into one request, at least one."""
        remaining, count = self.size, 0
        for entry in entries:
            remaining -= entry.size
            if remaining < 0:
                break
            count += 1
        return entries[: max(1, count)]
