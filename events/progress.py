"""How far a hop is: one shape in reports, on the live topic and in HTTP answers."""

from events.base import Bytes, Count, HopId, Instant, Message, TransferId


class Progress(Message):
    """Totals are None while the source is still being listed, and are never guessed."""

    bytes_done: Bytes = 0
    """Bytes that stand safely at the destination, whether they travelled now or in an earlier attempt."""
    bytes_total: Bytes | None = None
    files_done: Count = 0
    files_total: Count | None = None
    bytes_unchanged: Bytes = 0
    """Of `bytes_done`: were there already, the same, and did not travel."""
    files_unchanged: Count = 0
    files_removed: Count = 0
    """At the destination, since the source does not have them."""
    bytes_per_second: Bytes = 0
    current: str | None = None
    """A path that is moving now, relative to the source."""


class Live(Message):
    """What the live topic carries: may be lost, is never stored."""

    transfer_id: TransferId
    hop_id: HopId
    attempt: Count
    at: Instant
    progress: Progress
