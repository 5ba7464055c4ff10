"""Console, CLI and agents → cloud: HTTP request bodies. The OpenAPI document is generated from these."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from events import forms
from events.base import (
    MAX_PATH_BYTES,
    AgentId,
    Bytes,
    Fingerprint,
    HopId,
    Instant,
    LaneAddresses,
    LaneCertificate,
    Request,
    TransferId,
    Why,
    display_text,
)
from events.commands import LogLines
from events.input_errors import input_error
from events.locations import (
    MAX_KEY_BYTES,
    AbsolutePath,
    AgentLocationText,
    BucketName,
    Find,
    LocationText,
    ObjectPrefix,
    RemoteName,
    clean_key,
    key_bytes,
)
from events.options import Options
from events.reports import Capabilities, RootStates

TemplateId = Annotated[str, StringConstraints(pattern=forms.LABEL)]
Tags = Annotated[
    dict[
        Annotated[str, StringConstraints(pattern=forms.TAG_KEY)],
        Annotated[str, StringConstraints(max_length=128)],
    ],
    Field(max_length=20),
]
Shape = Literal["fan_out", "chain"]
"""`fan_out`: every destination gets files from the source. `chain`: each from the previous one."""

MAX_DESTINATIONS = 50

ROUTE_NAMES = frozenset({"enrollments", "register"})
"""What the API has at the place of an agent's name: no request would reach an agent of such a name."""


def _not_a_route(name: str) -> str:
    if name in ROUTE_NAMES:
        raise input_error("agent-name-route", name=name)
    return name


NewAgentId = Annotated[AgentId, AfterValidator(_not_a_route)]
"""A name that a new agent may have."""


def _typed(path: str) -> str:
    if not path.isprintable() or '"' in path or "\\" in path:
        raise input_error("root-not-printable")
    return path


MAX_CSR_CHARS = 4000
"""Longest CSR, in characters. IoT Core takes 4,096, and writing it as PEM adds line ends."""


class RootSpec(Request):
    """A root in the install command; the host's administrator grants it by running the command."""

    path: Annotated[AbsolutePath, AfterValidator(_typed)]
    access: Literal["ro", "rw"]


class EnrollmentRequest(Request):
    """Request a one-time token with which one host can register under this name."""

    agent_id: NewAgentId
    tags: Tags = {}
    roots: Annotated[tuple[RootSpec, ...], Field(max_length=64)] = ()
    """Roots for the install command; not stored."""
    expires_in: Annotated[int, Field(ge=60, le=7 * 86400, description="seconds")] = 3600


class RegisterRequest(Request):
    """Register a host, once: the token that it was given and the CSR of a key that never leaves the host."""

    token: Annotated[str, StringConstraints(min_length=20, max_length=200)]
    agent_id: NewAgentId | None = None
    """Requested name, if the token allows a choice."""
    csr: Annotated[str, StringConstraints(max_length=MAX_CSR_CHARS)]
    """PEM."""
    hostname: Annotated[str, StringConstraints(min_length=1, max_length=253)]
    version: Annotated[str, StringConstraints(max_length=64)]
    capabilities: Capabilities
    endpoints: LaneAddresses
    lane_certificate: LaneCertificate
    roots: RootStates


class RenewalRequest(Request):
    """Request a new device certificate and API key for an agent."""

    csr: Annotated[str, StringConstraints(max_length=MAX_CSR_CHARS)]
    """CSR of a new key that stays on the host, PEM."""
    certificate: Fingerprint
    """Fingerprint of the current device certificate, which stays valid until the new one was used."""


class AgentChange(Request):
    """Change an agent; fields that are left out keep their values."""

    tags: Tags | None = None
    endpoints: LaneAddresses | None = None


class DrainRequest(Request):
    """Drain an agent: it finishes what it does and gets nothing new."""

    until: Instant | None = None
    """When it gets new hops again by itself. None: when a person says so."""
    maintenance: bool = False
    """Whether it may go away without an event that it went silent."""
    why: Why | None = None


