"""What a mover is: the door between the agent's service and whatever carries the bytes."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Protocol, TypeVar

from agent.errors import HopError, filter_refused, display_path
from agent.listing import Selection
from agent.movers.arrivals import ActivePulls
from agent.movers.ledger import Ledger
from agent.movers.limiter import BandwidthSchedule, SharedBandwidth
from agent.movers.manifests import ManifestOutbox
from agent.remotes import Remotes
from agent.roots import Roots
from events.base import Problem
from events.commands import Move
from events.filters import Filters
from events.globs import GlobError
from events.progress import Progress, SpaceShortage, Connection
from events.reports import DryRunResult

RATE_WINDOW_S = 5.0
"""Seconds over which the rate is taken."""


Answer = TypeVar("Answer")
Thing = TypeVar("Thing")


async def in_thread(work: Callable[[], Answer], stop: Callable[[], None]) -> Answer:
    """What `work` answers, on a thread of its own: hops last long, and the loop's few are for what does not.

    When this is cancelled, `stop` has to bring it to its end, which is waited for: nothing is written any
    more when the cancelling returns.
    """
    executor = ThreadPoolExecutor(1, "hop")
    running = asyncio.get_running_loop().run_in_executor(executor, work)
    executor.shutdown(wait=False)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        stop()
        with suppress(Exception):
            await running
        raise


def batches(found: Iterable[Thing], size: int) -> Iterator[list[Thing]]:
    """So many at once."""
    source = iter(found)
    while batch := list(islice(source, size)):
        yield batch


@dataclass(frozen=True)
class HostResources:
    """What an agent's host has for every hop."""

    roots: Roots
    state: Path
    """For ledgers, and for what a listing is ahead."""
    line: SharedBandwidth = field(default_factory=lambda: SharedBandwidth(BandwidthSchedule(None)))
    remotes: Remotes = field(default_factory=Remotes)
    manifests: ManifestOutbox | None = None
    """Where ledgers go whose hop has come to its end. None: they are forgotten."""
    arrivals: ActivePulls = field(default_factory=ActivePulls)
    """For hops that take on what these bring."""

    def account(self, ledger: Ledger, order: Move, *, goes_on: bool = False) -> None:
        """The hop has come to its end; if it `goes_on`, perhaps to one of several. A dry run has done
        nothing to account for."""
        if self.manifests and not order.options.dry_run:
            self.manifests.keep(ledger, order.hop_id, goes_on=goes_on)
        elif not goes_on:
            ledger.forget()


def selection_of(order: Move) -> Selection:
    """Which of the source's things the hop is to move. Raises HopError for filters that cannot be used."""
    options = order.options
    try:
        filters = Filters(options.include, options.exclude)
    except GlobError as error:
        raise HopError(filter_refused(error)) from error
    return Selection(options.symlinks, order.selection, filters, options.owner != "agent")


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


class AttemptObserver(Protocol):
    """Is told what becomes of the attempt; on any thread."""

    def on_start(self, way: Connection) -> None:
        """The way stands."""

    def on_wait(self, problem: Problem) -> None:
        """Nothing moves until the destination has room again; then the way stands anew."""

    def on_verify(self) -> None:
        """Every byte has arrived; what was written is being read back."""


@dataclass(frozen=True)
class HopResult:
    """How a hop ended well."""

    digest: str
    """Of all that was moved, see `agent.digests`."""
    preview: DryRunResult | None = None
    """Of a dry run."""


class Mover(Protocol):
    """Carries out one hop."""

    async def move(self, order: Move, tally: ProgressCounter, watcher: AttemptObserver) -> HopResult:
        """Carry it out, or go on with it. HopError ends the attempt; being cancelled pauses it: what has
        arrived stays, and so does the memory of it."""

    async def discard(self, order: Move) -> None:
        """After a cancel: remove what is half-done."""
