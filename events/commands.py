"""Cloud → agent. A command travels as a JWT (ES256, KMS) in a `CommandEnvelope`; its claims are `Claims`."""

from typing import Annotated, Literal

from pydantic import Field

from events.base import (
    WIRE,
    AgentId,
    ApiUrl,
    EpochSeconds,
    Fingerprint,
    HopId,
    Instant,
    KeyId,
    LaneAddresses,
    Message,
    TransferId,
    UpdateId,
    Version,
)
from events.locations import AbsolutePath, BucketName, Find, Location, ObjectPrefix, RemoteName
from events.options import Options, OrderedOptions
from events.releases import SignedRelease

WatchSeconds = Annotated[int, Field(ge=0, le=300)]
"""Seconds from now. Short: a console that is still open asks again."""


class Peer(Message):
    """The agent at the other end of a lane."""

    agent_id: AgentId
    certificate: str
    """The peer's lane certificate, PEM. Only this certificate is accepted, regardless of its issuer."""


class Relay(Message):
    """The relay bucket that carries a direct hop's bytes if neither side can dial the other."""

    bucket: BucketName
    prefix: ObjectPrefix
    """Prefix of this hop alone, with a final slash. It reveals nothing about the hop."""
    region: str
    endpoint: str | None = None
    """None for AWS itself."""


class DirectRoute(Message):
    """From agent to agent over the lane; either side dials, the destination pulls the files it needs."""

    kind: Literal["direct"] = "direct"
    source: Peer
    endpoints: LaneAddresses
    """The source's lane addresses, `host:port`, its preferred one first."""
    own_endpoints: LaneAddresses = ()
    """The destination's own lane addresses, which the source dials; empty if it does not dial."""
    hop_token: str
    """The source's `Serve` command for this hop and attempt, presented on every connection."""
    own_certificate: Fingerprint | None = None
    """Fingerprint of the destination's own lane certificate that the source expects. None: the newest."""
    relay: Relay | None = None
    """None: the relay is not allowed."""


class S3Route(Message):
    """Between S3 and one agent, by rclone, with credentials that the agent requests."""

    kind: Literal["s3"] = "s3"
    region: str
    endpoint: str | None = None
    """None for AWS itself."""


class LocalRoute(Message):
    """Both ends on one agent."""

    kind: Literal["local"] = "local"


class RemoteRoute(Message):
    """Between an agent and a remote of its own host, by that host's rclone and configuration."""

    kind: Literal["remote"] = "remote"


Route = Annotated[DirectRoute | S3Route | LocalRoute | RemoteRoute, Field(discriminator="kind")]


class HopCommand(Message):
    """A command about one hop."""

    transfer_id: TransferId
    hop_id: HopId
    attempt: Annotated[int, Field(ge=1)]


class Move(HopCommand):
    """Carry out one hop. Sent to the destination's agent, or to the only agent if one end is S3 or a remote.

    A repeated Move with a higher attempt resumes where the journal says the last one ended.
    """

    kind: Literal["move"] = "move"
    source: Location
    destination: Location
    """Where the source itself arrives (see `locations.destination_of`): its new name or, with a final slash,
    the directory for its contents."""
    selection: tuple[str, ...] | None = None
    """Only these paths, relative to the source's prefix or directory; None for everything."""
    route: Route
    options: OrderedOptions = Options()
    previous_hop: HopId | None = None
    """The upstream hop that is still delivering the source: each file is moved once it is complete. None: the
    source is complete."""
    success_from: Annotated[int, Field(ge=1)] = 1
    """The first attempt under which a success means that everything has arrived. Under an earlier one, the
    source had only a part of what it has now, so the hop is carried out again."""
    watch_s: WatchSeconds = 0
    """Seconds for which someone still watches the transfer; see `Watch`."""


class Serve(HopCommand):
    """Let `peer` read `path` until `until`: the source's side of a direct hop, and its hop token.

    The peer gets only what `options` and `selection` allow, whatever it requests.
    """

    kind: Literal["serve"] = "serve"
    path: AbsolutePath
    peer: Peer
    endpoints: LaneAddresses = ()
    """The peer's lane addresses, which the source dials while the peer dials it; empty: it only listens."""
    until: Instant
    options: OrderedOptions = Options()
    """The transfer's options: which files the peer may read, whether links are followed, whether the peer may
    delete what it has read (only where the agent may write), and the share of the source's bandwidth."""
    selection: tuple[str, ...] | None = None
    """Only these paths, relative to `path`; None for everything."""
    own_certificate: Fingerprint | None = None
    """Fingerprint of the source's own lane certificate that the peer expects. None: the newest."""
    relay: Relay | None = None
    """Where the source also accepts the peer if it cannot connect directly; None: nowhere."""
    previous_hop: HopId | None = None
    """The upstream hop that still delivers what is served: the peer is told of each file once it is complete,
    and of the end when that hop has succeeded."""


