"""The threads that fetch: more of them as long as more bring more.

One line may give each connection only so much (its window divided by the round trip), one disk may do best
with few. So it is tried: some more join, and leave again if the whole has not become faster by it.
"""

import logging
import threading
import time
from collections.abc import Callable

log = logging.getLogger(__name__)

MAX_WORKERS = 16
SCALE_INTERVAL_S = 1.0
"""Seconds between two looks at how much has come."""
MIN_SPEEDUP = 1.1
"""How much faster the whole has to be with the new ones."""
MIN_SAMPLES = 2
"""So many are needed before anything is concluded: the first may have been a start."""

Fetch = Callable[[Callable[[], bool]], None]
"""Work until there is none left, or until the answer to its question, asked between two jobs, is that one
fewer is wanted."""


class WorkerPool:
    """`start`, then `join`."""

    def __init__(self, fetch: Fetch, moved: Callable[[], int], first: int, most: int) -> None:
        """`moved`: bytes that came over the line so far. From `first` to `most` work at once."""
        self._fetch = fetch
        self._moved = moved
        self._first = first
        self._most = max(first, most)
        self._lock = threading.Lock()
        self._working = 0
        self._wanted = first
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self._scaler = threading.Thread(target=self._watch, name="crew")

    def start(self) -> None:
        self._spawn(self._first)
        if self._most > self._first:
            self._scaler.start()

    def join(self) -> None:
        """Until there is no work left."""
        for thread in self._threads[: self._first]:
            thread.join()
        self._over.set()
        if self._scaler.ident:
            self._scaler.join()
        for thread in self._threads:
            thread.join()

    def _spawn(self, count: int) -> None:
        for _ in range(count):
            thread = threading.Thread(target=self._work, name="fetch")
            with self._lock:
                self._working += 1
            try:
                thread.start()
            except RuntimeError:  # the host has no more threads
                with self._lock:
                    self._working -= 1
                raise
            self._threads.append(thread)

    def _work(self) -> None:
        self._fetch(self._should_exit)
        self._over.set()

    def _should_exit(self) -> bool:
        """Is whoever asks one too many?"""
        with self._lock:
            if self._working <= self._wanted:
                return False
            self._working -= 1
            return True

    def _watch(self) -> None:
        best = self._rate(MIN_SAMPLES)
        while best and self._wanted < self._most and not self._over.is_set():
            before = self._wanted
            self._wanted = min(self._most, before + max(1, before // 2))
            try:
                self._spawn(self._wanted - before)
            except RuntimeError as error:
                log.warning("no more connections", extra={"reason": str(error)})
                return
            now = self._rate(MIN_SAMPLES)
            if now < best * MIN_SPEEDUP:
                self._wanted = before
                return
            best = now

    def _rate(self, looks: int) -> float:
        """Bytes per second in the last of so many looks; 0 when the work is over."""
        rate = 0.0
        for _ in range(looks):
            before, began = self._moved(), time.monotonic()
            if self._over.wait(SCALE_INTERVAL_S):
                return 0
            rate = (self._moved() - before) / (time.monotonic() - began)
        return rate
