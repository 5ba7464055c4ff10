"""The pulls that run on this host, for the next hop of a chain, which sends on what they have written."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from agent.pull.ledger import Arrival, ArrivalCursor, Ledger


class ActivePulls:
    """The ledgers of running pulls by hop id. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._active: dict[str, Ledger] = {}
        self.has_succeeded: Callable[[str], bool | None] = _unknown
        """Return whether the hop of this id has succeeded, by the journal; None if it has not ended here.

        Thread-safe.
        """

    @contextmanager
    def register(self, hop_id: str, ledger: Ledger) -> Iterator[None]:
        """Make the ledger of a running hop readable until the context ends."""
        with self._lock:
            self._active[hop_id] = ledger
        try:
            yield
        finally:
            with self._lock:
                del self._active[hop_id]

    def arrived_since(self, hop_id: str, after: ArrivalCursor) -> list[Arrival] | None:
        """Return some of the files that the hop completed after the cursor; None if it does not run."""
        with self._lock:
            ledger = self._active.get(hop_id)
            return None if ledger is None else ledger.arrived_since(after)


def _unknown(_hop_id: str) -> None:
    """Return None, until the journal is connected."""
