"""Cloud → agent. A command travels as a JWT (ES256, KMS) inside an `Order`; its claims are `Claims`."""

from typing import Annotated, Literal

from pydantic import Field

from events.base import (
    WIRE,
    AgentId,
    Fingerprint,
    HopId,
    Instant,
    KeyId,
    Message,
    TransferId,
    UpdateId,
    Version,
)
from events.locations import AbsolutePath, BucketName, Find, Location, ObjectPrefix, RemoteName
from events.options import Options, OrderedOptions, Priority


class Peer(Message):
    """The agent at the other end of a lane."""

    agent_id: AgentId
    certificate: str
    """The peer's lane certificate, PEM. Exactly this one is accepted, whoever else may have signed it."""


class Relay(Message):
    """Where a direct hop's bytes may go when neither side can dial the other: the stage's relay bucket."""

    bucket: BucketName
    prefix: ObjectPrefix
    """Of this hop alone, with a slash at its end. It reveals nothing of the hop."""
    region: str
    endpoint: str | None = None
    """None for AWS itself."""


class DirectRoute(Message):
    """From agent to agent over the lane; either side dials, the destination asks for what it lacks."""

    kind: Literal["direct"] = "direct"
    source: Peer
    endpoints: tuple[str, ...]
    """The source's lane addresses, `host:port`, in the order of its preference."""
    own_endpoints: tuple[str, ...] = ()
    """The destination's own, which the source was told to dial; none, if it was not."""
    hop_token: str
    """The source's own `Serve` command for this hop and attempt: shown on every connection, whoever dials."""
    own_certificate: Fingerprint | None = None
    """Of the destination's own lane certificate, which the source was told to expect. None: its newest."""
    relay: Relay | None = None
    """None: not allowed."""


class S3Route(Message):
    """Between S3 and one agent, by rclone, with credentials the agent asks for."""

    kind: Literal["s3"] = "s3"
    region: str
    endpoint: str | None = None
    """None for AWS itself."""


class LocalRoute(Message):
    """Both ends on one agent."""

    kind: Literal["local"] = "local"


class RemoteRoute(Message):
    """Between an agent and a remote of its own host, by that host's rclone and its configuration."""

    kind: Literal["remote"] = "remote"


Route = Annotated[DirectRoute | S3Route | LocalRoute | RemoteRoute, Field(discriminator="kind")]


class HopCommand(Message):
    transfer_id: TransferId
    hop_id: HopId
    attempt: Annotated[int, Field(ge=1)]


class Move(HopCommand):
    """Carry out one hop: to the destination's agent, or to the only agent when the other end is S3 or
    a remote.

    A repeated Move with a higher attempt goes on where the journal says the last one ended.
    """

    kind: Literal["move"] = "move"
    source: Location
    destination: Location
    """Where the source itself arrives (see `locations.landing`): a name to give it, or, with a trailing
    slash, the directory to put its contents into."""
    selection: tuple[str, ...] | None = None
    """Only these paths, relative to the source's prefix or directory; None for everything."""
    route: Route
    options: OrderedOptions = Options()
    follows: HopId | None = None
    """The hop that is still bringing the source there: each file is moved on once it stands. None: all is
    there."""


class Serve(HopCommand):
    """Let `peer` read `path` until `until`: the source's side of a direct hop, and its hop token."""

    kind: Literal["serve"] = "serve"
    path: AbsolutePath
    peer: Peer
    endpoints: tuple[str, ...] = ()
    """The peer's lane addresses, which the source dials while the peer dials it; none: it only listens."""
    until: Instant
    removing: bool = False
    """May it also remove what it has read? Only where the host lets the agent write."""
    priority: Priority = "normal"
    """Of the transfer: how the source's line is shared."""
    own_certificate: Fingerprint | None = None
    """Of the source's own lane certificate, which the peer was told to expect. None: its newest."""
    relay: Relay | None = None
    """Where it also listens to the peer, when that does not come directly; None: nowhere."""
    follows: HopId | None = None
    """The hop by which what is served still arrives here: the peer hears of each file once it stands, and of
    the end when that hop has succeeded."""


class Release(HopCommand):
    """The hop is over, or paused: stop serving it."""

    kind: Literal["release"] = "release"


class Pause(HopCommand):
    """Stop moving, keep what has arrived and the journal."""

    kind: Literal["pause"] = "pause"


class Cancel(HopCommand):
    """Stop moving and remove what is half-done; files that have arrived whole stay."""

    kind: Literal["cancel"] = "cancel"


class Browse(Message):
    """List one directory; the answer is a `Browsed` report."""

    kind: Literal["browse"] = "browse"
    request_id: str
    path: AbsolutePath
    remote: RemoteName | None = None
    """Of the agent's host, whose path it is; `/` is the top of what is offered. None: the agent's own."""
    after: str | None = None
    """Names after this one, in code-point order: the next page."""
    limit: Annotated[int, Field(ge=1, le=500)] = 200
    find: Find = ""


class Rotate(Message):
    """Make new keys, have the new certificate signed, go over to them; what runs is not interrupted."""

    kind: Literal["rotate"] = "rotate"


class Update(Message):
    """Become this version, on trial: it is for the host's own updater, which verifies it once more.

    It comes on no topic: the agent asks for it when an IoT Job has told it that there is an update.
    """

    kind: Literal["update"] = "update"
    update_id: UpdateId
    version: Version
    script: Annotated[str, Field(max_length=2000)]
    """The address of the installing script of that version."""
    digest: Fingerprint
    """The script's SHA-256; the script knows those of all that it fetches."""
    healthy_within: Annotated[int, Field(ge=10, le=3600, description="seconds")] = 300
    """How long the new version has to report healthy before the old one returns."""


class PublicKey(Message):
    """A JWK (RFC 7517) of EC P-256."""

    kty: Literal["EC"] = "EC"
    crv: Literal["P-256"] = "P-256"
    kid: KeyId
    x: Annotated[str, Field(max_length=100)]
    y: Annotated[str, Field(max_length=100)]


class Trust(Message):
    """These keys sign commands from now on, and no others: one of them signs now, the other will be next."""

    kind: Literal["trust"] = "trust"
    keys: Annotated[tuple[PublicKey, ...], Field(min_length=1, max_length=4)]


class Retire(Message):
    """The agent was removed: end everything and do not connect again."""

    kind: Literal["retire"] = "retire"


Command = Annotated[
    Move | Serve | Release | Pause | Cancel | Browse | Rotate | Update | Trust | Retire,
    Field(discriminator="kind"),
]


EpochSeconds = Annotated[int, Field(ge=0, le=253_402_300_799)]
"""Since 1970, to the end of the calendar."""


class Claims(Message):
    """A command token's claims; times are seconds since 1970, as RFC 7519 has them."""

    iss: Literal["crosshaul"] = "crosshaul"
    aud: AgentId
    jti: str
    iat: EpochSeconds
    exp: EpochSeconds
    command: Command


class CommandEnvelope(Message):
    """What the commands topic carries."""

    wire: int = WIRE
    token: str
