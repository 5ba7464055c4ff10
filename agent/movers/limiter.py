"""A bandwidth limit that several threads share."""

import threading
import time

from agent.digests import CHUNK

SMALLEST = 1024
BURST = 0.25
"""Seconds' worth of bytes that may go at once."""


class Limiter:
    """Lets through so many bytes per second; None is no limit."""

    def __init__(self, rate: int | None, stopped: threading.Event) -> None:
        self._rate = rate
        self._stopped = stopped
        self._lock = threading.Lock()
        self._paid_until = 0.0

    def take(self, size: int) -> None:
        """Return when these bytes may be on their way, or at once when everything has been stopped."""
        if self._rate is None:
            return
        with self._lock:
            now = time.monotonic()
            self._paid_until = max(self._paid_until, now - BURST) + size / self._rate
            wait = self._paid_until - now
        if wait > 0:
            self._stopped.wait(wait)


def piece_of(rate: int | None) -> int:
    """Bytes that are well taken at once: with a limit a quarter of a second's worth, so that it flows."""
    return CHUNK if rate is None else min(CHUNK, max(SMALLEST, rate // 4))
