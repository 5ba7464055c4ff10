"""Cloud → console, CLI and agents: HTTP answers. The OpenAPI document is generated from these."""

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from events import forms
from events.base import (
    MAX_INTEGER,
    Actor,
    AgentId,
    Bytes,
    Count,
    DisplayText,
    HopId,
    Instant,
    Message,
    Problem,
    ThingName,
    TransferId,
)
from events.locations import Location, RemoteName
from events.options import OrderedOptions
from events.progress import Connection, PeerReachability, Progress
from events.reports import Capabilities, DirectoryEntry, DryRunResult, RemoteState, RootState
from events.requests import ObjectTrigger, Shape, TemplateId
from events.states import AgentStatus, Attention, CommandKeyStatus, HopState, TransferState


class SignIn(Message):
    """Where users sign in: the public client of a Cognito user pool."""

    region: str
    user_pool_id: str
    client_id: str
    endpoint: str | None = None
    """None for Cognito in AWS."""


class Health(Message):
    """Status and version of the control plane."""

    status: str
    stage: str
    version: str
    wire: int
    sign_in: SignIn


class ProblemDetails(Message):
    """An error (RFC 9457, application/problem+json); all after `instance` are extensions."""

    type: str
    """URI of the kind of problem: `urn:crosshaul:problem:agent-unknown`."""
    title: str
    status: int
    detail: str
    instance: str | None = None
    advice: str = ""
    wording: str = ""
    """Which words of the catalogue `detail` and `advice` are; empty for a text that no catalogue has."""
    parameters: dict[str, str] = {}
    """What fills these words, by name."""
    errors: tuple[dict[str, Any], ...] = ()
    """Where the request does not match the schema: `{"at": "destinations.0", "message": …}`, each with a
    `wording` and `parameters` of its own."""
    policies: tuple[str, ...] = ()
    """Names of the policies that forbid it."""


class EnrollmentView(Message):
    """A new enrollment, with its token."""

    agent_id: AgentId
    token: str
    """Shown once; only its hash is stored."""
    expires_at: Instant
    command: str
    """Install command to run on the host."""


class RegisteredView(Message):
    """Everything a new agent needs; `api_key` and `certificate` are returned only once."""

    agent_id: AgentId
    thing: ThingName
    """The agent's thing in IoT Core, its MQTT client id, and part of its topics."""
    stage: str
    certificate: str
    """Device certificate, PEM."""
    mqtt_host: str
    mqtt_port: int
    mqtt_ca: str | None
    """PEM. None: the system's trust store."""
    api_key: str
    verification_keys: tuple[dict[str, Any], ...]
    """Public keys (JWK, RFC 7517, EC P-256) that verify commands."""


class RenewalView(Message):
    """New credentials, valid beside the old ones until the agent has connected with them."""

    certificate: str
    """New device certificate, PEM."""
    api_key: str


class Drain(Message):
    """An agent's drain: since when it gets no new hops, by whose decision, and until when."""

    by: Actor
    at: Instant
    until: Instant | None = None
    """None: until a person ends it."""
    maintenance: bool = False
    """Whether the agent may go away without an event that it went silent."""
    why: DisplayText | None = None


class AgentView(Message):
    """An agent, as it last reported."""

    agent_id: AgentId
    hostname: str
    ip_address: str | None
    status: AgentStatus
    version: str
    tags: dict[str, str]
    roots: tuple[RootState, ...]
    endpoints: tuple[str, ...]
    capabilities: Capabilities
    registered_at: Instant
    connected_at: Instant | None
    last_heartbeat: Instant | None
    running: Count
    """Hops that the agent moves or serves, as of its last heartbeat."""
    open_transfers: Count | None = None
    """Transfers that have not ended and that the agent moves or serves, at most 200. None in lists."""
    load: float | None = None
    certified_at: Instant | None = None
    """When the agent began to use its device certificate."""
    rotation_wanted_at: Instant | None = None
    """When the rotation of certificates and API key was requested; None: no rotation is pending."""
    skew: float | None = None
    """Seconds by which the agent's clock is ahead of the control plane's, negative if behind; includes the
    delay of its last message."""
    reached: tuple[PeerReachability, ...] = ()
    """Peers, and how the agent last connected with them; the latest last."""
    command_key_status: CommandKeyStatus | None = None
    """Command keys that the agent trusts: the current and the next one, only the current one, or neither, in
    which case it must be registered again. None: an older agent does not report it."""
    problems: tuple[Problem, ...] = ()
    """Problems of the agent itself, though it works."""
    drain: Drain | None = None
    """None: the agent gets new hops."""