class Release(HopCommand):
    """Stop serving a hop, which has ended or is paused."""

    kind: Literal["release"] = "release"


class Pause(HopCommand):
    """Stop a hop; keep what has arrived and the journal."""

    kind: Literal["pause"] = "pause"


class Cancel(HopCommand):
    """Stop a hop and delete partial files; complete files stay.

    A push to S3 that has failed gets it, too: it kept unfinished uploads for an attempt that does not come.
    """

    kind: Literal["cancel"] = "cancel"


class Watch(Message):
    """Publish live progress of this transfer's hops for some seconds, since someone watches it.

    Without it, an agent reports checkpoints only. A lost one costs a watcher the live progress until the
    console asks again.
    """

    kind: Literal["watch"] = "watch"
    transfer_id: TransferId
    seconds: WatchSeconds


class Browse(Message):
    """List one directory; the reply is a `Browsed` report."""

    kind: Literal["browse"] = "browse"
    request_id: str
    path: AbsolutePath
    remote: RemoteName | None = None
    """Remote to which the path belongs, `/` being its top. None: a path of the agent."""
    after: str | None = None
    """Only names after this one, in code-point order: the next page."""
    limit: Annotated[int, Field(ge=1, le=500)] = 200
    find: Find = ""


MAX_LOG_LINES = 1000
"""Maximum number of log lines that one answer has."""
LogLines = Annotated[int, Field(ge=1, le=MAX_LOG_LINES)]


class ReadLog(Message):
    """Send the latest lines of the agent's own log; the reply is a `LogExcerpt` report."""

    kind: Literal["read-log"] = "read-log"
    request_id: str
    lines: LogLines = 200
    """Maximum number of lines."""
    since: Instant | None = None
    """Only lines from this time on."""


class Rotate(Message):
    """Create new keys, get the new certificate signed and switch to them, without interrupting hops."""

    kind: Literal["rotate"] = "rotate"


class UpdateAgent(Message):
    """Update to this version on trial. For the host's own updater, which verifies the command once more.

    It is not published: the agent requests it after an IoT Job has announced an update.
    """

    kind: Literal["update"] = "update"
    update_id: UpdateId
    version: Version
    script: Annotated[str, Field(max_length=2000)]
    """URL of that version's install script."""
    digest: Fingerprint
    """SHA-256 of the script, which has the digests of everything that it downloads."""
    release: SignedRelease
    """What the publisher has signed about this version: the updater wants both signatures."""
    healthy_within: Annotated[int, Field(ge=10, le=3600, description="seconds")] = 300
    """How long the new version has to report healthy before the host returns to the old one."""


class PublicKey(Message):
    """A JWK (RFC 7517) of EC P-256."""

    kty: Literal["EC"] = "EC"
    crv: Literal["P-256"] = "P-256"
    kid: KeyId
    x: Annotated[str, Field(max_length=100)]
    y: Annotated[str, Field(max_length=100)]


class Trust(Message):
    """Trust only these keys for commands from now on: the one that signs now, and the next one."""

    kind: Literal["trust"] = "trust"
    keys: Annotated[tuple[PublicKey, ...], Field(min_length=1, max_length=4)]


class Relocate(Message):
    """Use the API at another address once it has answered there; until then, keep the old one."""

    kind: Literal["relocate"] = "relocate"
    api_url: ApiUrl


class Retire(Message):
    """Stop everything and do not connect again: the agent was removed."""

    kind: Literal["retire"] = "retire"


Command = Annotated[
    Move
    | Serve
    | Release
    | Pause
    | Cancel
    | Watch
    | Browse
    | ReadLog
    | Rotate
    | UpdateAgent
    | Trust
    | Relocate
    | Retire,
    Field(discriminator="kind"),
]


class Claims(Message):
    """Claims of a command token (RFC 7519); times are seconds since 1970."""

    iss: Literal["crosshaul"] = "crosshaul"
    aud: AgentId
    jti: str
    iat: EpochSeconds
    exp: EpochSeconds
    command: Command


class CommandEnvelope(Message):
    """A message on the commands topic."""

    wire: int = WIRE
    token: str
