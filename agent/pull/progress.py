"""The progress of a hop: counters and the current rate."""

import threading
import time
from collections import Counter, deque
from collections.abc import Iterable
from math import inf

from agent.errors import display_path
from events.base import MAX_INTEGER
from events.progress import Loss, Losses, Progress, SpaceShortage

RATE_WINDOW_S = 5.0
"""Seconds over which the rate is averaged."""


class ProgressCounter:
    """Counts the bytes and files of a hop. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bytes_done = self._files_done = 0
        self._bytes_unchanged = self._files_unchanged = self._files_removed = 0
        self._lost: Counter[Loss] = Counter()
        self._bytes_total: int | None = None
        self._files_total: int | None = None
        self._current: str | None = None
        self._space_shortage: SpaceShortage | None = None
        self._bytes_moved = self._files_moved = 0
        self._samples: deque[tuple[float, int]] = deque([(time.monotonic(), 0)], maxlen=64)

    def reset(self) -> None:
        """Restart the counters of a pass: the source is listed again from its beginning."""
        with self._lock:
            self._bytes_done = self._files_done = 0
            self._bytes_unchanged = self._files_unchanged = 0
            self._lost.clear()

    def add_bytes(self, size: int) -> None:
        """Count bytes that were just received."""
        with self._lock:
            self._bytes_done += size
            self._bytes_moved += size

    @property
    def bytes_moved(self) -> int:
        """Bytes received since the hop was started or resumed, repeated ones included."""
        with self._lock:
            return self._bytes_moved

    @property
    def files_moved(self) -> int:
        """Files completed since the hop was started or resumed."""
        with self._lock:
            return self._files_moved

    @property
    def bytes_left(self) -> float:
        """Bytes to be done; infinite until the source is completely listed."""
        with self._lock:
            return inf if self._bytes_total is None else self._bytes_total - self._bytes_done

    def add_existing(self, size: int) -> None:
        """Count bytes that an earlier attempt of this hop wrote."""
        with self._lock:
            self._bytes_done += size

    def add_existing_file(self, path: str, size: int) -> None:
        """Count a file that an earlier attempt of this hop completed."""
        with self._lock:
            self._bytes_done += size
            self._files_done += 1
            self._current = path

    def subtract(self, size: int) -> None:
        """Subtract counted bytes that must be transferred again."""
        with self._lock:
            self._bytes_done -= size

    def finish_file(self, path: str) -> None:
        """Count a file that is complete at the destination."""
        with self._lock:
            self._files_done += 1
            self._files_moved += 1
            self._current = path

    def add_file(self, path: str, size: int) -> None:
        """Count a small file that was received whole: its bytes and the file."""
        with self._lock:
            self._bytes_done += size
            self._bytes_moved += size
            self._files_done += 1
            self._files_moved += 1
            self._current = path

    def add_unchanged(self, size: int) -> None:
        """Count a file that the destination had already, identical."""
        with self._lock:
            self._bytes_done += size
            self._files_done += 1
            self._bytes_unchanged += size
            self._files_unchanged += 1

    def add_lost(self, losses: Iterable[Loss]) -> None:
        """Count a file or directory of which something is not kept."""
        with self._lock:
            self._lost.update(losses)

    def add_removed(self, path: str) -> None:
        """Count an extra file that was removed at the destination."""
        with self._lock:
            self._files_removed += 1
            self._current = path

    def set_current(self, path: str) -> None:
        with self._lock:
            self._current = path

    def adjust_total(self, size: int) -> None:
        """Add to the total the bytes by which a file has grown since it was listed; negative if it shrank."""
        with self._lock:
            if self._bytes_total is not None:
                self._bytes_total += size

    def set_space_shortage(self, shortage: SpaceShortage | None) -> None:
        """Set the space that the destination lacks for all known files; None if it suffices."""
        with self._lock:
            self._space_shortage = shortage

    def set_total(self, size: int, files: int) -> None:
        """Set the totals in bytes and files, once the source is completely listed."""
        with self._lock:
            self._bytes_total, self._files_total = size, files

    def snapshot(self) -> Progress:
        """Return the counters as they are now, and the current rate."""
        with self._lock:
            return Progress(
                bytes_done=countable(self._bytes_done),
                bytes_total=None if self._bytes_total is None else countable(self._bytes_total),
                files_done=self._files_done,
                files_total=self._files_total,
                bytes_unchanged=countable(self._bytes_unchanged),
                files_unchanged=self._files_unchanged,
                bytes_moved=countable(self._bytes_moved),
                files_moved=self._files_moved,
                files_removed=self._files_removed,
                lost=Losses.model_validate(self._lost),
                bytes_per_second=self._rate(),
                space_shortage=self._space_shortage,
                current=None if self._current is None else display_path(self._current),
            )

    def _rate(self) -> int:
        now = time.monotonic()
        if now - self._samples[-1][0] >= 0.1:
            self._samples.append((now, self._bytes_moved))
        while len(self._samples) > 2 and self._samples[1][0] < now - RATE_WINDOW_S:
            self._samples.popleft()
        (_, before), elapsed = self._samples[0], now - self._samples[0][0]
        return int((self._bytes_moved - before) / elapsed) if elapsed > 0.1 else 0


def countable(size: int) -> int:
    """Return a number of bytes that a report can hold: files that are one hole may sum up to more."""
    return max(0, min(size, MAX_INTEGER))
