"""How much is asked for at once: less on a line that breaks often, so that less comes twice.

Half as much after every break, and after whatever came whole an eighth more: what has just broken a request
is not asked for again at once, and a line that has healed soon carries whole ranges.
"""

import threading
from collections.abc import Sequence

from agent.digests import MIB, RANGE
from agent.listing import Entry

SHORTEST = MIB // 4


class Stride:
    """Shared by all threads of a hop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.size = RANGE
        """Bytes."""

    def broke(self) -> None:
        """What was asked for broke off."""
        with self._lock:
            self.size = max(SHORTEST, self.size // 2)

    def came(self) -> None:
        """It came whole."""
        with self._lock:
            self.size = min(RANGE, self.size + self.size // 8)

    def first_of(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """As many files as are well asked for at once; one at least."""
        room, count = self.size, 0
        for entry in entries:
            room -= entry.size
            if room < 0:
                break
            count += 1
        return entries[: max(1, count)]
