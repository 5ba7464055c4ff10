"""Agent → cloud. State changes must arrive and wait on the agent's disk until they have; progress may be
lost.

Within one attempt `seq` only grows, so that a late, repeated or reordered report changes nothing.
"""

from typing import Annotated, Literal

from pydantic import Field

from events.base import (
    WIRE,
    Bytes,
    Count,
    DisplayText,
    HopId,
    Instant,
    KeyId,
    LaneAddresses,
    LaneCertificate,
    Message,
    Problem,
    TransferId,
)
from events.locations import AbsolutePath, RemoteName
from events.progress import Connection, PeerReachability, Progress, SpaceShortage

MAX_FAILURES = 50
"""How many single files a report names; the count says how many there were."""


SOURCE_UNREACHABLE, DESTINATION_UNREACHABLE = "source-unreachable", "destination-unreachable"
"""What either side of a direct hop says that got through to the other nowhere; people read the two as one."""


PREVIOUS_HOP_RESTS = "previous-hop-rests"
"""Why a hop that follows another cannot go on for now: the other one is not at work at its source."""


class HopReport(Message):
    transfer_id: TransferId
    hop_id: HopId
    attempt: Annotated[int, Field(ge=1)]
    seq: Count
    at: Instant


class Started(HopReport):
    """The agent has begun the attempt, or goes on after a pause of its own."""

    kind: Literal["started"] = "started"
    via: DisplayText
    """How the bytes travel, for people: `direct, server-c dialled 10.0.0.2:4460` or `s3`."""
    connection: Connection | None = None
    """The same for programs; said again when it changes. Older agents do not say it."""


class Checkpoint(HopReport):
    """Still at it: renews the lease and stores progress; every 10 s at most."""

    kind: Literal["checkpoint"] = "checkpoint"
    progress: Progress


class Verifying(HopReport):
    """Every byte has arrived; what was written is being read back."""

    kind: Literal["verifying"] = "verifying"
    progress: Progress


class Paused(HopReport):
    """The agent paused by itself (a full disk, say), or did as it was told."""

    kind: Literal["paused"] = "paused"
    progress: Progress
    problem: Problem | None = None


class Amount(Message):
    files: Count = 0
    bytes: Bytes = 0


MAX_EXAMPLES = 100
"""How many files a preview names of each kind."""


class DryRunResult(Message):
    """What a hop would do, found out by a dry run."""

    sent: Amount = Amount()
    """New at the destination."""
    replaced: Amount = Amount()
    removed: Amount = Amount()
    kept: Amount = Amount()
    """Differ, and are left as they are."""
    unchanged: Amount = Amount()
    failed: Amount = Amount()
    """Would not arrive: unreadable, or not for this destination. Older agents do not count them."""
    examples: dict[str, tuple[DisplayText, ...]] = {}
    """The first paths of each kind that would change anything: `sent`, `replaced`, `removed`, `kept`; of
    `failed` why, each with its path."""
    space_shortage: SpaceShortage | None = None
    """There would be too little room. Older agents do not look."""


class Succeeded(HopReport):
    """Every file stands at the destination with the digest it left with."""

    kind: Literal["succeeded"] = "succeeded"
    progress: Progress
    digest: str
    """xxh3-128, hex, over all that the hop moved: two hops that move the same have the same. What stood there
    already, unchanged, is not in it; 0 if that was everything."""
    seconds: Annotated[float, Field(ge=0)]
    preview: DryRunResult | None = None
    """Of a dry run."""


class Failed(HopReport):
    """The attempt ended early. A retryable problem is tried again, from the journal on."""

    kind: Literal["failed"] = "failed"
    progress: Progress
    problem: Problem
    failures: Annotated[tuple[Problem, ...], Field(max_length=MAX_FAILURES)] = ()
    """Single files that did not arrive, each with its path."""
    failures_total: Count = 0


class Cancelled(HopReport):
    """Stopped as told; nothing half-done is left."""

    kind: Literal["cancelled"] = "cancelled"
    progress: Progress


class RootState(Message):
    """A root as the host has it: `path` is the name that locations use."""

    path: AbsolutePath
    access: Literal["ro", "rw"]
    free: Bytes | None = None
    size: Bytes | None = None
    """Bytes free and in all on its file system; None when the directory is not there."""


class AgentHop(Message):
    """A hop that the agent's journal holds."""

    transfer_id: TransferId
    hop_id: HopId
    attempt: Count
    state: Literal["running", "paused"]


