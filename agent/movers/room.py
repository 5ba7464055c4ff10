"""Is there room at the destination for what is still to come? Told early, and never a reason to refuse.

A file system that compresses or shares blocks may hold more than it seems to have room for; and what others
write or remove meanwhile nobody knows. So a hop goes on until the disk is really full, and then pauses.
"""

import threading
from collections.abc import Callable

from agent.digests import MIB
from events.progress import Shortage

SLACK = 16 * MIB
"""Bytes that may be lacking before it is worth a word: files' sizes and disks' blocks never quite agree."""


class Room:
    """One pass's; asked from any thread."""

    def __init__(self, free: int, tell: Callable[[Shortage | None], None]) -> None:
        """`free` bytes before anything of this pass was written."""
        self._free = free
        self._tell = tell
        self._lock = threading.Lock()
        self._wanted = 0
        tell(None)

    def wants(self, size: int) -> None:
        """A file is to come; so many bytes more than it replaces, or fewer if negative."""
        with self._lock:
            self._wanted += size
            if self._wanted > self._free + SLACK:
                self._tell(Shortage(wanted=self._wanted, free=self._free))
            elif self._wanted - size > self._free + SLACK:
                self._tell(None)
