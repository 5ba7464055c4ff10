"""Notice that a disk was mounted or unmounted while a hop uses the place.

A path then leads to another directory: that below the mount point, or that of the new disk. A listing would
find nothing there, and files would be written to both disks.
"""

import os
import threading

from agent.errors import RemountedError


class KnownDevices:
    """The devices of the directories on the way to one location, as they were first found. Thread-safe."""

    def __init__(self) -> None:
        self._devices: dict[str, int] = {}
        self._lock = threading.Lock()

    def require_same(self, key: str, directory: int) -> None:
        """Remember the device of an open directory; raise RemountedError if it was another before."""
        device = os.fstat(directory).st_dev
        with self._lock:
            known = self._devices.setdefault(key, device)
        if known != device:
            raise RemountedError
