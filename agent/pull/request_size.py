"""How much is asked for at once: less on a line that is slow or breaks often, so that less comes twice after
a pause, a kill or a break.

It begins with a little, twice as much after whatever came whole, until a line has once broken. Half as much
after every break, and then an eighth more: what has just broken a request is not asked for again at once, and
a line that has healed soon carries whole ranges.
"""

import threading
from collections.abc import Sequence

from agent.files.digests import MIB, RANGE_BYTES
from agent.files.listing import FileEntry

INITIAL_BYTES = 4 * MIB
MIN_BYTES = MIB // 4
MAX_REQUEST_S = 5.0
"""Seconds that a request may well take: what is under way when a hop is paused comes once more."""


class RequestSize:
    """Shared by all threads of a hop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._has_broken = False
        self.size = INITIAL_BYTES
        """Bytes."""

    def on_failure(self) -> None:
        """What was asked for broke off."""
        with self._lock:
            self._has_broken = True
            self.size = max(MIN_BYTES, self.size // 2)

    def on_success(self, seconds: float) -> None:
        """It came whole, in so many."""
        with self._lock:
            if seconds > MAX_REQUEST_S:
                self.size = max(MIN_BYTES, int(self.size * MAX_REQUEST_S / seconds))
            else:
                self.size = min(RANGE_BYTES, self.size + self.size // (8 if self._has_broken else 1))

    def limit(self, entries: Sequence[FileEntry]) -> Sequence[FileEntry]:
        """As many files as are well asked for at once; one at least."""
        room, count = self.size, 0
        for entry in entries:
            room -= entry.size
            if room < 0:
                break
            count += 1
        return entries[: max(1, count)]
