"""The pool of workers, which grows as long as more workers increase the throughput.

A network may limit each connection (its window divided by the round trip), and a disk may do best with few
readers. So the pool measures: it adds some workers, and removes them again if the throughput has not grown.
"""

import logging
import threading
import time
from collections.abc import Callable

from agent.pull.progress import ProgressCounter

log = logging.getLogger(__name__)

MAX_WORKERS = 16
MIN_SPEEDUP = 1.1
"""Factor by which new workers must increase the throughput to stay."""
MIN_LEFT_S = 3.0
"""Seconds of work that must be left for more workers: a new connection is slow at first."""

Fetch = Callable[[Callable[[], bool]], None]
"""Runs jobs until none is left, or until its argument, called between two jobs, returns True."""


class WorkerPool:
    """Threads that run jobs. Call `start`, then `join`."""

    def __init__(
        self,
        fetch: Fetch,
        progress: ProgressCounter,
        initial: int,
        max_workers: int,
        sample_s: float,
    ) -> None:
        """Run `initial` to `max_workers` workers.

        The throughput is measured by `progress` over `sample_s` seconds.
        """
        self._fetch = fetch
        self._progress = progress
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
        best = self._steady_rate()
        while best is not None and self._wanted < self._max:
            if not best or self._progress.bytes_left < best * MIN_LEFT_S:
                best = self._steady_rate()  # more files may follow
                continue
            before = self._wanted
            self._wanted = min(self._max, 2 * before)
            try:
                self._spawn(self._wanted - before)
            except RuntimeError as error:
                log.warning("no more connections", extra={"reason": str(error)})
                return
            now = self._steady_rate()
            if now is None or now < best * MIN_SPEEDUP:
                self._wanted = before
                return
            best = now

    def _steady_rate(self) -> float | None:
        """Return bytes per second, once they no longer grow by themselves; None when no job is left.

        Workers start during the first sample, and on a long line their connections become faster for seconds.
        """
        before, rate = self._rate(), self._rate()
        while before is not None and rate is not None and rate > before * MIN_SPEEDUP:
            before, rate = rate, self._rate()
        return rate

    def _rate(self) -> float | None:
        """Return bytes per second in one sample; None when no job is left."""
        before, began = self._progress.bytes_moved, time.monotonic()
        if self._finished.wait(self._sample_s):
            return None
        return (self._progress.bytes_moved - before) / (time.monotonic() - began)
