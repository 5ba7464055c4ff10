"""One attempt at a pull: passes over the source until one of them comes to its end, then the finish."""

import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing

from agent.errors import HopError
from agent.files import disk, owners
from agent.pull.destination import Destination
from agent.pull.finalizer import Finalizer
from agent.pull.ledger import Ledger, ledger_path, open_ledger
from agent.pull.marks import Marks
from agent.pull.mirror import empty_source
from agent.pull.mover import AttemptObserver, HopResult, HostResources
from agent.pull.progress import ProgressCounter
from agent.pull.request_size import RequestSize
from agent.pull.source import Source, SourceConnectionError
from agent.pull.streaming_source import IncrementalSource, StreamingSource
from agent.pull.sync_pass import SyncPass
from agent.pull.worker_context import PullStoppedError
from agent.quarantine import Quarantine, is_damage
from events.base import Problem
from events.commands import Move

log = logging.getLogger(__name__)

RETRY_DELAYS_S = (0.2, 0.5, 1.0, 2.0)
"""Seconds before the way is tried again; the last one for ever."""
POLL_INTERVAL_S = 2.0
"""Seconds between two looks at a full disk."""
FREED_ENOUGH_BYTES = 16 * 1024 * 1024
"""Bytes that have become free: worth another try."""
FULL_DISK_RETRY_S = 60.0
"""Seconds after which it is tried though nothing has become free that can be seen: a quota cannot."""
DESTINATION_FULL = "destination-full"
SOURCE_MISSING = "source-missing"


