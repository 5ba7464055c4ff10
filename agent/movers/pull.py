"""The mover of every hop that arrives at this agent, wherever from: list, compare, fetch, put in place.

One thread lists the source, one compares with what stands here and plans, and several fetch. When the way to
the source breaks, everything is gone through once more: what has arrived is in the ledger, and stays.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection
from contextlib import closing, suppress
from pathlib import Path

from agent.digests import HopDigest, digest_of
from agent.errors import HopError, problem_of, shown
from agent.movers.base import Outcome, Tally, Watcher, in_thread
from agent.movers.failures import Failures
from agent.movers.fetching import StoppedError
from agent.movers.landing import Landing
from agent.movers.ledger import Ledger
from agent.movers.passing import Pass
from agent.movers.source import LostError, Source
from agent.roots import Roots
from events.base import Problem
from events.commands import Move
from events.locations import AgentLocation
from events.options import Options

log = logging.getLogger(__name__)

PATIENCE = 60.0
"""Seconds without any progress after which a broken way to the source ends the attempt."""
ABANDONED = 14 * 86400.0
"""Seconds after which what is half-done of a hop that failed is given up."""
PAUSES = (0.2, 0.5, 1.0, 2.0)
"""Seconds before the way is tried again; the last one for ever."""


class Pull:
    """Brings a hop's files here from a `source`."""

    def __init__(
        self, roots: Roots, state: Path, source: Callable[[], Source], patience: float = PATIENCE
    ) -> None:
        """`source` is asked for when the hop begins. HopError if it cannot be had at all."""
        self._roots = roots
        self._state = state
        self._source = source
        self._patience = patience

    async def move(self, order: Move, tally: Tally, watcher: Watcher) -> Outcome:
        hauling = _Hauling(self._roots, self._state, self._source, order, tally, watcher, self._patience)
        return await in_thread(hauling.run, hauling.stop)

    async def discard(self, order: Move) -> None:
        await in_thread(lambda: discard(self._roots, self._state, order.hop_id), lambda: None)


def discard(roots: Roots, state: Path, hop_id: str) -> None:
    """Remove whatever is half-done of a hop, and the memory of it."""
    path = ledger_path(state, hop_id)
    if not path.exists():
        return
    ledger = Ledger(path)
    try:
        tree = roots.tree(ledger.destination or "/", writing=True)
        with closing(Landing(tree, hop_id, Options(), ledger)) as landing:
            for half_done in list(ledger.half_done()):
                landing.drop(half_done.path)
    finally:
        ledger.forget()


def discard_abandoned(roots: Roots, state: Path, held: Collection[str]) -> None:
    """The same for hops that nobody has gone on with for long; `held`: those that the journal holds open."""
    for path in (state / "hops").glob("*.db"):
        if path.stem not in held and time.time() - path.stat().st_mtime > ABANDONED:
            log.info("abandoned hop discarded", extra={"hop_id": path.stem})
            with suppress(HopError, OSError):  # its root is no longer there
                discard(roots, state, path.stem)


def ledger_path(state: Path, hop_id: str) -> Path:
    return state / "hops" / f"{hop_id}.db"


def arrival(order: Move) -> str:
    """Where the hop arrives on this host."""
    if not isinstance(order.destination, AgentLocation):
        raise TypeError(f"{order.hop_id} does not arrive at an agent")
    return order.destination.path


