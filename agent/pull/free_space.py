"""Compare the bytes still to be written with the destination's free space, to warn early.

A shortage is a warning and never refuses a hop: a file system that compresses or shares blocks may hold more
than its free space suggests, and other programs write and remove files. A hop runs until the disk is full and
then waits.
"""

import threading
from collections.abc import Callable

from agent.files.digests import MIB
from agent.pull.progress import countable
from events.progress import SpaceShortage

SLACK_BYTES = 16 * MIB
"""Missing bytes below which no shortage is reported: file sizes and allocated blocks differ a little."""


class SpaceCheck:
    """The space that one pass needs. Thread-safe."""

    def __init__(self, free: int, on_change: Callable[[SpaceShortage | None], None]) -> None:
        """Start with `free` bytes, measured before this pass has written any.

        `on_change` is called with the shortage, or None once there is none.
        """
        self._free = free
        self._on_change = on_change
        self._lock = threading.Lock()
        self._reserved = 0
        on_change(None)

    def reserve(self, size: int) -> None:
        """Count the bytes that a file needs more than what it replaces; negative if it needs fewer."""
        with self._lock:
            self._reserved += size
            if self._reserved > self._free + SLACK_BYTES:
                self._on_change(SpaceShortage(wanted=countable(self._reserved), free=self._free))
            elif self._reserved - size > self._free + SLACK_BYTES:
                self._on_change(None)
