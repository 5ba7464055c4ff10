"""The mover of every hop whose destination is this agent: list the source, compare, fetch, write, finalize.

    Source ── lister ──> Spool ── planner ──> JobQueue ── workers ──> Destination ──> Finalizer

One thread lists the source, one compares each entry with the destination and plans, several workers fetch and
write. When the connection to the source breaks, a new pass lists everything again; what is already written is
recorded in the ledger and is not fetched twice.
"""

import logging
import sqlite3
import time
from collections.abc import Callable, Container
from contextlib import closing
from pathlib import Path

from agent.errors import HopError
from agent.files.roots import Roots
from agent.pull.destination import Destination
from agent.pull.ledger import Ledger, ledger_path, open_ledger
from agent.pull.limits import PullLimits
from agent.pull.marks import Marks
from agent.pull.mover import AttemptObserver, HopResult, HostResources, in_thread
from agent.pull.partial_directories import SUFFIX, PartialDirectories
from agent.pull.progress import ProgressCounter
from agent.pull.pull_attempt import PullAttempt
from agent.pull.pull_context import PullContext
from agent.pull.source import Source
from agent.quarantine import Quarantine
from events.commands import Move
from events.options import Options

log = logging.getLogger(__name__)

ABANDONED_AFTER_S = 14 * 86400.0
"""Seconds after the last write to its ledger at which a hop that is not open counts as abandoned."""


class Pull:
    """Moves the files of a hop from its source to this host."""

    def __init__(
        self,
        host: HostResources,
        make_source: Callable[[], Source],
        limits: PullLimits = PullLimits(),
    ) -> None:
        """Open the source with `make_source` at each attempt; it may raise HopError."""
        self._host = host
        self._make_source = make_source
        self._limits = limits

    async def move(self, command: Move, progress: ProgressCounter, observer: AttemptObserver) -> HopResult:
        context = PullContext(self._host, self._make_source, command, progress, observer, self._limits)
        attempt = PullAttempt(context)
        return await in_thread(attempt.pull, attempt.request_stop)

    async def discard(self, command: Move) -> None:
        def keep_manifest(ledger: Ledger) -> None:
            self._host.keep_manifest(ledger, command)

        host = self._host
        await in_thread(lambda: discard(host.roots, host.state, command.hop_id, keep_manifest), lambda: None)


def discard(
    roots: Roots, state: Path, hop_id: str, dispose: Callable[[Ledger], None] = Ledger.forget
) -> None:
    """Remove the partial files of a hop; then `dispose` of its ledger.

    Raises HopError, OSError. The ledger is disposed of even then.
    """
    path = ledger_path(state, hop_id)
    if not path.exists():
        _sweep(roots, PartialDirectories(path.with_suffix(SUFFIX)), hop_id)
        return
    ledger = open_ledger(state, hop_id)
    try:
        if ledger.destination is not None:  # otherwise the hop never began, or its ledger was set aside
            tree = roots.destination(ledger.destination)
            with closing(Destination(tree, hop_id, Options(), ledger)) as destination:
                destination.drop_all(roots)
                Marks(roots, tree, ledger).remove_all()
        _sweep(roots, ledger.partial_directories, hop_id)
    finally:
        dispose(ledger)


async def discard_hop(roots: Roots, state: Path, hop_id: str) -> None:
    """Remove what a hop has left of which no more than its id is known; if that fails, log it."""
    try:
        await in_thread(lambda: discard(roots, state, hop_id), lambda: None)
    except (HopError, OSError, sqlite3.Error) as error:
        log.warning("partial files may be left", extra={"hop_id": hop_id, "reason": str(error)})


def _sweep(roots: Roots, directories: PartialDirectories, hop_id: str) -> None:
    """Remove what is left of a hop; what cannot be reached now is removed at a later start."""
    if directories.sweep(roots, hop_id):
        directories.forget()


def discard_abandoned(roots: Roots, state: Path, open_hops: Container[str]) -> None:
    """Discard every hop that is not in `open_hops`, asked for each, and was not resumed for long.

    What a hop without a ledger has left behind is removed at once.
    """
    for record in (state / "hops").glob(f"*{SUFFIX}"):
        if record.stem not in open_hops and not ledger_path(state, record.stem).exists():
            _sweep_lost(roots, record)
    for path in (state / "hops").glob("*.db"):
        try:
            if path.stem not in open_hops and time.time() - path.lstat().st_mtime > ABANDONED_AFTER_S:
                log.info("abandoned hop discarded", extra={"hop_id": path.stem})
                discard(roots, state, path.stem)
        except (HopError, OSError) as error:  # its root no longer exists
            log.info("nothing to discard", extra={"hop_id": path.stem, "reason": str(error)})
        except Exception as error:  # one damaged ledger must not keep the agent from starting
            log.exception("abandoned hop not discarded", extra={"hop_id": path.stem})
            Quarantine(state).move(path, str(error))


def _sweep_lost(roots: Roots, record: Path) -> None:
    """Remove what a hop without a ledger has left; give up what cannot be reached for long."""
    directories = PartialDirectories(record)
    try:
        is_old = time.time() - record.lstat().st_mtime > ABANDONED_AFTER_S
        if directories.sweep(roots, record.stem) or is_old:
            directories.forget()
    except OSError as error:
        log.warning("partial files may be left", extra={"hop_id": record.stem, "reason": str(error)})
