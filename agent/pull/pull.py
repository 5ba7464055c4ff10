"""The mover of every hop that arrives at this agent, wherever from: list, compare, fetch, put in place.

One thread lists the source, one compares with what stands here and plans, and several fetch. When the way to
the source breaks, everything is gone through once more: what has arrived is in the ledger, and stays.
"""

import logging
import time
from collections.abc import Callable, Collection
from contextlib import closing
from pathlib import Path

from agent.errors import HopError
from agent.files.roots import Roots
from agent.pull.destination import Destination
from agent.pull.ledger import Ledger, ledger_path, open_ledger
from agent.pull.marks import Marks
from agent.pull.mover import AttemptObserver, HopResult, HostResources, in_thread
from agent.pull.progress import ProgressCounter
from agent.pull.pull_attempt import PullAttempt
from agent.pull.source import Source
from agent.quarantine import Quarantine
from events.commands import Move
from events.locations import AgentLocation
from events.options import Options

log = logging.getLogger(__name__)

NO_PROGRESS_TIMEOUT_S = 60.0
"""Seconds without any progress after which a broken way to the source ends the attempt."""
ABANDONED_AFTER_S = 14 * 86400.0
"""Seconds after which what is half-done of a hop that failed is given up."""


class Pull:
    """Brings a hop's files here from a `source`."""

    def __init__(
        self, host: HostResources, source: Callable[[], Source], patience: float = NO_PROGRESS_TIMEOUT_S
    ) -> None:
        """`source` is asked for when the hop begins. HopError if it cannot be had at all."""
        self._host = host
        self._source = source
        self._patience = patience

    async def move(self, order: Move, tally: ProgressCounter, watcher: AttemptObserver) -> HopResult:
        hauling = PullAttempt(
            self._host, self._source, order, destination_path(order), tally, watcher, self._patience
        )
        return await in_thread(hauling.run, hauling.stop)

    async def discard(self, order: Move) -> None:
        def over(ledger: Ledger) -> None:
            self._host.account(ledger, order)

        host = self._host
        await in_thread(lambda: discard(host.roots, host.state, order.hop_id, over), lambda: None)


def discard(roots: Roots, state: Path, hop_id: str, over: Callable[[Ledger], None] = Ledger.forget) -> None:
    """Remove whatever is half-done of a hop, and the memory of it: `over` has it last."""
    path = ledger_path(state, hop_id)
    if not path.exists():
        return
    ledger = open_ledger(state, hop_id)
    try:
        if ledger.destination is not None:  # otherwise the hop has begun nothing
            tree = roots.destination(ledger.destination)
            with closing(Destination(tree, hop_id, Options(), ledger)) as landing:
                landing.drop_all()
                Marks(roots, tree, ledger).clear()
    finally:
        over(ledger)


def discard_abandoned(roots: Roots, state: Path, held: Collection[str]) -> None:
    """The same for hops that nobody has gone on with for long; `held`: those that the journal holds open."""
    for path in (state / "hops").glob("*.db"):
        try:
            if path.stem not in held and time.time() - path.lstat().st_mtime > ABANDONED_AFTER_S:
                log.info("abandoned hop discarded", extra={"hop_id": path.stem})
                discard(roots, state, path.stem)
        except (HopError, OSError) as error:  # its root is no longer there
            log.info("nothing to discard", extra={"hop_id": path.stem, "reason": str(error)})
        except Exception as error:  # one of them keeps no agent from its start
            log.exception("abandoned hop not discarded", extra={"hop_id": path.stem})
            Quarantine(state).move(path, str(error))


def destination_path(order: Move) -> str:
    """Where the hop arrives on this host."""
    if not isinstance(order.destination, AgentLocation):
        raise TypeError(f"{order.hop_id} does not arrive at an agent")
    return order.destination.path
