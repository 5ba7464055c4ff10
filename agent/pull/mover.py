"""What a mover is: the door between the agent's service and whatever carries the bytes."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Protocol, TypeVar

from agent.errors import HopError, filter_refused
from agent.files.listing import Selection
from agent.files.roots import Roots
from agent.pull.active_pulls import ActivePulls
from agent.pull.bandwidth import BandwidthSchedule, SharedBandwidth
from agent.pull.ledger import Ledger
from agent.pull.manifest_outbox import ManifestOutbox
from agent.pull.progress import ProgressCounter
from agent.remotes import Remotes
from events.base import Problem
from events.commands import Move
from events.filters import Filters
from events.globs import GlobError
from events.progress import Connection
from events.reports import DryRunResult

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
    """Of all that was moved, see `agent.files.digests`."""
    preview: DryRunResult | None = None
    """Of a dry run."""


class Mover(Protocol):
    """Carries out one hop."""

    async def move(self, order: Move, tally: ProgressCounter, watcher: AttemptObserver) -> HopResult:
        """Carry it out, or go on with it. HopError ends the attempt; being cancelled pauses it: what has
        arrived stays, and so does the memory of it."""

    async def discard(self, order: Move) -> None:
        """After a cancel: remove what is half-done."""