class _Hauling:
    """One attempt: passes over the source until one of them comes to its end."""

    def __init__(
        self,
        roots: Roots,
        state: Path,
        source: Callable[[], Source],
        order: Move,
        tally: Tally,
        watcher: Watcher,
        patience: float,
    ) -> None:
        self._roots = roots
        self._state = state
        self._make_source = source
        self._order = order
        self._tally = tally
        self._watcher = watcher
        self._patience = patience
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._pass: Pass | None = None

    def stop(self) -> None:
        """From any thread: `run` ends soon."""
        with self._lock:
            self._stopped.set()
            if self._pass:
                self._pass.stop(StoppedError())

    def run(self) -> Outcome:
        """HopError, or StoppedError after `stop`."""
        path = arrival(self._order)
        self._roots.tree(path, writing=True).close()
        ledger = Ledger(ledger_path(self._state, self._order.hop_id))
        ledger.begin(path)
        try:
            with closing(self._make_source()) as source:
                failures = self._to_the_end(source, ledger)
                return self._finish(ledger, failures)
        except HopError as error:
            if not error.problem.retryable:
                self._give_up(ledger)
            raise
        finally:
            ledger.close()

    def _landing(self, ledger: Ledger) -> Landing:
        tree = self._roots.tree(arrival(self._order), writing=True)
        return Landing(tree, self._order.hop_id, self._order.options, ledger)

    def _to_the_end(self, source: Source, ledger: Ledger) -> Failures:
        """Pass after pass, as long as each brings something or the patience lasts."""
        lost_at, vain = 0.0, 0
        while True:
            one = self._begin(source, ledger)
            try:
                return one.run()
            except LostError as lost:
                if one.brought or not vain:
                    lost_at, vain = time.monotonic(), 0
                if time.monotonic() - lost_at > self._patience:
                    raise HopError(_unreachable(self._order, lost)) from lost
                log.info("way to the source lost", extra=self._about() | {"reason": str(lost)})
                self._wait(PAUSES[min(vain, len(PAUSES) - 1)])
                vain += 1

    def _about(self) -> dict[str, object]:
        return {"hop_id": self._order.hop_id, "attempt": self._order.attempt}

    def _wait(self, seconds: float) -> None:
        if self._stopped.wait(seconds):
            raise StoppedError

    def _begin(self, source: Source, ledger: Ledger) -> Pass:
        with self._lock:
            if self._stopped.is_set():
                raise StoppedError
            self._pass = Pass(
                self._order,
                source,
                lambda: self._landing(ledger),
                ledger,
                self._tally,
                self._watcher,
                self._state,
            )
            return self._pass

    def _finish(self, ledger: Ledger, failures: Failures) -> Outcome:
        with closing(self._landing(ledger)) as landing:
            try:
                landing.settle()
            except OSError as error:
                failures.add(problem_of(error, landing.name("")))
            if self._order.options.verify == "reread":
                self._read_back(ledger, landing)
        if failures.total:
            raise failures.summed(self._tally.progress().files_done)
        digest = _digest(ledger)
        ledger.forget()
        return Outcome(digest)

    def _read_back(self, ledger: Ledger, landing: Landing) -> None:
        """What reads back as something else is removed, and comes anew with the next attempt."""
        self._watcher.verifying()
        wrong = []
        for one in ledger.standing():
            if self._stopped.is_set():
                raise StoppedError
            if landing.read_back(one.path, one.size) != one.digest:
                wrong.append(one.path)
        for path in wrong:
            landing.remove(path)
        if wrong:
            raise HopError(_reads_otherwise(landing.name(wrong[0]), len(wrong)))

    def _give_up(self, ledger: Ledger) -> None:
        """Nothing half-done stays behind when the hop will not be tried again by itself."""
        try:
            with closing(self._landing(ledger)) as landing:
                for half_done in list(ledger.half_done()):
                    landing.drop(half_done.path)
        except (HopError, OSError) as error:
            log.warning("half-done files may be left", extra=self._about() | {"reason": str(error)})


def _digest(ledger: Ledger) -> str:
    total = HopDigest()
    for one in ledger.standing():
        total.add("f", one.path, one.size, one.digest)
    for path, target in ledger.linked():
        total.add("l", path, 0, digest_of(target))
    for entry, made in ledger.folders():
        if made:
            total.add("d", entry.path, 0, b"")
    return total.hex()


def _unreachable(order: Move, lost: LostError) -> Problem:
    return Problem(
        code="source-unreachable",
        message=f"{order.source} cannot be reached: {lost}.",
        advice="See that the source's agent runs, and that its lane port is open from here "
        "(`crosshaul agent doctor` on both hosts).",
        retryable=True,
    )


def _reads_otherwise(path: str, count: int) -> Problem:
    more = f" and {count - 1} more" if count > 1 else ""
    return Problem(
        code="written-wrong",
        message=f"{shown(path)}{more} read back from the disk as something else than was written.",
        advice="They come once more. If this repeats, have that host's disk and memory checked.",
        path=shown(path),
        retryable=True,
    )