class BrowseRequest(Request):
    """List a directory of an agent or of one of its remotes."""

    path: AbsolutePath
    remote: RemoteName | None = None
    """Remote to which the path belongs, `/` being its top. None: a path of the agent."""
    after: Annotated[str, StringConstraints(max_length=MAX_PATH_BYTES)] | None = None
    limit: Annotated[int, Field(ge=1, le=500)] = 200
    find: Find = ""


class LogRequest(Request):
    """Read the latest lines of an agent's own log."""

    lines: LogLines = 200
    """Maximum number of lines."""
    since: Instant | None = None
    """Only lines from this time on."""


def _directory(prefix: str) -> str:
    """Return the prefix with a final slash; refuse names that a path cannot have."""
    names = prefix.removesuffix("/").split("/") if prefix else []
    if "" in names or "." in names:
        raise input_error("prefix-name-empty")
    return clean_key("".join(f"{name}/" for name in names))  # a slash longer


class BucketBrowseRequest(Request):
    """List the objects and common prefixes below a prefix of a bucket."""

    prefix: Annotated[ObjectPrefix, AfterValidator(_directory)] = ""
    """Prefix up to a slash, which is added if missing."""
    after: Annotated[str, StringConstraints(max_length=1024)] | None = None
    """`next` of the previous page."""
    limit: Annotated[int, Field(ge=1, le=500)] = 200
    find: Find = ""

    @model_validator(mode="after")
    def _goes_on_after_a_key(self) -> "BucketBrowseRequest":
        if key_bytes(self.prefix + (self.after or "")) > MAX_KEY_BYTES:
            raise input_error("key-long")
        return self


class CredentialsRequest(Request):
    """Request S3 credentials for a hop that the agent is carrying."""

    hop_id: HopId


MAX_MANIFEST = 2 * 1024**3
"""Maximum size of a gzipped manifest in bytes: about twenty million files."""


class ManifestRequest(Request):
    """Request a URL to upload the manifest of a hop that the agent carried."""

    hop_id: HopId
    size: Annotated[Bytes, Field(le=MAX_MANIFEST)]
    """Exact size of the gzipped manifest in bytes."""
    succeeded: bool
    """Whether the hop has succeeded: an attempt that failed has a manifest, too."""


class TransferRequest(Request):
    """Start a transfer from one source to one or more destinations."""

    source: LocationText
    destinations: Annotated[tuple[LocationText, ...], Field(min_length=1, max_length=MAX_DESTINATIONS)]
    shape: Shape = "fan_out"
    options: Options = Options()


class DistributedRequest(Request):
    """Start a transfer from one agent to one other."""

    source: AgentLocationText
    destination: AgentLocationText
    options: Options = Options()


class DeclineRequest(Request):
    """Decline a transfer that awaits approval."""

    why: Why
    """Shown to the person who requested it."""


MAX_GATHER_S = 300
"""Longest time for which a template gathers objects, in seconds."""


class ObjectTrigger(Request):
    """Objects that are created in this bucket, with this prefix and suffix."""

    bucket: BucketName
    prefix: ObjectPrefix = ""
    suffix: Annotated[str, StringConstraints(max_length=128)] = ""
    gather_seconds: Annotated[int, Field(ge=0, le=MAX_GATHER_S)] = 0
    """How long the first object waits for others that then travel in one transfer; 0: not at all."""


class TemplateRequest(Request):
    """A template, which transfers each object created under the trigger's prefix to each destination."""

    name: TemplateId
    """Name of the template, which is also its id."""
    description: Annotated[str, StringConstraints(max_length=1000)] = ""
    trigger: ObjectTrigger
    destinations: Annotated[tuple[LocationText, ...], Field(min_length=1, max_length=MAX_DESTINATIONS)]
    shape: Shape = "fan_out"
    options: Options = Options()
    enabled: bool = True

    @model_validator(mode="after")
    def _every_destination_is_a_directory(self) -> "TemplateRequest":
        for destination in self.destinations:
            if not str(destination).endswith("/"):
                raise input_error("template-destination", destination=display_text(str(destination)))
        return self


MAX_WATCHED = 20
"""Transfers that one page may watch: as many as a page of the list has."""


class WatchRequest(Request):
    """Have agents publish live progress of these transfers for a while; ask again every 30 s."""

    transfers: Annotated[tuple[TransferId, ...], Field(min_length=1, max_length=MAX_WATCHED)]
