"""Console, CLI and agents → cloud: HTTP bodies. The OpenAPI description is made from these."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from events.base import (
    LABEL,
    MAX_PATH_BYTES,
    AgentId,
    Bytes,
    Fingerprint,
    HopId,
    LaneAddresses,
    LaneCertificate,
    Request,
)
from events.locations import (
    AbsolutePath,
    AgentLocationText,
    BucketName,
    Find,
    LocationText,
    ObjectPrefix,
    RemoteName,
)
from events.options import Options
from events.reports import Capabilities, RootState

TemplateId = Annotated[str, StringConstraints(pattern=LABEL)]
Tags = Annotated[
    dict[
        Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:/-]{1,64}$")],
        Annotated[str, StringConstraints(max_length=128)],
    ],
    Field(max_length=20),
]
Shape = Literal["fan_out", "chain"]
"""fan_out: every destination is served from the source. chain: each from the one before it."""

MAX_DESTINATIONS = 50


def _typed(path: str) -> str:
    if not path.isprintable() or '"' in path or "\\" in path:
        raise ValueError("write a root with quotes or control characters into agent.toml, by hand")
    return path


class RootSpec(Request):
    """A root as it stands in the line to run; the host's administrator decides by running it."""

    path: Annotated[AbsolutePath, AfterValidator(_typed)]
    access: Literal["ro", "rw"]


class EnrollmentRequest(Request):
    """Ask for a one-time token that lets one host join under this name."""

    agent_id: AgentId
    tags: Tags = {}
    roots: Annotated[tuple[RootSpec, ...], Field(max_length=64)] = ()
    """Only written into the line to run."""
    expires_in: Annotated[int, Field(ge=60, le=7 * 86400, description="seconds")] = 3600


class RegisterRequest(Request):
    """What the host sends, once: the token it was given and the CSR of a key that never leaves it."""

    token: Annotated[str, StringConstraints(min_length=20, max_length=200)]
    agent_id: AgentId | None = None
    """The name that it wishes for, where the token leaves a choice."""
    csr: Annotated[str, StringConstraints(max_length=8192)]
    """PEM."""
    hostname: Annotated[str, StringConstraints(min_length=1, max_length=253)]
    version: Annotated[str, StringConstraints(max_length=64)]
    capabilities: Capabilities
    endpoints: LaneAddresses
    lane_certificate: LaneCertificate
    roots: Annotated[tuple[RootState, ...], Field(max_length=64)]


class RenewalRequest(Request):
    """An agent asks for a new device certificate, and gets a new API key with it."""

    csr: Annotated[str, StringConstraints(max_length=8192)]
    """PEM, of a new key that stays on the host."""
    certificate: Fingerprint
    """Of the device certificate that it uses now: this one stays until the new one has worked."""


class AgentChange(Request):
    """Fields left out stay as they are."""

    tags: Tags | None = None
    endpoints: LaneAddresses | None = None


class BrowseRequest(Request):
    path: AbsolutePath
    remote: RemoteName | None = None
    """Whose path it is; `/` is the top of what the agent's host offers. None: the agent's own."""
    after: Annotated[str, StringConstraints(max_length=MAX_PATH_BYTES)] | None = None
    limit: Annotated[int, Field(ge=1, le=500)] = 200
    find: Find = ""


def _directory(prefix: str) -> str:
    """Without names that no path can have: policies know prefixes by their paths."""
    names = prefix.removesuffix("/").split("/") if prefix else []
    if "" in names or "." in names:
        raise ValueError("the prefix has a name in it that no path can have: an empty one, or '.'")
    return "".join(f"{name}/" for name in names)


class BucketBrowseRequest(Request):
    prefix: Annotated[ObjectPrefix, AfterValidator(_directory)] = ""
    """Up to a slash, which is added where it is missing."""
    after: Annotated[str, StringConstraints(max_length=1024)] | None = None
    """`next` of the page before."""
    limit: Annotated[int, Field(ge=1, le=500)] = 200
    find: Find = ""


class CredentialsRequest(Request):
    """An agent asks for S3 credentials for a hop it is carrying out."""

    hop_id: HopId


MAX_MANIFEST = 2 * 1024**3
"""Bytes, gzipped: some twenty million files."""


class ManifestRequest(Request):
    """An agent asks where to put the manifest of a hop that was its own."""

    hop_id: HopId
    size: Annotated[Bytes, Field(le=MAX_MANIFEST)]
    """Gzipped; so many are taken, and no more."""


class TransferRequest(Request):
    source: LocationText
    destinations: Annotated[tuple[LocationText, ...], Field(min_length=1, max_length=MAX_DESTINATIONS)]
    shape: Shape = "fan_out"
    options: Options = Options()


class DistributedRequest(Request):
    """From one agent to one other."""

    source: AgentLocationText
    destination: AgentLocationText
    options: Options = Options()


class ObjectTrigger(Request):
    """Objects that arrive in this bucket under this prefix."""

    bucket: BucketName
    prefix: ObjectPrefix = ""
    suffix: Annotated[str, StringConstraints(max_length=128)] = ""


class TemplateRequest(Request):
    """A standing order. What lies under the trigger's prefix arrives under each destination."""

    name: TemplateId
    """Also its id."""
    description: Annotated[str, StringConstraints(max_length=1000)] = ""
    trigger: ObjectTrigger
    destinations: Annotated[tuple[LocationText, ...], Field(min_length=1, max_length=MAX_DESTINATIONS)]
    shape: Shape = "fan_out"
    options: Options = Options()
    enabled: bool = True

    @model_validator(mode="after")
    def _every_destination_is_a_directory(self) -> "TemplateRequest":
        for place in self.destinations:
            if not str(place).endswith("/"):
                raise ValueError(f"{place}: a template's destination is a directory: end it with /")
        return self