class AgentsView(Message):
    """A page of agents."""

    agents: tuple[AgentView, ...]
    next: str | None = None


class AgentWarning(Message):
    """Why a person should look at an agent that is online."""

    kind: Literal["clock", "rejects_commands", "root_missing", "root_nearly_full"]
    path: DisplayText | None = None
    """The root, of a kind that is about one."""
    amount: int | None = None
    """clock: minutes by which it is ahead, negative if behind. root_nearly_full: free room in percent."""


class AgentSummary(Message):
    """An agent in lists: what is small, and changes only when something about the agent does."""

    agent_id: AgentId
    hostname: str
    ip_address: str | None
    status: AgentStatus
    """As of the broker's last event: an agent that falls silent becomes late within a minute."""
    version: str
    tags: dict[str, str]
    roots: Count
    """Number of roots."""
    free_percent: int | None
    """Free room of the fullest writable root, in whole percent; None if unknown."""
    remotes: tuple[RemoteState, ...]
    """The first 16."""
    running: Count
    """Hops that the agent moves or serves, as of its last heartbeat."""
    registered_at: Instant
    connected_at: Instant | None
    last_heartbeat: Instant | None
    """Of an agent that is late or offline; None of one that is online."""
    certified_at: Instant | None
    """When the agent began to use its device certificate."""
    drain: Drain | None
    """None: the agent gets new hops."""
    warnings: tuple[AgentWarning, ...]
    """The first 4."""


class AgentCounts(Message):
    """How many agents there are, by status."""

    online: Count
    late: Count
    offline: Count
    attention: Count
    """Agents that a person should look at: with warnings, or late or offline outside of a maintenance."""


class FleetView(Message):
    """A page of agents in short, and how many there are in all, whatever the page is filtered by."""

    counts: AgentCounts
    newest_version: str | None
    """The latest version that was published; None if none was."""
    agents: tuple[AgentSummary, ...]
    next: str | None
    """Pass it as `after` for the next page; None at the end. A page may be short or empty without being
    last."""


class ListingView(Message):
    """A page of a directory listing."""

    agent_id: AgentId
    path: str
    remote: RemoteName | None = None
    entries: tuple[DirectoryEntry, ...]
    next: str | None


class AgentLogView(Message):
    """The latest lines of an agent's own log."""

    agent_id: AgentId
    lines: tuple[str, ...]
    """Oldest first, in logfmt; lines of a traceback follow theirs."""
    omitted: Count
    """Number of older lines that were requested, and did not fit into the agent's message."""
    remembered_since: Instant | None
    """Time of the oldest line that the agent remembers; older ones are in its host's journal."""


class BucketsView(Message):
    """Buckets that transfers may read or write."""

    buckets: tuple[str, ...]


class BucketListingView(Message):
    """A page of the objects and common prefixes below a prefix."""

    bucket: str
    prefix: str
    entries: tuple[DirectoryEntry, ...]
    next: str | None
    """Pass it as `after` for the next page; None at the end. A page may be short or empty without being
    last."""


class CredentialsView(Message):
    """S3 credentials restricted to one hop; request new ones before `expires_at`."""

    access_key_id: str
    secret_access_key: str
    session_token: str
    expires_at: Instant
    region: str
    endpoint: str | None


class ManifestPlaceView(Message):
    """Where to PUT a hop's manifest, with exactly the announced size and these headers."""

    url: str
    headers: dict[str, str]
    expires_at: Instant


class HopManifest(Message):
    """A hop's manifest: what it did, file by file, as gzipped JSON lines."""

    hop_id: HopId
    url: str
    """Presigned URL to GET, valid until `expires_at`."""
    size: Bytes
    """Gzipped size in bytes."""
    written_at: Instant


class ManifestView(Message):
    """The manifests of a transfer's hops that have been uploaded."""

    transfer_id: TransferId
    hops: tuple[HopManifest, ...]
    """The newest manifest of each hop. Of a hop that has succeeded, only the one that says so."""
    missing: tuple[HopId, ...]
    """Hops whose last attempt has no manifest: not ended, dry runs, or not uploaded by the agent yet. A hop
    that has failed is in `hops`, too, while there is the manifest of an earlier attempt."""
    expires_at: Instant


