"""Cloud → console, CLI and agents: HTTP answers. The OpenAPI description is made from these."""

from typing import Annotated, Any

from pydantic import Field

from events.base import (
    Actor,
    AgentId,
    Bytes,
    Count,
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
from events.reports import Capabilities, DirectoryEntry, DryRunResult, RootState
from events.requests import ObjectTrigger, Shape, TemplateId
from events.states import AgentStatus, CommandKeyStatus, HopState, TransferState


class SignIn(Message):
    """Where people sign in: a Cognito user pool's public client."""

    region: str
    user_pool_id: str
    client_id: str
    endpoint: str | None = None
    """None for Cognito in AWS."""


class Health(Message):
    status: str
    stage: str
    version: str
    wire: int
    sign_in: SignIn


class ProblemDetails(Message):
    """An error, as RFC 9457 has it (application/problem+json); `advice` and `errors` are ours."""

    type: str
    """A URI that names the kind of problem: `urn:crosshaul:problem:agent-unknown`."""
    title: str
    status: int
    detail: str
    instance: str | None = None
    advice: str = ""
    errors: tuple[dict[str, Any], ...] = ()
    """Where the request does not fit the schema: `{"at": "destinations.0", "message": …}`."""
    policies: tuple[str, ...] = ()
    """Those that forbid it, by name."""


class EnrollmentView(Message):
    agent_id: AgentId
    token: str
    """Shown once; only its hash is kept."""
    expires_at: Instant
    command: str
    """The line to run on the host."""


class RegisteredView(Message):
    """Everything a new agent needs; `api_key` and `certificate` are given this once."""

    agent_id: AgentId
    thing: ThingName
    """Its name in IoT Core: the MQTT client id it must connect with, and a part of its topics."""
    stage: str
    certificate: str
    """The device certificate, PEM."""
    mqtt_host: str
    mqtt_port: int
    mqtt_ca: str | None
    """PEM; None means the system's own trust store."""
    api_key: str
    verification_keys: tuple[dict[str, Any], ...]
    """JWKs (RFC 7517), EC P-256, that commands may be signed with."""


class RenewalView(Message):
    """Good beside what the agent has, which ends when the agent has connected with this."""

    certificate: str
    """The new device certificate, PEM."""
    api_key: str


class AgentView(Message):
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
    load: float | None = None
    certified_at: Instant | None = None
    """Since when it has used its device certificate."""
    rotation_wanted_at: Instant | None = None
    """Since when its certificates and its key are to be replaced; None: they are not."""
    skew: float | None = None
    """Seconds by which its clock is ahead of the control plane's, or behind it if negative; what its last
    word took to arrive is in it."""
    reached: tuple[PeerReachability, ...] = ()
    """Other agents, and how they met the last time; the latest last."""
    command_key_status: CommandKeyStatus | None = None
    """Whose commands: of the key that signs them and the one that will be next, both; only the present one;
    or none, and it has to be registered again. None: an older agent does not say."""
    problems: tuple[Problem, ...] = ()
    """What is wrong with the agent itself, though it works."""


class AgentsView(Message):
    agents: tuple[AgentView, ...]
    next: str | None = None


class ListingView(Message):
    agent_id: AgentId
    path: str
    remote: RemoteName | None = None
    entries: tuple[DirectoryEntry, ...]
    next: str | None


class BucketsView(Message):
    buckets: tuple[str, ...]


class BucketListingView(Message):
    bucket: str
    prefix: str
    entries: tuple[DirectoryEntry, ...]
    next: str | None
    """Pass it as `after` to go on; None at the end. A page may be short or empty, and not the last."""


class CredentialsView(Message):
    """As wide as the hop and no wider; ask again before `expires_at`."""

    access_key_id: str
    secret_access_key: str
    session_token: str
    expires_at: Instant
    region: str
    endpoint: str | None


class ManifestPlaceView(Message):
    """Where a hop's manifest goes: PUT it there, as long as it was said to be, with these headers."""

    url: str
    headers: dict[str, str]
    expires_at: Instant


class HopManifest(Message):
    """What a hop did, file by file: JSON lines, gzipped."""

    hop_id: HopId
    url: str
    """To GET without further ado, until `expires_at`."""
    size: Bytes
    """Gzipped."""
    written_at: Instant


class ManifestView(Message):
    """The manifests of a transfer's hops, as far as they have come in."""

    transfer_id: TransferId
    hops: tuple[HopManifest, ...]
    missing: tuple[HopId, ...]
    """Hops that have not ended, were dry runs, or whose agent has not been able to send it yet."""
    expires_at: Instant


class HopView(Message):
    hop_id: HopId
    source: Location
    destination: Location
    state: HopState
    attempt: Count
    after: HopId | None
    """The hop this one waits for."""
    agents: tuple[AgentId, ...]
    route: str
    """direct, s3 or local."""
    via: str | None = None
    """How the bytes travel, for people: `direct, server-c dialled 10.0.0.2:4460`."""
    connection: Connection | None = None
    """The same for programs."""
    progress: Progress
    seconds_since_report: Annotated[float, Field(ge=0)] | None = None
    """Seconds since its agent said anything of it, as of this answer. None while it is not at work."""
    problem: Problem | None = None
    failures: tuple[Problem, ...] = ()
    failures_total: Count = 0
    digest: str | None = None
    preview: DryRunResult | None = None
    """Of a dry run: what would be done."""
    retry_at: Instant | None = None
    started_at: Instant | None = None
    ended_at: Instant | None = None


class TimelineEntry(Message):
    """One line of a transfer's timeline."""

    at: Instant
    what: str
    """What happened, in words: `hop 0 started (direct, server-c dialled 10.0.0.2:4460)`."""
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
    """Nothing is written by it: it only finds out what would be."""
    selection_count: Count | None = None
    """How many single objects a template gathered; None when everything under the source was asked for."""
    template_id: TemplateId | None = None
    created_by: Actor
    created_at: Instant
    ended_at: Instant | None = None
    progress: Progress
    """Summed over its hops."""
    problem: Problem | None = None


class Approval(Message):
    """A second person's: wanted by policies, given or not yet."""

    policies: tuple[str, ...]
    """Those that want it."""
    asked_for: tuple[Actor, ...]
    """Who asked for the transfer, and so cannot approve it."""
    by: Actor | None = None
    at: Instant | None = None


class TransferView(TransferSummary):
    options: OrderedOptions
    approval: Approval | None = None
    hops: tuple[HopView, ...]
    timeline: tuple[TimelineEntry, ...]


class TransfersView(Message):
    transfers: tuple[TransferSummary, ...]
    next: str | None = None


class TransferTotals(Message):
    """What became of the transfers that were asked for since a moment; dry runs are none."""

    since: Instant
    transfers: Count
    succeeded: Count
    failed: Count
    """Partly or altogether. What goes on and what was cancelled is in neither number."""
    bytes_moved: Bytes
    """What travelled, over all hops; not what stood there already."""
    files_moved: Count
    complete: bool
    """False: there were more transfers than are looked at, and only the newest are counted."""


class OverviewView(Message):
    today: TransferTotals
    """Since the midnight that was asked for; in UTC, if none was."""
    month: TransferTotals
    """The last 30 days."""


class TemplateView(Message):
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
    warnings: tuple[str, ...] = ()
    """What looks wrong though it is allowed: an agent that is not known yet, say."""


class TemplatesView(Message):
    templates: tuple[TemplateView, ...]
    next: str | None = None


class LiveView(Message):
    """Where to listen for progress or news: an MQTT 5 WebSocket address that allows only `topics`."""

    url: str
    client_id: str
    topics: tuple[str, ...]
    expires_at: Instant
