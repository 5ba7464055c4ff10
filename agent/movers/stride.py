"""How much is asked for at once: less on a line that is slow or breaks often, so that less comes twice after
a pause, a kill or a break.

It begins with a little, twice as much after whatever came whole, until a line has once broken. Half as much
after every break, and then an eighth more: what has just broken a request is not asked for again at once, and
a line that has healed soon carries whole ranges.
"""

import threading
from collections.abc import Sequence

from agent.digests import MIB, RANGE
from agent.listing import Entry

FIRST = 4 * MIB
SHORTEST = MIB // 4
LONGEST = 5.0
"""Seconds that a request may well take: what is under way when a hop is paused comes once more."""


class Stride:
    """Shared by all threads of a hop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._has_broken = False
        self.size = FIRST
        """Bytes."""

    def broke(self) -> None:
        """What was asked for broke off."""
        with self._lock:
            self._has_broken = True
            self.size = max(SHORTEST, self.size // 2)

    def came(self, seconds: float) -> None:
        """It came whole, in so many."""
        with self._lock:
            if seconds > LONGEST:
                self.size = max(SHORTEST, int(self.size * LONGEST / seconds))
            else:
                self.size = min(RANGE, self.size + self.size // (8 if self._has_broken else 1))

    def first_of(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """As many files as are well asked for at once; one at least."""
        room, count = self.size, 0
        for entry in entries:
            room -= entry.size
            if room < 0:
                break
            count += 1
        return entries[: max(1, count)]