class HopView(Message):
    """A hop of a transfer."""

    hop_id: HopId
    source: Location
    destination: Location
    state: HopState
    attempt: Count
    after: HopId | None
    """Upstream hop for which this one waits."""
    agents: tuple[AgentId, ...]
    """Agents at both ends, the source's first."""
    route: str
    """direct, s3, local or remote."""
    via: str | None = None
    """How the bytes travel, for people: `direct, server-c dialed 10.0.0.2:4460`."""
    connection: Connection | None = None
    """How the bytes travel, for programs."""
    progress: Progress
    most_bytes: Bytes = 0
    """Most bytes that were ever reported at the destination. `progress` has fewer while a new attempt
    compares again what has arrived."""
    history: tuple[tuple[int, Bytes], ...] = ()
    """Seconds since 1970, and bytes at the destination by then, oldest first: at most 60 points, at least a
    minute apart, and at each start and end. Never fewer bytes than before."""
    seconds_at_work: Annotated[float, Field(ge=0)] = 0
    """How long the hop ran or verified, in all its attempts."""
    seconds_since_report: Annotated[float, Field(ge=0)] | None = None
    """Seconds between the agent's last report and this answer. None while the hop is not at work."""
    problem: Problem | None = None
    failures: tuple[Problem, ...] = ()
    failures_total: Count = 0
    digest: str | None = None
    preview: DryRunResult | None = None
    """Result of a dry run."""
    retry_at: Instant | None = None
    started_at: Instant | None = None
    ended_at: Instant | None = None


class TimelineEntry(Message):
    """One entry of a transfer's timeline."""

    at: Instant
    """When it happened; the last time, if it happened `times` times in a row."""
    times: Annotated[int, Field(ge=1, le=MAX_INTEGER)] = 1
    what: str
    """What happened, in words: `hop 1 started (direct, server-c dialed 10.0.0.2:4460)`."""
    by: Actor
    hop_id: HopId | None = None
    state: HopState | None = None
    problem: Problem | None = None


class TransferSummary(Message):
    """A transfer in a list."""

    transfer_id: TransferId
    state: TransferState
    source: Location
    destinations: tuple[Location, ...]
    shape: Shape
    dry_run: bool = False
    """The transfer writes nothing and only reports what it would do."""
    selection_count: Count | None = None
    """Number of objects that a template selected; None: everything below the source."""
    selection_first: DisplayText | None = None
    """One of the selected objects, relative to the source."""
    template_id: TemplateId | None = None
    created_by: Actor
    created_at: Instant
    started_at: Instant | None = None
    """When the first hop began to move."""
    ended_at: Instant | None = None
    progress: Progress
    size: Bytes | None = None
    """Size of what is transferred, counted once however many hops carry it: as listed by a hop
    (`progress.bytes_total`), or that of a template's objects; None: not known yet."""
    problem: Problem | None = None
    acknowledged_by: Actor | None = None
    """Who confirmed that the failure needs no further attention."""


class Approval(Message):
    """Approval by a second person, which policies require."""

    policies: tuple[str, ...]
    """Policies that require it."""
    asked_for: tuple[Actor, ...]
    """People who requested the transfer and therefore cannot approve it."""
    by: Actor | None = None
    """Who approved it; None: not yet."""
    at: Instant | None = None
    declined_by: Actor | None = None
    declined_at: Instant | None = None
    why: str = ""
    """Reason for which it was declined."""


class StartDecision(Message):
    """What policies would decide about the transfer that a dry run previews."""

    needs_approval: bool
    policies: tuple[str, ...] = ()
    """Policies that decide so."""


Dollars = Annotated[float, Field(ge=0)]
"""US dollars."""
Month = Annotated[str, StringConstraints(pattern=forms.MONTH)]
"""A month, as in `2026-11`."""
CostLabel = Literal["template", "agent", "person"]
"""What costs are summed by: the template that started a transfer, the agent that its bytes come from (from
S3: that fetches them), or the person for whom it ran."""


