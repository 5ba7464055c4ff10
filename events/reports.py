"""Agent → cloud. Changes of state wait on the agent's disk until they have arrived; progress may be lost.

Within one attempt `seq` only grows, so that a late, repeated or reordered report changes nothing.
"""

from typing import Annotated, Literal

from pydantic import Field

from events.base import (
    WIRE,
    ApiUrl,
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

HEARTBEAT_S = 30
"""Seconds between the heartbeats of a busy agent."""
MAX_FAILURES = 50
"""Maximum number of failed files that a report lists; the total is counted."""


SOURCE_UNREACHABLE, DESTINATION_UNREACHABLE = "source-unreachable", "destination-unreachable"
"""Problem codes of the two sides of a direct hop that could not dial each other; shown to people as one."""


PREVIOUS_HOP_NOT_RUNNING = "previous-hop-not-running"
"""Problem code of a streaming hop whose upstream hop is not at work."""


class HopReport(Message):
    """A report about one hop."""

    transfer_id: TransferId
    hop_id: HopId
    attempt: Annotated[int, Field(ge=1)]
    seq: Count
    at: Instant


class Started(HopReport):
    """The agent has started the attempt, or resumed it after a pause of its own."""

    kind: Literal["started"] = "started"
    via: DisplayText
    """How the bytes travel, for people: `direct, server-c dialed 10.0.0.2:4460` or `s3`."""
    connection: Connection | None = None
    """How the bytes travel, for programs; reported again when it changes. Older agents do not report it."""


class Checkpoint(HopReport):
    """The attempt is running: renews the lease and stores progress; at most every 10 s."""

    kind: Literal["checkpoint"] = "checkpoint"
    progress: Progress


class Verifying(HopReport):
    """Every byte has arrived; written data is being read back."""

    kind: Literal["verifying"] = "verifying"
    progress: Progress


class Paused(HopReport):
    """The agent paused the hop, by itself (a full disk, for example) or by command."""

    kind: Literal["paused"] = "paused"
    progress: Progress
    problem: Problem | None = None


class Amount(Message):
    """Number and total size of files."""

    files: Count = 0
    bytes: Bytes = 0


MAX_EXAMPLES = 100
"""Maximum number of files of each kind that a preview lists."""


class DryRunResult(Message):
    """Result of a dry run: what a hop would do."""

    sent: Amount = Amount()
    """Files that are new at the destination."""
    replaced: Amount = Amount()
    """Files that would replace a different one."""
    removed: Amount = Amount()
    """Files that would be deleted at the destination."""
    kept: Amount = Amount()
    """Files that differ and would be kept as they are."""
    unchanged: Amount = Amount()
    """Files that are identical."""
    failed: Amount = Amount()
    """Files that would fail: unreadable, or not possible at this destination. Older agents do not count
    them."""
    examples: dict[str, tuple[DisplayText, ...]] = {}
    """First paths of each kind: `sent`, `replaced`, `removed`, `kept`; for `failed` the reasons, each with
    its path."""
    space_shortage: SpaceShortage | None = None
    """Free space would be too small. Older agents do not check it."""


class Succeeded(HopReport):
    """Every file is complete at the destination, with the digest it had at the source."""

    kind: Literal["succeeded"] = "succeeded"
    progress: Progress
    digest: str
    """xxh3-128, hex, over everything that the hop sent: equal for hops that sent the same. Unchanged files
    are not included; 0 if nothing was sent."""
    seconds: Annotated[float, Field(ge=0)]
    preview: DryRunResult | None = None
    """Result of a dry run."""


class Failed(HopReport):
    """The attempt failed. After a retryable problem, the next attempt resumes from the journal."""

    kind: Literal["failed"] = "failed"
    progress: Progress
    problem: Problem
    failures: Annotated[tuple[Problem, ...], Field(max_length=MAX_FAILURES)] = ()
    """Files that failed, each with its path."""
    failures_total: Count = 0


class Cancelled(HopReport):
    """The agent stopped the hop by command; no partial files are left."""

    kind: Literal["cancelled"] = "cancelled"
    progress: Progress


class RootState(Message):
    """A root of the host; `path` is the name that locations use."""

    path: AbsolutePath
    access: Literal["ro", "rw"]
    free: Bytes | None = None
    size: Bytes | None = None
    """`free` and `size` are the bytes of its file system; None if the directory does not exist."""


MAX_ROOTS = 64
"""Maximum number of roots of a host."""
MAX_REMOTES = 64
"""Maximum number of remotes of a host that transfers may use."""
RootStates = Annotated[tuple[RootState, ...], Field(max_length=MAX_ROOTS)]


class AgentHop(Message):
    """A hop in the agent's journal."""

    transfer_id: TransferId
    hop_id: HopId
    attempt: Count
    state: Literal["running", "paused"]


class RemoteState(Message):
    """A remote of the host's rclone.conf that the agent may use, by the name that locations use."""

    name: RemoteName
    access: Literal["ro", "rw"]
    type: DisplayText | None = None
    """rclone's backend type: `s3`, `sftp`, `drive`. None if unknown."""


RemoteStates = Annotated[tuple[RemoteState, ...], Field(max_length=MAX_REMOTES)]


class Capabilities(Message):
    """What this agent supports; a newer agent may report more."""

    movers: Annotated[tuple[str, ...], Field(max_length=16)] = ("lane", "rclone", "local")
    rclone: DisplayText | None = None
    """rclone's version."""
    remotes: RemoteStates = ()
    """Remotes that the agent may use; older agents report none."""
    streaming: bool = False
    """Whether the agent can serve and forward files that are still arriving at the source."""
    browses_remotes: bool = False
    """Whether the agent can list directories of its remotes."""
    previews_uploads: bool = False
    """Whether the agent can make dry runs to S3 and remotes. Older agents would upload."""
    congestion_control: DisplayText | None = None
    """TCP's algorithm by which the agent's lane connections send: `bbr`, or else the host's default."""


MAX_PROBLEMS = 16
"""Maximum number of its own problems that an agent reports."""
MAX_REACHED = 100
"""Maximum number of peers that an agent reports."""


class Hello(Message):
    """What the agent is, and which hops it has: sent at every connect, and every half hour.

    The cloud corrects differences.
    """

    kind: Literal["hello"] = "hello"
    at: Instant
    version: Annotated[str, Field(max_length=64)]
    hostname: DisplayText
    ip_address: DisplayText | None = None
    capabilities: Capabilities
    endpoints: LaneAddresses
    lane_certificate: LaneCertificate
    roots: RootStates
    hops: tuple[AgentHop, ...] = ()
    hops_omitted: Count = 0
    """Number of hops that did not fit into this message; if not 0, the agent may have hops that are not
    listed."""
    reached: Annotated[tuple[PeerReachability, ...], Field(max_length=MAX_REACHED)] = ()
    """Peers that the agent has connected with, the latest last."""
    problems: Annotated[tuple[Problem, ...], Field(max_length=MAX_PROBLEMS)] = ()
    """Problems of the agent itself, though it works: a helper process that keeps failing, damaged state files
    that it moved aside."""
    omitted: dict[str, Count] = {}
    """Number of entries of other lists that did not fit into this message, by the list's name."""


class Heartbeat(Message):
    """Sent while connected: every 30 s while hops run, soon after a change, else every 5 minutes."""

    kind: Literal["heartbeat"] = "heartbeat"
    at: Instant
    roots: RootStates
    remotes: RemoteStates | None = None
    """None: unchanged, or an older agent, which does not report them."""
    running: Count = 0
    """Number of hops that the agent moves, or serves to a connected peer."""
    load: float | None = None
    """The host's 1-minute load average."""
    next_within_s: Annotated[int, Field(ge=1, le=3600)] = HEARTBEAT_S
    """Seconds within which the agent sends the next one."""
    reached: Annotated[tuple[PeerReachability, ...], Field(max_length=MAX_REACHED)] | None = None
    """Peers that the agent has connected with, the latest last; None: unchanged since the last report."""
    trusts: Annotated[tuple[KeyId, ...], Field(max_length=8)] | None = None
    """Keys whose commands the agent accepts, reported hourly and on changes; None: unchanged, or an older
    agent, which does not report them."""
    pinned: Annotated[tuple[KeyId, ...], Field(max_length=8)] | None = None
    """Keys with which the host's updater verifies orders; None together with `trusts`, or without an
    updater."""
    api_url: ApiUrl | None = None
    """Address at which the agent uses the API, reported hourly and on changes; None: unchanged."""
    problems: Annotated[tuple[Problem, ...], Field(max_length=MAX_PROBLEMS)] = ()
    """Problems of the agent itself, though it works."""
    omitted: dict[str, Count] = {}
    """Number of entries that did not fit into this message, by the list's name."""


class DirectoryEntry(Message):
    """One entry of a directory listing."""

    name: DisplayText
    utf8: bool = True
    """False: the name has bytes written as `\\xff` and cannot be used in a location, only copied with its
    directory."""
    type: Literal["file", "directory", "symlink", "other"]
    size: Bytes | None = None
    modified: Instant | None = None


class Browsed(Message):
    """The reply to `Browse`."""

    kind: Literal["browsed"] = "browsed"
    request_id: str
    entries: tuple[DirectoryEntry, ...] = ()
    next: DisplayText | None = None
    """Pass it as `after` to go on; None at the end."""
    problem: Problem | None = None


class LogExcerpt(Message):
    """The reply to `ReadLog`: the latest lines that the agent remembers, without secrets."""

    kind: Literal["log-excerpt"] = "log-excerpt"
    request_id: str
    lines: tuple[DisplayText, ...] = ()
    """Oldest first, in logfmt; lines of a traceback follow theirs."""
    omitted: Count = 0
    """Number of older lines that were requested, and did not fit into this message."""
    remembered_since: Instant | None = None
    """Time of the oldest line that the agent remembers: since its start, or less. None: it has logged
    nothing."""


class Refused(Message):
    """A command that the agent rejected, and why: a wrong signature, an expired token, a replay."""

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
    | LogExcerpt
    | Refused,
    Field(discriminator="kind"),
]


class ReportEnvelope(Message):
    """A message on the reports topic."""

    wire: int = WIRE
    report: Report
