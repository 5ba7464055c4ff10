"""Divide what is left of big files among workers, so that their connections finish together.

Each worker gets half of what its connection will carry until all is done, at the rates so far. Shares become
smaller toward the end (guided self-scheduling: https://doi.org/10.1109/TC.1987.5009495), and those of a slow
connection are small throughout.
"""

import time
from collections.abc import Callable

from agent.files.digests import MIB, RANGE_BYTES

MIN_SHARE_BYTES = MIB // 4
"""Bytes below which a range is not divided further: each request costs a round trip."""
FIRST_SHARE_BYTES = 2 * MIB
"""Most bytes of a worker whose rate is not known yet."""


class Shares:
    """The shares of the workers of a pass, each known by its thread. The caller locks."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Give each worker a whole range, until `divide` is called."""
        self._clock = clock
        self._workers = self._without_rate = 1
        self._rates: dict[int, float] = {}
        """Worker → bytes per second of its last share."""
        self._began: dict[int, float] = {}

    @property
    def enough(self) -> int:
        """Bytes from which on it does not matter how many more are left."""
        return 2 * self._workers * RANGE_BYTES

    def divide(self, workers: int) -> None:
        """Divide among so many workers."""
        self._workers = self._without_rate = workers

    def begin(self, worker: int, left: int) -> int:
        """Return how many of the bytes left a worker takes; a range at most."""
        self._began[worker] = self._clock()
        if self._workers == 1:
            return RANGE_BYTES
        if rate := self._rates.get(worker):
            average = sum(self._rates.values()) / len(self._rates)
            share = int(left * rate / average / self._workers / 2)
        else:
            share = min(FIRST_SHARE_BYTES, left // self._without_rate)
            self._without_rate = max(1, self._without_rate - 1)
        return max(MIN_SHARE_BYTES, min(RANGE_BYTES, share))

    def end(self, worker: int, size: int) -> None:
        """Note that a worker has fetched its share of `size` bytes."""
        began = self._began.pop(worker, None)
        if began is not None:
            self._rates[worker] = size / max(1e-3, self._clock() - began)
