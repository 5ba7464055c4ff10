"""Which transfers someone watches, so that live progress is published of these alone."""

import time

from events.base import TransferId

MAX_WATCHED = 1_000
"""Transfers that are remembered at once; more than an agent works on."""


class LiveLeases:
    """Leases by transfer. They are kept in memory only: after a start, the consoles ask again."""

    def __init__(self) -> None:
        self._until: dict[TransferId, float] = {}

    def watch(self, transfer_id: TransferId, seconds: float) -> None:
        """Take the transfer for watched for some seconds from now, at least as long as before."""
        now = time.monotonic()
        until = max(now + seconds, self._until.pop(transfer_id, 0.0))
        self._until = {other: end for other, end in self._until.items() if end > now}
        if until <= now:
            return
        if len(self._until) >= MAX_WATCHED:
            del self._until[next(iter(self._until))]
        self._until[transfer_id] = until

    def is_watched(self, transfer_id: TransferId) -> bool:
        """Return whether a lease of the transfer lasts."""
        return time.monotonic() < self._until.get(transfer_id, 0.0)
