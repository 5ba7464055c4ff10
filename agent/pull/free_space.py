"""Is there room at the destination for what is still to come? Told early, and never a reason to refuse.

A file system that compresses or shares blocks may hold more than it seems to have room for; and what others
write or remove meanwhile nobody knows. So a hop goes on until the disk is really full, and then pauses.
"""

import threading
from collections.abc import Callable

from agent.files.digests import MIB
from events.progress import SpaceShortage

SLACK_BYTES = 16 * MIB
"""Bytes that may be lacking before it is worth a word: files' sizes and disks' blocks never quite agree."""


class SpaceCheck:
    """One pass's; asked from any thread."""

    def __init__(self, free: int, tell: Callable[[SpaceShortage | None], None]) -> None:
        """`free` bytes before anything of this pass was written."""
        self._free = free
        self._tell = tell
        self._lock = threading.Lock()
        self._wanted = 0
        tell(None)

    def reserve(self, size: int) -> None:
        """A file is to come; so many bytes more than it replaces, or fewer if negative."""
        with self._lock:
            self._wanted += size
            if self._wanted > self._free + SLACK_BYTES:
                self._tell(SpaceShortage(wanted=self._wanted, free=self._free))
            elif self._wanted - size > self._free + SLACK_BYTES:
                self._tell(None)
