"""Locations of files, and the text that people write for them.

    server-b:/data/videos/raw/     a directory's contents, on an agent
    server-b:/data/videos/raw      the file or directory itself
    s3://bucket/prefix/            every object under a prefix
    server-b:archive:photos/2026/  a path on the remote `archive` of the agent's rclone

The trailing slash has the meaning of rsync: a source that ends in one stands for its contents, a destination
that ends in one is a directory to put the source into. See `destination_of`.
"""

import posixpath
import re
from typing import Annotated, Any, Literal
from unicodedata import normalize

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from events import forms
from events.base import MAX_PATH_BYTES, AgentId, Message
from events.input_errors import input_error

_AGENT = re.compile(r"^(?P<agent>[^/:]+):(?P<path>/.*)$", re.DOTALL)
_REMOTE = re.compile(r"^(?P<agent>[^/:]+):(?P<remote>[^/:]+):(?P<path>.*)$", re.DOTALL)
_S3 = re.compile(r"^s3://(?P<bucket>[^/]+)(?:/(?P<prefix>.*))?$", re.DOTALL)


def clean_path(path: str) -> str:
    """Normalize an absolute path, keeping a trailing slash; raise ValueError if it is not safe."""
    if not path.startswith("/"):
        raise input_error("path-relative")
    if "\0" in path:
        raise input_error("path-nul")
    if ".." in path.split("/"):
        raise input_error("path-parent")
    if len(path.encode("utf-8", "surrogateescape")) > MAX_PATH_BYTES:
        raise input_error("path-long", limit=MAX_PATH_BYTES)
    cleaned = "/" + posixpath.normpath(path).lstrip("/")
    ends_open = path.endswith(("/", "/.")) and cleaned != "/"
    return cleaned + "/" if ends_open else cleaned


MAX_KEY_BYTES = 1024
"""Longest object key, in bytes of UTF-8."""


def key_bytes(key: str) -> int:
    """Return the size of an object key, in bytes."""
    return len(key.encode("utf-8", "surrogateescape"))


def clean_key(key: str) -> str:
    """Return an object key or prefix as it is; raise ValueError if it is too long or not safe."""
    if key_bytes(key) > MAX_KEY_BYTES:
        raise input_error("key-long")
    if ".." in key.split("/"):
        raise input_error("prefix-parent")
    if key.startswith("/"):  # S3 has such keys, which rclone and a path cannot name
        raise input_error("prefix-slash")
    return key


def clean_remote_path(path: str) -> str:
    """Normalize a path on a remote, relative to the remote's top, with or without a leading slash."""
    return clean_path(f"/{path}").removeprefix("/")


AbsolutePath = Annotated[str, AfterValidator(clean_path)]
Find = Annotated[str, StringConstraints(max_length=255)]
"""Only names that contain this text, ignoring case; empty: all names."""


def alike(name: str) -> str:
    """Return a name as `find` compares it: case-folded, and in Unicode's composed form (NFC)."""
    return normalize("NFC", name.casefold())


BucketName = Annotated[str, StringConstraints(pattern=forms.BUCKET)]
ObjectPrefix = Annotated[str, AfterValidator(clean_key)]
RemoteName = Annotated[str, StringConstraints(pattern=forms.REMOTE)]
"""Name of a remote as the host configures it; rclone's names without spaces."""
RemotePath = Annotated[str, AfterValidator(clean_remote_path)]


class AgentLocation(Message):
    """A path on one agent, inside one of its roots."""

    kind: Literal["agent"] = "agent"
    agent_id: AgentId
    path: AbsolutePath

    def __str__(self) -> str:
        return f"{self.agent_id}:{self.path}"


class S3Location(Message):
    """The objects under a prefix (or one object) of a bucket."""

    kind: Literal["s3"] = "s3"
    bucket: BucketName
    prefix: ObjectPrefix = ""

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"


class RemoteLocation(Message):
    """A path on a remote of one agent's host, of any kind that rclone supports."""

    kind: Literal["remote"] = "remote"
    agent_id: AgentId
    remote: RemoteName
    path: RemotePath = ""

    def __str__(self) -> str:
        return f"{self.agent_id}:{self.remote}:{self.path}"


def from_text(value: Any) -> Any:
    """Return a location's fields for `server-b:/data`, `server-b:remote:path` or `s3://bucket/prefix`.

    Anything but text is returned unchanged.

    Raises:
        ValueError: the text is not a location.
    """
    if not isinstance(value, str):
        return value
    if value.startswith("s3://"):
        if match := _S3.match(value):
            return {"kind": "s3", "bucket": match["bucket"], "prefix": match["prefix"] or ""}
        raise input_error("bucket-unnamed")
    if match := _AGENT.match(value):
        return {"kind": "agent", "agent_id": match["agent"], "path": match["path"]}
    if match := _REMOTE.match(value):
        fields = {"agent_id": match["agent"], "remote": match["remote"], "path": match["path"]}
        return {"kind": "remote", **fields}
    raise input_error("location-form")


Location = Annotated[AgentLocation | S3Location | RemoteLocation, Field(discriminator="kind")]

_EXAMPLES = ["server-b:/data/videos/raw/", "s3://bucket/new-videos/", "server-b:archive:photos/"]
_TEXT = {"type": "string", "examples": _EXAMPLES}


class _TextOrFields:
    """Describes a location in a JSON schema: as text, or as the fields of one of these models."""

    def __init__(self, *models: type[Message]) -> None:
        self._models = models

    def __get_pydantic_json_schema__(self, *_: Any) -> dict[str, Any]:
        return {"anyOf": [_TEXT, *(model.model_json_schema() for model in self._models)]}


LocationText = Annotated[
    Location, BeforeValidator(from_text), _TextOrFields(AgentLocation, S3Location, RemoteLocation)
]
"""A location in a request: as text, or as fields."""

AgentLocationText = Annotated[AgentLocation, BeforeValidator(from_text), _TextOrFields(AgentLocation)]


def agent_of(location: Location) -> AgentId | None:
    """Return the agent of a location, None for S3."""
    return None if isinstance(location, S3Location) else location.agent_id


def inner_path(location: Location) -> str:
    """Return the path or prefix of a location."""
    return location.prefix if isinstance(location, S3Location) else location.path


def base_name(location: Location) -> str:
    """Return the last name of a location; '' for the top of a bucket, a remote or a file system."""
    path = inner_path(location)
    return path.rstrip("/").rpartition("/")[2]


def stands_for_contents(location: Location) -> bool:
    """Return whether a location stands for what it contains: it ends in a slash, or is a top."""
    path = inner_path(location)
    return path.endswith("/") or path == ""


def destination_of(source: Location, destination: Location) -> Location:
    """Return the exact location at which `source` arrives: rsync's rule, decided from the text alone.

    `/a/b/` → `/x` or `/x/`: the contents of b, in /x/.
    `/a/b`  → `/x/`:         b itself, as /x/b.
    `/a/b`  → `/x`:          b itself, under the new name /x.
    """
    open_ended = stands_for_contents(destination)
    if stands_for_contents(source):
        return destination if open_ended else _with_end(destination, "/")
    return _with_end(destination, base_name(source)) if open_ended else destination


def _with_end(location: Location, end: str) -> Location:
    if isinstance(location, AgentLocation):
        joined = "/" if end == "/" and location.path == "/" else location.path + end
        return AgentLocation(agent_id=location.agent_id, path=joined)
    if isinstance(location, RemoteLocation):
        joined = location.path + end
        return RemoteLocation(agent_id=location.agent_id, remote=location.remote, path=joined)
    return S3Location(bucket=location.bucket, prefix=location.prefix + end)
