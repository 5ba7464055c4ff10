"""The `Mover` protocol between the agent's service and the code that moves bytes, and what movers share."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Protocol, TypeVar

from agent.errors import HopError
from agent.files.listing import Selection
from agent.files.roots import Roots
from agent.problems import FILTER_REFUSED
from agent.pull.active_pulls import ActivePulls
from agent.pull.bandwidth import BandwidthSchedule, SharedBandwidth
from agent.pull.ledger import Ledger
from agent.pull.manifest_outbox import ManifestOutbox
from agent.pull.progress import ProgressCounter
from agent.pull.source import SourceConnectionError
from agent.remotes import Remotes
from events.base import Problem
from events.commands import Move, Serve
from events.filters import Filters
from events.globs import GlobError
from events.progress import Connection
from events.reports import DryRunResult
from events.views import CredentialsView

Result = TypeVar("Result")
Item = TypeVar("Item")


class Credentials(Protocol):
    """Issues S3 credentials."""

    def __call__(self, hop_id: str, /, refused: CredentialsView | None = None) -> CredentialsView:
        """Return the credentials of a hop: others than those that S3 has `refused`."""

    def forget(self, hop_id: str, /) -> None:
        """Forget those of a hop: it has ended, and the next ones may open less."""


def credentials_error(error: Exception) -> HopError | SourceConnectionError:
    """Return why `Credentials` issued none: the control plane refuses them, or does not answer."""
    problem = getattr(error, "problem", None)
    if isinstance(problem, Problem) and not problem.retryable:
        return HopError(problem)
    return SourceConnectionError(f"no S3 credentials: {error}")


async def in_thread(work: Callable[[], Result], stop: Callable[[], None]) -> Result:
    """Run `work` on a thread of its own and return its result.

    Hops take long, and would block the few threads of the event loop's executor. When this is canceled, it
    calls `stop`, which must make `work` return, and waits for that: nothing is written afterwards.
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


def batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yield the items in lists of `size`; the last one may be shorter."""
    source = iter(items)
    while batch := list(islice(source, size)):
        yield batch


@dataclass(frozen=True)
class HostResources:
    """What an agent's host offers to every hop."""

    roots: Roots
    state: Path
    """The agent's state directory, for ledgers and spools."""
    bandwidth: SharedBandwidth = field(default_factory=lambda: SharedBandwidth(BandwidthSchedule(None)))
    """The agent's bandwidth, which its hops share."""
    remotes: Remotes = field(default_factory=Remotes)
    """The rclone remotes that this agent may use."""
    manifests: ManifestOutbox | None = None
    """Takes the ledgers of ended hops, to upload their manifests. None: ledgers are deleted."""
    active_pulls: ActivePulls = field(default_factory=ActivePulls)
    """The pulls that run here, for hops that send on what these write."""

    def keep_manifest(
        self, ledger: Ledger, command: Move, *, succeeded: bool = False, goes_on: bool = False
    ) -> None:
        """Hand the ledger of an ended attempt to the manifest outbox, or delete it.

        With `goes_on`, the hop may be resumed, so its ledger is kept. A dry run has no manifest.
        """
        if self.manifests and not command.options.dry_run:
            self.manifests.keep(ledger, command.hop_id, succeeded=succeeded, goes_on=goes_on)
        elif not goes_on:
            ledger.forget()


def selection_of(command: Move | Serve) -> Selection:
    """Return which of the source's files the hop moves. Raises HopError for an invalid filter."""
    options = command.options
    try:
        filters = Filters(options.include, options.exclude)
    except GlobError as error:
        raise HopError(FILTER_REFUSED.problem(reason=error)) from error
    return Selection(options.symlinks, command.selection, filters, options.owner != "agent")


class AttemptObserver(Protocol):
    """Receives the events of an attempt, on any thread."""

    def on_start(self, connection: Connection) -> None:
        """Handle that the source is connected and a pass starts."""

    def on_wait(self, problem: Problem) -> None:
        """Handle that the hop waits for disk space at the destination; `on_start` follows later."""

    def on_verify(self) -> None:
        """Handle that all files are written and are now read back for verification."""


@dataclass(frozen=True)
class HopResult:
    """The result of a hop that succeeded."""

    digest: str
    """Digest of all moved files in hex, see `agent.files.digests`."""
    preview: DryRunResult | None = None
    """The report of a dry run."""


class Mover(Protocol):
    """Moves the files of a hop."""

    async def move(self, command: Move, progress: ProgressCounter, observer: AttemptObserver) -> HopResult:
        """Start or resume the hop and return its result.

        Canceling this pauses the hop: written files and the ledger stay.

        Raises:
            HopError: the attempt failed.
        """

    async def discard(self, command: Move) -> None:
        """Remove the partial files and the ledger of a canceled hop."""