class RemoteState(Message):
    """A remote that the host offers: one of its own rclone.conf, by the name that locations use."""

    name: RemoteName
    access: Literal["ro", "rw"]
    type: DisplayText | None = None
    """What rclone calls its kind: `s3`, `sftp`, `drive`. None where it is not known."""


class Capabilities(Message):
    """What this agent can do; a newer agent may name more."""

    movers: tuple[str, ...] = ("lane", "rclone", "local")
    rclone: DisplayText | None = None
    """rclone's version."""
    remotes: tuple[RemoteState, ...] = ()
    """Older agents know of none."""
    follows: bool = False
    """Does it serve and move what is still arriving at the source?"""
    browses_remotes: bool = False
    """Does it list the directories of its remotes?"""
    previews_uploads: bool = False
    """Does it make dry runs to S3 and to remotes? Older agents would upload."""


MAX_PROBLEMS = 16
"""How many of its own problems an agent tells of."""
MAX_REACHED = 100
"""How many others an agent tells of."""


class Hello(Message):
    """Said at every connect: who I am, what I hold. The cloud answers where the table differs."""

    kind: Literal["hello"] = "hello"
    at: Instant
    version: str
    hostname: DisplayText
    ip_address: DisplayText | None = None
    capabilities: Capabilities
    endpoints: LaneAddresses
    lane_certificate: LaneCertificate
    roots: tuple[RootState, ...]
    hops: tuple[AgentHop, ...] = ()
    hops_omitted: Count = 0
    """Hops that it holds, too, and that had no room in this message: of a hop that is not named nothing is
    known then."""
    reached: Annotated[tuple[PeerReachability, ...], Field(max_length=MAX_REACHED)] = ()
    """Other agents that it has met, the latest last."""
    problems: Annotated[tuple[Problem, ...], Field(max_length=MAX_PROBLEMS)] = ()
    """What is wrong with the agent itself, though it works: a helper that fails again and again, files of its
    state that it had to set aside."""
    omitted: dict[str, Count] = {}
    """How many entries of other lists had no room in this message, by the list's name."""


class Heartbeat(Message):
    """Every 30 s while connected."""

    kind: Literal["heartbeat"] = "heartbeat"
    at: Instant
    roots: tuple[RootState, ...]
    remotes: tuple[RemoteState, ...] | None = None
    """None: as before. Older agents do not say."""
    running: Count = 0
    """Hops running now."""
    load: float | None = None
    """The host's 1-minute load average."""
    reached: Annotated[tuple[PeerReachability, ...], Field(max_length=MAX_REACHED)] | None = None
    """As in Hello; None while nothing has changed since it was said last."""
    trusts: Annotated[tuple[KeyId, ...], Field(max_length=8)] | None = None
    """The keys whose commands it obeys; None while nothing has changed, but once an hour. Older agents do
    not say."""
    pinned: Annotated[tuple[KeyId, ...], Field(max_length=8)] | None = None
    """Those with which its host's updater verifies orders; None with `trusts`, and where there is none."""
    problems: Annotated[tuple[Problem, ...], Field(max_length=MAX_PROBLEMS)] = ()
    """As in Hello."""
    omitted: dict[str, Count] = {}
    """As in Hello."""


class DirectoryEntry(Message):
    """One name in a directory."""

    name: DisplayText
    utf8: bool = True
    """Otherwise bytes stand in it as `\\xff`, and no location names it: it is copied with its directory."""
    type: Literal["file", "directory", "symlink", "other"]
    size: Bytes | None = None
    modified: Instant | None = None


class Browsed(Message):
    """The answer to `Browse`."""

    kind: Literal["browsed"] = "browsed"
    request_id: str
    entries: tuple[DirectoryEntry, ...] = ()
    next: DisplayText | None = None
    """Pass it as `after` to go on; None at the end."""
    problem: Problem | None = None


class Refused(Message):
    """A command the agent did not obey, and why: a wrong signature, an expired token, a replay."""

    kind: Literal["refused"] = "refused"
    at: Instant
    command_id: DisplayText | None = None
    hop_id: HopId | None = None
    problem: Problem


AboutHop = Started | Checkpoint | Verifying | Paused | Succeeded | Failed | Cancelled
Report = Annotated[
    Started
    | Checkpoint
    | Verifying
    | Paused
    | Succeeded
    | Failed
    | Cancelled
    | Hello
    | Heartbeat
    | Browsed
    | Refused,
    Field(discriminator="kind"),
]


class ReportEnvelope(Message):
    """What the reports topic carries."""

    wire: int = WIRE
    report: Report
