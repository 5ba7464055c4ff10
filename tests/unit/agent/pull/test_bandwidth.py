"""Bandwidth limits by time of day, sharing by priority, the semaphore, and the worker pool."""

import asyncio
import math
import threading
import time
from collections import Counter
from datetime import datetime

import pytest

from agent.hops.priority_semaphore import PrioritySemaphore
from agent.pull import bandwidth, worker_pool
from agent.pull.bandwidth import WEIGHTS, BandwidthSchedule, RateLimiter, SharedBandwidth, chunk_size_for
from agent.pull.worker_pool import WorkerPool
from events.options import BandwidthWindow, Options
from tests.support.waiting import HANG_TIMEOUT_S

KIB = 1024
OFFICE = {"days": ["mon", "tue"], "start": "08:00", "end": "18:00", "zone": "Europe/Berlin", "limit": 5 * KIB}
NIGHT = {"days": ["fri"], "start": "22:00", "end": "06:00", "zone": "UTC", "limit": None}


@pytest.mark.parametrize(
    ("when", "limit"),
    [
        ("2026-11-23T07:30+00:00", 5 * KIB),  # Monday, 8:30 in Berlin
        ("2026-11-23T06:30+00:00", 9 * KIB),
        ("2026-11-23T17:00+00:00", 9 * KIB),
        ("2026-11-25T07:30+00:00", 9 * KIB),  # Wednesday
        ("2026-11-27T22:00+00:00", None),  # Friday night
        ("2026-11-28T05:59+00:00", None),  # which lasts until Saturday morning
        ("2026-11-28T06:00+00:00", 9 * KIB),
        ("2026-11-27T05:00+00:00", 9 * KIB),
        ("2026-07-06T06:30+00:00", 5 * KIB),  # in summer Berlin is two hours ahead
    ],
)
def test_limit_by_time_of_day(when: str, limit: int | None) -> None:
    schedule = BandwidthSchedule(9 * KIB, [BandwidthWindow.model_validate(one) for one in (OFFICE, NIGHT)])
    assert schedule.at(datetime.fromisoformat(when)) == limit


def test_chunk_size_follows_the_lowest_limit_of_the_day() -> None:
    options = Options.model_validate({"bandwidth_limit": 100 * KIB, "bandwidth_windows": [OFFICE]})
    assert chunk_size_for(options) == 5 * KIB // 4


def test_hops_share_bandwidth_by_priority() -> None:
    shared, stopped, came = SharedBandwidth(BandwidthSchedule(400 * KIB)), threading.Event(), Counter[str]()

    def hop(priority: str) -> None:
        limiter = RateLimiter(BandwidthSchedule(None), shared, WEIGHTS[priority], stopped)
        while not stopped.is_set():
            limiter.acquire(KIB)
            came[priority] += not stopped.is_set()

    threads = [threading.Thread(target=hop, args=[one]) for one in ("low", "normal", "high") for _ in "12"]
    for thread in threads:
        thread.start()
    while came.total() < 900:
        time.sleep(0.01)
    before = came.copy()  # by then whoever came first has had no more than its part
    while came.total() < 1600:
        time.sleep(0.01)
    came -= before
    stopped.set()
    for thread in threads:
        thread.join()
    assert came["high"] > 1.5 * came["normal"] > 1.5 * came["low"] > 0


class SimulatedTime:
    """A clock that only waiting moves forward."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds


def test_unused_bandwidth_goes_to_other_hops(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimulatedTime()
    monkeypatch.setattr(bandwidth, "time", clock)
    shared, stopped = SharedBandwidth(BandwidthSchedule(1000 * KIB)), threading.Event()
    monkeypatch.setattr(shared._turn, "wait", clock.wait)
    idle = RateLimiter(BandwidthSchedule(None), shared, WEIGHTS["high"], stopped)
    busy = RateLimiter(BandwidthSchedule(None), shared, WEIGHTS["low"], stopped)
    idle.acquire(KIB)
    began = clock.now
    for _ in range(500):
        busy.acquire(KIB)
    assert clock.now - began < 0.6  # a fifth of the bandwidth would take 2.5 s


QUEUE = {"l": "low", "n1": "normal", "h": "high", "n2": "normal", "gone": "high"}


async def test_semaphore_prefers_the_highest_priority() -> None:
    turns, came = PrioritySemaphore(1), []

    async def hop(priority: str, name: str) -> None:
        async with turns.acquired(priority):
            came.append(name)

    async with turns.acquired("low"):
        waiting = [asyncio.create_task(hop(priority, name)) for name, priority in QUEUE.items()]
        await asyncio.sleep(0)
        waiting[-1].cancel()
        await asyncio.sleep(0)
    await asyncio.gather(*waiting, return_exceptions=True)
    assert came == ["h", "n1", "n2", "l"]
    async with asyncio.timeout(HANG_TIMEOUT_S), turns.acquired("low"):
        pass


class FakeNetwork:
    """A network with `each` bytes per second and connection, and `most` in total, with a clock of its own.

    A second passes with each reading of the clock, so the load of the machine does not affect the result.
    """

    def __init__(self, each: int, most: int) -> None:
        self.each, self.most = each, most
        self.over = threading.Event()
        self.changed = threading.Condition()
        self.working = self.peak = self.bytes = self.seconds = 0

    def fetch(self, should_exit) -> None:
        self._now(+1)
        while not should_exit() and not self.over.wait(0.01):
            pass
        self._now(-1)

    def _now(self, more: int) -> None:
        with self.changed:
            self.working += more
            self.peak = max(self.peak, self.working)
            self.changed.notify_all()

    bytes_left = math.inf

    @property
    def bytes_moved(self) -> int:
        """The bytes moved, once all started workers are running."""
        with self.changed:
            all_run = lambda: self.over.is_set() or self.working >= running_workers()  # noqa: E731
            assert self.changed.wait_for(all_run, HANG_TIMEOUT_S)
            self.bytes += min(self.each * self.working, self.most)
        return self.bytes

    def monotonic(self) -> int:
        self.seconds += 1
        return self.seconds


def running_workers() -> int:
    return sum(thread.name == "fetch" for thread in threading.enumerate())


@pytest.mark.parametrize(("most", "settles"), [(10**9, worker_pool.MAX_WORKERS), (2_000_000, 2)])
def test_pool_grows_only_while_throughput_grows(monkeypatch, most: int, settles: int) -> None:
    pipe = FakeNetwork(1_000_000, most)
    monkeypatch.setattr(worker_pool, "time", pipe)
    crowd = WorkerPool(pipe.fetch, pipe, 2, worker_pool.MAX_WORKERS, sample_s=0.01)
    crowd.spawn_workers()
    with pipe.changed:
        assert pipe.changed.wait_for(lambda: pipe.peak > 2 and pipe.working == settles, HANG_TIMEOUT_S)
    pipe.over.set()
    crowd.join()
