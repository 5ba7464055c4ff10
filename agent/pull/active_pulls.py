"""What is arriving on this host just now, for whoever takes it on to the next: the ledgers of hops at work,
and which hops have ended well.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from agent.pull.ledger import Arrival, ArrivalCursor, Ledger


class ActivePulls:
    """Used by any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._at_work: dict[str, Ledger] = {}
        self.has_succeeded: Callable[[str], bool] = _none
        """By hop id, from any thread; the journal knows."""

    @contextmanager
    def register(self, hop_id: str, ledger: Ledger) -> Iterator[None]:
        """The hop brings something, and notes it there; nobody reads it when this is over."""
        with self._lock:
            self._at_work[hop_id] = ledger
        try:
            yield
        finally:
            with self._lock:
                del self._at_work[hop_id]

    def arrived_since(self, hop_id: str, after: ArrivalCursor) -> list[Arrival] | None:
        """Some of what the hop has brought since, if anything; None if it is not at work."""
        with self._lock:
            ledger = self._at_work.get(hop_id)
            return None if ledger is None else ledger.arrived_since(after)


def _none(_hop_id: str) -> bool:
    """Until somebody knows."""
    return False
