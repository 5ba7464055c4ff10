"""What every message shares: the wire version, the base model and the small value types."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    model_validator,
)

WIRE = 1
"""The version of the wire. 1 (2026-11): the first."""


class Message(BaseModel):
    """A frozen message that ignores fields it does not know, so that old readers survive new writers."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Request(BaseModel):
    """An HTTP body. Unknown fields are refused: a typing mistake must not pass silently."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _in_calendar(moment: datetime) -> datetime:
    try:
        moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("in UTC this is before the year 1 or after 9999") from None
    return moment


Instant = Annotated[
    AwareDatetime, AfterValidator(_in_calendar), PlainSerializer(_rfc3339, return_type=str, when_used="json")
]
"""A moment, always with a zone; written as RFC 3339 in UTC with milliseconds."""

_SURROGATE = re.compile("[\ud800-\udfff]")


def display_text(text: str) -> str:
    """Return the text as it can be sent and printed: bytes of a file name that are not UTF-8, which Python
    holds as surrogates (PEP 383), become `\\xff`."""
    return text if text.isascii() else _SURROGATE.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    number = ord(found[0])
    return f"\\x{number - 0xDC00:02x}" if 0xDC80 <= number <= 0xDCFF else f"\\u{number:04x}"


DisplayText = Annotated[str, AfterValidator(display_text)]
"""Text in which a file's name may occur. A surrogate cannot be encoded: it would break the whole message."""

LABEL = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
"""As in DNS."""
AgentId = Annotated[str, StringConstraints(pattern=LABEL)]
"""An agent's name and id in one: a DNS label, unique in its stage, chosen at enrolment."""

StageName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$")]
"""One deployment's name, part of every name that it has in its account: at most 32 characters, so that the
longest of these fits (IoT Jobs allows 64)."""
ThingName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9:_-]{1,128}$")]
"""An agent's name in IoT Core: its thing and its MQTT client id (`events.topics.Topics.thing`)."""

TransferId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]{20}$")]
HopId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]{20}-[0-9]{1,3}$")]
"""The transfer's id, a dash and the hop's number in it, counted from 0."""

MAX_INTEGER = 2**63 - 1
"""What Cedar, SQLite and every file system can hold."""
Count = Annotated[int, Field(ge=0, le=MAX_INTEGER)]
Bytes = Annotated[int, Field(ge=0, le=MAX_INTEGER, description="bytes")]

Fingerprint = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""A certificate's SHA-256, hex (`events.certificates`)."""

Version = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z][0-9A-Za-z.+-]{0,39}$")]
"""Of Crosshaul itself: `0.2.0`."""

UpdateId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{12}$")]

KeyId = Annotated[str, StringConstraints(min_length=1, max_length=200)]
"""A signing key's `kid`."""

MAX_PATH_BYTES = 4096

LaneAddress = Annotated[str, StringConstraints(pattern=r"^[ -~]{1,260}$")]
"""Where others may dial an agent, `host:port`, as DNS writes it: in ASCII."""
LaneAddresses = Annotated[tuple[LaneAddress, ...], Field(max_length=16)]
"""All of an agent. Commands to others carry them and its certificate, so that both have to have an end."""
LaneCertificate = Annotated[str, StringConstraints(pattern=r"^[ -~\r\n]{0,8192}$")]
"""PEM."""


class Actor(Message):
    """Who did something: a person, an agent, a template, or Crosshaul itself."""

    id: str
    """What it is known by: a person's `sub` in the user pool, `agent:server-b`, `template:new-videos`,
    `crosshaul`, or `nobody` who could be told."""
    name: str
    """What it was called at that time: a person's e-mail address. Only to be shown."""

    @model_validator(mode="before")
    @classmethod
    def _of_text(cls, value: Any) -> Any:
        """Rows from before people were known by their `sub` have a name alone: nobody's id is like that."""
        return {"id": value, "name": value} if isinstance(value, str) else value

    @classmethod
    def called(cls, name: str) -> Self:
        """One that is known by its name."""
        return cls(id=name, name=name)


class Problem(Message):
    """What went wrong, where, and what to do about it; the same words from the agent to the screen."""

    code: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*$")]
    """Stable, for programs: `source-missing`."""
    message: DisplayText
    """What happened and where, for people."""
    advice: DisplayText = ""
    """What to do about it."""
    path: DisplayText | None = None
    retryable: bool = False
    """Would the same attempt, made again later, have a chance?"""
