"""The pool of workers, which grows as long as more workers increase the throughput.

A network may limit each connection (its window divided by the round trip), and a disk may do best with few
readers. So the pool measures: it adds some workers, and removes them again if the throughput has not grown.
"""

import logging
import threading
import time
from collections.abc import Callable

log = logging.getLogger(__name__)

MAX_WORKERS = 16
MIN_SPEEDUP = 1.1
"""Factor by which new workers must increase the throughput to stay."""
MIN_SAMPLES = 2
"""Samples per measurement, of which only the last counts: workers start during the first."""

Fetch = Callable[[Callable[[], bool]], None]
"""Runs jobs until none is left, or until its argument, called between two jobs, returns True."""


class WorkerPool:
    """Threads that run jobs. Call `start`, then `join`."""

    def __init__(
        self,
        fetch: Fetch,
        bytes_moved: Callable[[], int],
        initial: int,
        max_workers: int,
        sample_s: float,
    ) -> None:
        """Run `initial` to `max_workers` workers; `bytes_moved` returns the bytes received so far.

        The throughput is measured over `sample_s` seconds.
        """
        self._fetch = fetch
        self._bytes_moved = bytes_moved
        self._initial = initial
        self._sample_s = sample_s
        self._max = max(initial, max_workers)
        self._lock = threading.Lock()
        self._running = 0
        self._wanted = initial
        self._finished = threading.Event()
        self._threads: list[threading.Thread] = []
        self._scaler = threading.Thread(target=self._scale, name="scale")

    def spawn_workers(self) -> None:
        self._spawn(self._initial)
        if self._max > self._initial:
            self._scaler.start()

    def join(self) -> None:
        """Wait until no job is left."""
        for thread in self._threads[: self._initial]:
            thread.join()
        self._finished.set()
        if self._scaler.ident:
            self._scaler.join()
        for thread in self._threads:
            thread.join()

    def _spawn(self, count: int) -> None:
        for _ in range(count):
            thread = threading.Thread(target=self._run_worker, name="fetch")
            with self._lock:
                self._running += 1
            try:
                thread.start()
            except RuntimeError:  # the host has no more threads
                with self._lock:
                    self._running -= 1
                raise
            self._threads.append(thread)

    def _run_worker(self) -> None:
        self._fetch(self._should_exit)
        self._finished.set()

    def _should_exit(self) -> bool:
        """Return whether the calling worker is surplus; then it counts as gone."""
        with self._lock:
            if self._running <= self._wanted:
                return False
            self._running -= 1
            return True

    def _scale(self) -> None:
        best = self._rate(MIN_SAMPLES)
        while best and self._wanted < self._max and not self._finished.is_set():
            before = self._wanted
            self._wanted = min(self._max, before + max(1, before // 2))
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

    def _rate(self, samples: int) -> float:
        """Return bytes per second in the last of so many samples; 0 when no job is left."""
        rate = 0.0
        for _ in range(samples):
            before, began = self._bytes_moved(), time.monotonic()
            if self._finished.wait(self._sample_s):
                return 0
            rate = (self._bytes_moved() - before) / (time.monotonic() - began)
        return rate
