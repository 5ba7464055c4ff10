"""."""

import threading
import time
from collections import deque

from agent.errors import display_path
from events.progress import Progress, SpaceShortage

RATE_WINDOW_S = 5.0
"""Seconds over which the rate is taken."""


class ProgressCounter:
    """How far a hop is; counted from any thread, read from any other."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bytes_done = self._files_done = 0
        self._bytes_unchanged = self._files_unchanged = self._files_removed = 0
        self._bytes_total: int | None = None
        self._files_total: int | None = None
        self._current: str | None = None
        self._short: SpaceShortage | None = None
        self._moved = 0
        self._samples: deque[tuple[float, int]] = deque([(time.monotonic(), 0)], maxlen=64)

    def reset(self) -> None:
        """Count anew: the source is gone through from its beginning once more."""
        with self._lock:
            self._bytes_done = self._files_done = 0
            self._bytes_unchanged = self._files_unchanged = 0

    def add_bytes(self, size: int) -> None:
        """Bytes came over the line just now."""
        with self._lock:
            self._bytes_done += size
            self._moved += size

    @property
    def bytes_moved(self) -> int:
        """Bytes that came over the line since this began, those included that had to come again."""
        with self._lock:
            return self._moved

    def add_existing(self, size: int) -> None:
        """Bytes that this hop itself had brought before."""
        with self._lock:
            self._bytes_done += size

    def subtract(self, size: int) -> None:
        """Bytes that were counted have to come again."""
        with self._lock:
            self._bytes_done -= size

    def finish_file(self, path: str) -> None:
        """A file stands at the destination."""
        with self._lock:
            self._files_done += 1
            self._current = path

    def add_file(self, path: str, size: int) -> None:
        """Both at once, of a small file."""
        with self._lock:
            self._bytes_done += size
            self._moved += size
            self._files_done += 1
            self._current = path

    def add_unchanged(self, size: int) -> None:
        """A file was there already, and the same."""
        with self._lock:
            self._bytes_done += size
            self._files_done += 1
            self._bytes_unchanged += size
            self._files_unchanged += 1

    def add_removed(self, path: str) -> None:
        """At the destination, since the source does not have it."""
        with self._lock:
            self._files_removed += 1
            self._current = path

    def set_current(self, path: str) -> None:
        with self._lock:
            self._current = path

    def adjust_total(self, size: int) -> None:
        """A file has become larger by so much, or smaller, since it was listed."""
        with self._lock:
            if self._bytes_total is not None:
                self._bytes_total += size

    def set_space_shortage(self, of_room: SpaceShortage | None) -> None:
        """Too little room for what is known to come, or enough after all."""
        with self._lock:
            self._short = of_room

    def total(self, size: int, files: int) -> None:
        """The source has been listed to its end."""
        with self._lock:
            self._bytes_total, self._files_total = size, files

    def progress(self) -> Progress:
        with self._lock:
            return Progress(
                bytes_done=max(self._bytes_done, 0),
                bytes_total=None if self._bytes_total is None else max(self._bytes_total, 0),
                files_done=self._files_done,
                files_total=self._files_total,
                bytes_unchanged=self._bytes_unchanged,
                files_unchanged=self._files_unchanged,
                files_removed=self._files_removed,
                bytes_per_second=self._rate(),
                space_shortage=self._short,
                current=None if self._current is None else display_path(self._current),
            )

    def _rate(self) -> int:
        now = time.monotonic()
        if now - self._samples[-1][0] >= 0.1:
            self._samples.append((now, self._moved))
        while len(self._samples) > 2 and self._samples[1][0] < now - RATE_WINDOW_S:
            self._samples.popleft()
        (_, before), elapsed = self._samples[0], now - self._samples[0][0]
        return int((self._moved - before) / elapsed) if elapsed > 0.1 else 0
