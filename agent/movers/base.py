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

from agent.errors import HopError, filter_refused, shown
from agent.listing import Meant
from agent.movers.arrivals import Arrivals
from agent.movers.ledger import Ledger
from agent.movers.limiter import Hours, Line
from agent.movers.manifests import Manifests
from agent.remotes import Remotes
from agent.roots import Roots
from events.base import Problem
from events.commands import Move
from events.filters import Filters
from events.globs import GlobError
from events.progress import Progress, Shortage, Way
from events.reports import Preview

WINDOW = 5.0
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
class Host:
    """What an agent's host has for every hop."""

    roots: Roots
    state: Path
    """For ledgers, and for what a listing is ahead."""
    line: Line = field(default_factory=lambda: Line(Hours(None)))
    remotes: Remotes = field(default_factory=Remotes)
    manifests: Manifests | None = None
    """Where ledgers go whose hop has come to its end. None: they are forgotten."""
    arrivals: Arrivals = field(default_factory=Arrivals)
    """For hops that take on what these bring."""

    def account(self, ledger: Ledger, order: Move, *, goes_on: bool = False) -> None:
        """The hop has come to its end; if it `goes_on`, perhaps to one of several. A dry run has done
        nothing to account for."""
        if self.manifests and not order.options.dry_run:
            self.manifests.keep(ledger, order.hop_id, goes_on=goes_on)
        elif not goes_on:
            ledger.forget()


def meant_by(order: Move) -> Meant:
    """Which of the source's things the hop is to move. Raises HopError for filters that cannot be used."""
    options = order.options
    try:
        filters = Filters(options.include, options.exclude)
    except GlobError as error:
        raise HopError(filter_refused(error)) from error
    return Meant(options.symlinks, order.selection, filters, options.owner != "agent")


class Tally:
    """How far a hop is; counted from any thread, read from any other."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bytes_done = self._files_done = 0
        self._bytes_unchanged = self._files_unchanged = self._files_removed = 0
        self._bytes_total: int | None = None
        self._files_total: int | None = None
        self._current: str | None = None
        self._short: Shortage | None = None
        self._moved = 0
        self._samples: deque[tuple[float, int]] = deque([(time.monotonic(), 0)], maxlen=64)

    def begin(self) -> None:
        """Count anew: the source is gone through from its beginning once more."""
        with self._lock:
            self._bytes_done = self._files_done = 0
            self._bytes_unchanged = self._files_unchanged = 0

    def moved(self, size: int) -> None:
        """Bytes came over the line just now."""
        with self._lock:
            self._bytes_done += size
            self._moved += size

    @property
    def moved_now(self) -> int:
        """Bytes that came over the line since this began, those included that had to come again."""
        with self._lock:
            return self._moved

    def stood(self, size: int) -> None:
        """Bytes that this hop itself had brought before."""
        with self._lock:
            self._bytes_done += size

    def undone(self, size: int) -> None:
        """Bytes that were counted have to come again."""
        with self._lock:
            self._bytes_done -= size

    def finished(self, path: str) -> None:
        """A file stands at the destination."""
        with self._lock:
            self._files_done += 1
            self._current = path

    def came_whole(self, path: str, size: int) -> None:
        """Both at once, of a small file."""
        with self._lock:
            self._bytes_done += size
            self._moved += size
            self._files_done += 1
            self._current = path

    def unchanged(self, size: int) -> None:
        """A file was there already, and the same."""
        with self._lock:
            self._bytes_done += size
            self._files_done += 1
            self._bytes_unchanged += size
            self._files_unchanged += 1

    def removed(self, path: str) -> None:
        """At the destination, since the source does not have it."""
        with self._lock:
            self._files_removed += 1
            self._current = path

    def moving(self, path: str) -> None:
        with self._lock:
            self._current = path

    def resized(self, size: int) -> None:
        """A file has become larger by so much, or smaller, since it was listed."""
        with self._lock:
            if self._bytes_total is not None:
                self._bytes_total += size

    def short(self, of_room: Shortage | None) -> None:
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
                short=self._short,
                current=None if self._current is None else shown(self._current),
            )

    def _rate(self) -> int:
        now = time.monotonic()
        if now - self._samples[-1][0] >= 0.1:
            self._samples.append((now, self._moved))
        while len(self._samples) > 2 and self._samples[1][0] < now - WINDOW:
            self._samples.popleft()
        (_, before), elapsed = self._samples[0], now - self._samples[0][0]
        return int((self._moved - before) / elapsed) if elapsed > 0.1 else 0


class Watcher(Protocol):
    """Is told what becomes of the attempt; on any thread."""

    def started(self, way: Way) -> None:
        """The way stands."""

    def waiting(self, problem: Problem) -> None:
        """Nothing moves until the destination has room again; then the way stands anew."""

    def verifying(self) -> None:
        """Every byte has arrived; what was written is being read back."""


@dataclass(frozen=True)
class Outcome:
    """How a hop ended well."""

    digest: str
    """Of all that was moved, see `agent.digests`."""
    preview: Preview | None = None
    """Of a dry run."""


class Mover(Protocol):
    """Carries out one hop."""

    async def move(self, order: Move, tally: Tally, watcher: Watcher) -> Outcome:
        """Carry it out, or go on with it. HopError ends the attempt; being cancelled pauses it: what has
        arrived stays, and so does the memory of it."""

    async def discard(self, order: Move) -> None:
        """After a cancel: remove what is half-done."""
