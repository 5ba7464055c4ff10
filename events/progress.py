"""How far a hop is and which way its bytes go: the same in reports, on the live topic and in HTTP answers."""

from typing import Literal

from events.base import AgentId, Bytes, Count, DisplayText, HopId, Instant, Message, TransferId


class Connection(Message):
    """The way that a hop's bytes really go, once it stands. `relay`: through the stage's relay bucket."""

    kind: Literal["direct", "relay", "s3", "local", "remote"]
    dialled_by: AgentId | None = None
    """On a direct way: the agent that got through to the other."""
    address: DisplayText | None = None
    """What it dialled: `10.0.0.2:4460`."""

    def __str__(self) -> str:
        """For people."""
        return f"{self.kind}, {self.dialled_by} dialled {self.address}" if self.address else self.kind


class PeerReachability(Message):
    """How an agent and another have reached each other the last time, whichever of them asked for files."""

    agent_id: AgentId
    """The other."""
    dialled: bool
    """Did the agent that says so dial, and not the other?"""
    address: DisplayText | None = None
    """What it dialled."""
    relayed: bool = False
    """Neither got through: they met by the relay bucket."""


class SpaceShortage(Message):
    """There seems to be too little room at the destination. No reason to stop: a file system that compresses
    may hold it all the same, and on a disk that is really full a hop pauses."""

    wanted: Bytes
    """What is to be written, as far as it is known, less what it replaces and what is half there."""
    free: Bytes
    """When that began."""


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
    space_shortage: SpaceShortage | None = None
    """Of room. None: there seems to be enough. Older agents do not look."""
    current: DisplayText | None = None
    """A path that is moving now, relative to the source."""


class ChangeNotice(Message):
    """A line was added to this transfer's timeline: whoever shows it asks anew. May be lost."""

    transfer_id: TransferId


class Live(Message):
    """What the live topic carries: may be lost, is never stored."""

    transfer_id: TransferId
    hop_id: HopId
    attempt: Count
    at: Instant
    progress: Progress