class Cost(Message):
    """What a transfer's bytes cost on AWS, at most, by list prices in US dollars."""

    dollars: Dollars
    """Sum of the next three."""
    requests: Dollars
    """Requests of S3."""
    egress: Dollars
    """What leaves AWS, if no agent is inside."""
    relay: Dollars
    """Requests and egress of the relay bucket."""
    storage_a_month: Dollars
    """What has arrived in buckets costs this each month that it stays."""
    final: bool
    """Whether this is what an ended transfer cost. Otherwise it is an estimate."""
    prices_as_of: str
    """Month of the prices: `2025-06`."""


class CostSum(Message):
    """What the transfers of one template, agent or person cost on AWS, at most, in US dollars."""

    id: str
    """Id of the template or the agent, or the person's `sub`."""
    name: str
    transfers: Count
    """Transfers that ended in the month, and did not go on after it; dry runs are not counted."""
    bytes_arrived: Bytes
    dollars: Dollars
    """Sum of the next three."""
    requests: Dollars
    egress: Dollars
    relay: Dollars
    storage_a_month: Dollars
    """What has arrived in buckets costs this each month that it stays."""


class CostsView(Message):
    """Costs of the transfers that ended in a month, the most expensive first."""

    month: Month
    """In UTC."""
    by: CostLabel
    sums: tuple[CostSum, ...]
    """Up to a thousand."""
    others: CostSum | None = None
    """Sum of all after these, without an id; its name tells how many they are. None: there are none."""


class TransferView(TransferSummary):
    """A transfer with its options, hops and timeline."""

    options: OrderedOptions
    approval: Approval | None = None
    real_start: StartDecision | None = None
    """For a dry run: the decision about the same transfer without `dry_run`, as of the request."""
    cost: Cost | None = None
    """Of a dry run: what the transfer would cost. None: an older control plane does not say."""
    hops: tuple[HopView, ...]
    timeline: tuple[TimelineEntry, ...]
    """The newest entries, oldest first. Repetitions of a failure are counted, not listed."""
    timeline_next: str | None = None
    """Cursor of the entries before these; None: there are none."""


class TimelineView(Message):
    """A page of a transfer's timeline."""

    entries: tuple[TimelineEntry, ...]
    """Oldest first. Repetitions of a failure are counted, not listed."""
    next: str | None = None
    """Cursor of the entries before these; None: there are none."""


class TransfersView(Message):
    """A page of transfers in the requested order."""

    transfers: tuple[TransferSummary, ...]
    next: str | None = None


class TransferCount(Message):
    """How many transfers meet the criteria of a list."""

    count: Count
    complete: bool
    """False: there may be more than are counted."""


class TransferTotals(Message):
    """Totals of the transfers that ended since a time; dry runs are not counted."""

    since: Instant
    transfers: Count
    """Transfers that ended, cancelled ones included."""
    succeeded: Count
    failed: Count
    """Failed partly or completely."""
    bytes_arrived: Bytes
    """Bytes that these transfers brought to their destinations, without unchanged files. Each destination of
    a fan-out counts; in a chain a file counts once."""
    files_arrived: Count
    """Files that these transfers brought to their destinations, counted like the bytes."""


class OverviewView(Message):
    """Totals for the overview page."""

    today: TransferTotals
    """Since the quarter of an hour of the requested midnight, by default in UTC."""
    month: TransferTotals
    """The last 30 days."""


class AttentionGroup(Message):
    """Transfers of any age that a person must look at for one reason."""

    reason: Attention
    count: Count
    """At most 500: there may be more."""
    newest: tuple[TransferSummary, ...]


class AttentionView(Message):
    """What waits for a person, and what waits for its turn."""

    groups: tuple[AttentionGroup, ...]
    """Reasons that no transfer has are left out."""
    queued: Count
    """Queued transfers, at most 500."""


class TemplateView(Message):
    """A template."""

    template_id: TemplateId
    description: str
    trigger: ObjectTrigger
    destinations: tuple[Location, ...]
    shape: Shape
    options: OrderedOptions
    enabled: bool
    owner: Actor
    created_at: Instant
    updated_at: Instant
    version: Annotated[int, Field(ge=1)]
    warnings: tuple[Problem, ...] = ()
    """What may be a mistake although it is allowed, such as an agent that does not exist yet."""


class TemplatesView(Message):
    """A page of templates."""

    templates: tuple[TemplateView, ...]
    next: str | None = None


class LiveView(Message):
    """Where to subscribe to progress or changes: an MQTT 5 WebSocket URL that allows only `topics`."""

    url: str
    client_id: str
    topics: tuple[str, ...]
    expires_at: Instant