class PullAttempt:
    def __init__(
        self,
        host: HostResources,
        source: Callable[[], Source],
        order: Move,
        arrival: str,
        tally: ProgressCounter,
        watcher: AttemptObserver,
        patience: float,
    ) -> None:
        """`arrival` is where the hop arrives on this host."""
        self._host = host
        self._roots = host.roots
        self._make_source = source
        self._order = order
        self._arrival = arrival
        self._tally = tally
        self._watcher = watcher
        self._patience = patience
        self._stride = RequestSize()
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._pass: SyncPass | None = None

    def stop(self) -> None:
        """From any thread: `run` ends soon."""
        with self._lock:
            self._stopped.set()
            if self._pass:
                self._pass.stop(PullStoppedError())

    def run(self) -> HopResult:
        """HopError, or StoppedError after `stop`."""
        self._roots.destination(self._arrival).close()
        if self._order.options.owner != "agent":
            owners.require_chown(str(self._order.destination))
        ledger = open_ledger(self._host.state, self._order.hop_id)
        try:
            ledger.begin(self._arrival)
            at_work = self._host.arrivals.register(self._order.hop_id, ledger)
            self._sweep(ledger)
            with closing(self._make_source()) as source, at_work:
                outcome = self._carried_out(source, ledger)
        except HopError as error:
            if not error.problem.retryable:
                self._give_up(ledger)
            self._host.account(ledger, self._order, goes_on=True)
            raise
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
            ledger.close()
            path = ledger_path(self._host.state, self._order.hop_id)
            Quarantine(self._host.state).move(path, str(error))
            raise HopError(_ledger_damaged(str(path), error)) from error
        else:
            self._host.account(ledger, self._order)
            return outcome
        finally:
            ledger.close()

    def _sweep(self, ledger: Ledger) -> None:
        """Marks that a killed attempt has left."""
        with self._roots.tree(self._arrival, writing=True) as tree:
            Marks(self._roots, tree, ledger).clear()

    def _carried_out(self, source: Source, ledger: Ledger) -> HopResult:
        try:
            one = self._to_the_end(source, ledger)
        except HopError as error:
            if not (ledger.is_cleared and error.problem.code == SOURCE_MISSING and self._pass):
                raise
            with closing(self._finishing(source, ledger, self._pass)) as finishing:
                return finishing.conclude()
        return self._finish(source, ledger, one)

    def _landing(self, ledger: Ledger) -> Destination:
        tree = self._roots.destination(self._arrival)
        return Destination(tree, self._order.hop_id, self._order.options, ledger)

    def _to_the_end(self, source: Source, ledger: Ledger) -> SyncPass:
        """What follows another hop has a head start before it goes over everything."""
        if self._order.follows and isinstance(source, IncrementalSource):
            self._passes(lambda: StreamingSource(source, ledger), ledger)
        return self._passes(lambda: source, ledger)

    def _passes(self, source: Callable[[], Source], ledger: Ledger) -> SyncPass:
        """Pass after pass while each brings something or the patience lasts; a full disk is waited for."""
        lost_at, vain = 0.0, 0
        while True:
            one = self._begin(source(), ledger)
            try:
                one.run()
            except SourceConnectionError as lost:
                if one.brought or not vain:
                    lost_at, vain = time.monotonic(), 0
                if time.monotonic() - lost_at > self._patience:
                    raise HopError(_unreachable(self._order, lost)) from lost
                log.info("way to the source lost", extra=self._about() | {"reason": str(lost)})
                self._wait(RETRY_DELAYS_S[min(vain, len(RETRY_DELAYS_S) - 1)])
                vain += 1
            except HopError as error:
                if error.problem.code != DESTINATION_FULL:
                    raise
                self._wait_for_room(error.problem)
            else:
                return one

    def _about(self) -> dict[str, object]:
        return {"hop_id": self._order.hop_id, "attempt": self._order.attempt}

    def _wait(self, seconds: float) -> None:
        if self._stopped.wait(seconds):
            raise PullStoppedError

    def _wait_for_room(self, problem: Problem) -> None:
        log.warning("waiting for room", extra=self._about() | {"reason": problem.message})
        self._watcher.on_wait(problem)
        before, give_it_a_try = self._free(), time.monotonic() + FULL_DISK_RETRY_S
        while time.monotonic() < give_it_a_try and self._free() < before + FREED_ENOUGH_BYTES:
            self._wait(POLL_INTERVAL_S)

    def _free(self) -> int:
        with self._roots.destination(self._arrival) as tree:
            return disk.free_bytes(tree.nearest_existing())

    def _begin(self, source: Source, ledger: Ledger) -> SyncPass:
        with self._lock:
            if self._stopped.is_set():
                raise PullStoppedError
            self._pass = SyncPass(
                self._order,
                source,
                lambda: self._landing(ledger),
                ledger,
                self._tally,
                self._watcher,
                self._host,
                self._stride,
            )
            return self._pass

    def _finish(self, source: Source, ledger: Ledger, one: SyncPass) -> HopResult:
        if self._order.options.delete_extra and not one.files:
            raise empty_source(self._order.source)
        with closing(self._finishing(source, ledger, one)) as finishing:
            return finishing.run()

    def _finishing(self, source: Source, ledger: Ledger, one: SyncPass) -> Finalizer:
        return Finalizer(
            self._order,
            source,
            ledger,
            self._roots.destination(self._arrival),
            self._tally,
            self._watcher,
            one.failures,
            one.rehearsal,
            self._stopped,
            self._roots,
        )

    def _give_up(self, ledger: Ledger) -> None:
        """Nothing half-done stays behind when the hop will not be tried again by itself."""
        try:
            with closing(self._landing(ledger)) as landing:
                landing.drop_all()
        except (HopError, OSError) as error:
            log.warning("half-done files may be left", extra=self._about() | {"reason": str(error)})


def _unreachable(order: Move, lost: SourceConnectionError) -> Problem:
    return Problem(
        code="source-unreachable",
        message=f"{order.source} cannot be reached: {lost}.",
        advice="See that the source's agent runs, and that its lane port is open from here "
        "(`crosshaul agent doctor` on both hosts).",
        retryable=True,
    )


def _ledger_damaged(path: str, error: sqlite3.Error) -> Problem:
    return Problem(
        code="ledger-damaged",
        message=f"{path}, in which the agent notes what has arrived, cannot be read any more: {error}.",
        advice="The next attempt compares with what is at the destination. Have that host's disk checked.",
        retryable=True,
    )
