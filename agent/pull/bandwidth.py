"""Bandwidth limits: of one hop, and of the agent, whose bandwidth its hops share.

Both limits may depend on the time of day. Hops share the agent's bandwidth by the weight of their priority
(weighted fair queueing: https://doi.org/10.1145/75247.75248); what one hop does not use goes to the others.
"""

import threading
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from agent.files.digests import CHUNK_BYTES
from events.options import BandwidthWindow, Options, Priority

MIN_CHUNK_BYTES = 1024
"""Smallest read of a bandwidth-limited hop, in bytes."""
BURST_S = 0.25
"""Seconds of the limit's bytes that may be sent at once."""
LIMIT_TTL_S = 1.0
"""Seconds for which the current limit is cached."""
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


WEIGHTS: dict[Priority, int] = {"low": 1, "normal": 2, "high": 4}
"""Share of the agent's bandwidth, relative to other hops, by priority."""


class BandwidthSchedule:
    """A limit in bytes per second, or None, by the time of day."""

    def __init__(self, limit: int | None, windows: Iterable[BandwidthWindow] = ()) -> None:
        self._limit = limit
        self._windows = [(window, ZoneInfo(window.zone)) for window in windows]
        self._cached_until = 0.0
        self._cached: int | None = limit

    @property
    def is_any(self) -> bool:
        """Whether there is a limit at any time of day."""
        return self._limit is not None or bool(self._windows)

    @property
    def lowest(self) -> int | None:
        """The lowest limit of the day, in bytes per second."""
        limits = [self._limit, *(window.limit for window, _ in self._windows)]
        return min((limit for limit in limits if limit), default=None)

    def now(self) -> int | None:
        if self._windows and time.monotonic() >= self._cached_until:
            self._cached = self.at(datetime.now(UTC))
            self._cached_until = time.monotonic() + LIMIT_TTL_S
        return self._cached

    def at(self, time_of_day: datetime) -> int | None:
        matching = (window for window, zone in self._windows if _is_in(window, time_of_day.astimezone(zone)))
        window = next(matching, None)
        return window.limit if window else self._limit


def _is_in(window: BandwidthWindow, time_of_day: datetime) -> bool:
    clock = time_of_day.time()
    if window.start < window.end:
        return window.start <= clock < window.end and _is_day(window, time_of_day)
    if clock >= window.start:
        return _is_day(window, time_of_day)
    return clock < window.end and _is_day(window, time_of_day - timedelta(days=1))


def _is_day(window: BandwidthWindow, time_of_day: datetime) -> bool:
    return not window.days or _DAYS[time_of_day.weekday()] in window.days


class SharedBandwidth:
    """The bandwidth that all hops of an agent share. Thread-safe."""

    def __init__(self, schedule: BandwidthSchedule) -> None:
        self._schedule = schedule
        self._turn = threading.Condition()
        self._waiting: list[tuple[float, int]] = []
        self._served = 0.0
        """Position up to which all waiting hops have been served: bytes by weight, since the start."""
        self._paid_until = 0.0

    @property
    def is_limited(self) -> bool:
        return self._schedule.is_any

    def acquire_share(self, size: int, share: float, stopped: threading.Event) -> float:
        """Wait until `size` bytes may be sent, or until `stopped`, and return the hop's new position.

        `share` is the position up to which the hop has been served. A hop that was idle is moved forward, so
        that it cannot claim what it left to others.
        """
        with self._turn:
            position = (
                max(share, self._served - BURST_S * (self._schedule.now() or 0)),
                threading.get_ident(),
            )
            self._waiting.append(position)
            try:
                while not stopped.is_set() and (wait := self._wait(position)):
                    self._turn.wait(wait)
                self._served = max(self._served, position[0])
                self._pay(size)
            finally:
                self._waiting.remove(position)
                self._turn.notify_all()
        return position[0]

    def _wait(self, position: tuple[float, int]) -> float:
        """Return the seconds until the position may be served; 0 if it is now."""
        if min(self._waiting) != position:
            return LIMIT_TTL_S
        if self._schedule.now() is None:
            return 0
        return max(0, self._paid_until - time.monotonic())

    def _pay(self, size: int) -> None:
        if rate := self._schedule.now():
            self._paid_until = max(self._paid_until, time.monotonic() - BURST_S) + size / rate


class RateLimiter:
    """Limits a hop by its own limit and its share of the agent's bandwidth. Thread-safe."""

    def __init__(
        self, schedule: BandwidthSchedule, shared: SharedBandwidth, weight: int, stopped: threading.Event
    ) -> None:
        self._schedule = schedule
        self._shared = shared
        self._weight = weight
        self._stopped = stopped
        self._lock = threading.Lock()
        self._paid_until = 0.0
        self._share = 0.0

    @property
    def is_stopped(self) -> bool:
        """Whether the hop was stopped, so that `take` no longer waits."""
        return self._stopped.is_set()

    def acquire(self, size: int) -> None:
        """Wait until `size` bytes may be sent, or until the hop is stopped."""
        if self._shared.is_limited:
            self._take_turn(size)
        if self._schedule.is_any and (rate := self._schedule.now()):
            self._wait(size, rate)

    def _take_turn(self, size: int) -> None:
        with self._lock:
            share, self._share = self._share, self._share + size / self._weight
        served = self._shared.acquire_share(size, share, self._stopped)
        with self._lock:  # an idle hop does not catch up
            self._share = max(self._share, served + size / self._weight)

    def _wait(self, size: int, rate: int) -> None:
        with self._lock:
            now = time.monotonic()
            self._paid_until = max(self._paid_until, now - BURST_S) + size / rate
            wait = self._paid_until - now
        if wait > 0:
            self._stopped.wait(wait)


def limiter_for(options: Options, shared: SharedBandwidth, stopped: threading.Event) -> RateLimiter:
    """Return the limiter of a hop with these options."""
    return RateLimiter(schedule_of(options), shared, WEIGHTS[options.priority], stopped)


def schedule_of(options: Options) -> BandwidthSchedule:
    return BandwidthSchedule(options.bandwidth_limit, options.bandwidth_windows)


def chunk_size_for(options: Options) -> int:
    """Return the bytes per read: a quarter of a second of the lowest limit, so that the flow is steady."""
    rate = schedule_of(options).lowest
    return CHUNK_BYTES if rate is None else min(CHUNK_BYTES, max(MIN_CHUNK_BYTES, rate // 4))
