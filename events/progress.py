"""Progress and connection of a hop, shared by reports, the live topic and HTTP answers."""

from collections.abc import Iterable
from typing import Literal, Self

from events.base import MAX_INTEGER, AgentId, Bytes, Count, DisplayText, HopId, Instant, Message, TransferId


class Connection(Message):
    """The established path of a hop's bytes. `relay`: through the stage's relay bucket."""

    kind: Literal["direct", "relay", "s3", "local", "remote"]
    dialed_by: AgentId | None = None
    """Agent that dialed a direct connection."""
    address: DisplayText | None = None
    """Address that it dialed: `10.0.0.2:4460`."""
    congestion_control: DisplayText | None = None
    """TCP's algorithm by which the source sends on a direct connection: `bbr`, `cubic`."""

    def __str__(self) -> str:
        """Return the connection in words, for people."""
        return f"{self.kind}, {self.dialed_by} dialed {self.address}" if self.address else self.kind


class PeerReachability(Message):
    """How an agent and a peer last connected, whichever of them pulled files."""

    agent_id: AgentId
    """The peer."""
    dialed: bool
    """Whether the reporting agent dialed, rather than the peer."""
    address: DisplayText | None = None
    """Address that was dialed."""
    relayed: bool = False
    """No direct connection was possible: they used the relay bucket."""


class SpaceShortage(Message):
    """Warning that the destination may have too little free space.

    The hop continues, since a file system may compress; if the disk does fill up, the hop pauses.
    """

    wanted: Bytes
    """Bytes to be written as far as known, minus files that are replaced and partial files."""
    free: Bytes
    """Free bytes when the hop began."""


Loss = Literal["xattr", "acl", "setid", "mode", "time", "name"]
"""What of a file or directory is not kept: extended attributes; its access control list (POSIX ACL); setuid
or setgid; a directory's mode (one that its owner may not write to, or the directory of another user); the
modification time; the whole entry, since Crosshaul reserves its name."""


class Losses(Message):
    """Number of files and directories of which something is not kept, by what that is."""

    xattr: Count = 0
    acl: Count = 0
    setid: Count = 0
    mode: Count = 0
    time: Count = 0
    name: Count = 0

    @classmethod
    def total(cls, parts: Iterable[Self]) -> Self:
        """Return the sum, field by field."""
        each = tuple(parts)
        return cls(**{name: sum(getattr(part, name) for part in each) for name in cls.model_fields})


class Progress(Message):
    """Progress of a hop or transfer. Totals are None while the source is still being listed.

    A transfer's counts each file once, however many hops carry it. Of several hops, its amounts are the share
    of the work that all of them have done: half of the size if one of two hops is complete.
    """

    bytes_done: Bytes = 0
    """Bytes that stand safely at the destination, whether they travelled now or in an earlier attempt."""
    bytes_total: Bytes | None = None
    files_done: Count = 0
    files_total: Count | None = None
    bytes_unchanged: Bytes = 0
    """Part of `bytes_done` that existed at the destination already and was not sent."""
    files_unchanged: Count = 0
    bytes_moved: Bytes = 0
    """What this attempt has moved, repeated bytes included. Of a transfer: the sum over its hops."""
    files_moved: Count = 0
    files_removed: Count = 0
    """Files deleted at the destination, since the source does not have them."""
    lost: Losses = Losses()
    """What is not kept of files and directories that the destination has now or had before."""
    bytes_per_second: Bytes = 0
    """Of a transfer: the sum over its hops, since each of them uses a line of its own."""
    space_shortage: SpaceShortage | None = None
    """None: free space seems sufficient. Older agents do not check it."""
    current: DisplayText | None = None
    """A path that is being transferred now, relative to the source."""

    def for_next_attempt(self) -> Self:
        """Return the progress with which another attempt begins: it has moved nothing yet."""
        return self.model_copy(update={"bytes_moved": 0, "files_moved": 0})

    @classmethod
    def of_hops(cls, parts: Iterable[Self]) -> Self:
        """Return a transfer's progress from that of its hops, each of which carries the same files.

        A hop that does not know its totals yet (it waits for the one before) counts with the transfer's.
        """
        each = tuple(parts)
        bytes_done, bytes_total = _counted_once([(part.bytes_done, part.bytes_total) for part in each])
        files_done, files_total = _counted_once([(part.files_done, part.files_total) for part in each])
        return cls(
            bytes_done=bytes_done,
            bytes_total=bytes_total,
            files_done=files_done,
            files_total=files_total,
            bytes_unchanged=max((part.bytes_unchanged for part in each), default=0),
            files_unchanged=max((part.files_unchanged for part in each), default=0),
            bytes_moved=min(sum(part.bytes_moved for part in each), MAX_INTEGER),
            files_moved=sum(part.files_moved for part in each),
            files_removed=sum(part.files_removed for part in each),
            lost=Losses.total(part.lost for part in each),
            bytes_per_second=min(sum(part.bytes_per_second for part in each), MAX_INTEGER),
            current=next((part.current for part in each if part.current), None),
        )


def _counted_once(amounts: list[tuple[int, int | None]]) -> tuple[int, int | None]:
    """Return done and total of what several hops carry, from each hop's done and total."""
    total = max((known for _, known in amounts if known is not None), default=None)
    if not total:
        return max((done for done, _ in amounts), default=0), total
    work = sum(total if known is None else known for _, known in amounts)
    return min(total * sum(done for done, _ in amounts) // work, MAX_INTEGER), total


class ChangeNotice(Message):
    """What pages show has changed, and they should reload it. May be lost."""

    transfer_id: TransferId | None
    """The transfer whose timeline has a new entry; None: what lists show of some agents has changed."""


class Live(Message):
    """A message on the live topic: may be lost, is never stored."""

    transfer_id: TransferId
    hop_id: HopId
    attempt: Count
    at: Instant
    progress: Progress
