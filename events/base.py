"""What all messages share: the wire version, the base models and the small value types."""

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

from events import forms
from events.input_errors import input_error

WIRE = 1
"""Version of the wire. 1 (2026-11): the first."""


class Message(BaseModel):
    """A frozen message that ignores unknown fields, so that old readers accept new writers."""

    # Most programs use few of the messages: each is built at its first use, not when it is imported.
    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)


class Request(BaseModel):
    """A request body. Unknown fields are refused, so that a typing error does not pass silently."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


def _rfc3339(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _in_calendar(time: datetime) -> datetime:
    try:
        time.astimezone(UTC)
    except OverflowError:
        raise input_error("time-beyond-calendar") from None
    return time


Instant = Annotated[
    AwareDatetime, AfterValidator(_in_calendar), PlainSerializer(_rfc3339, return_type=str, when_used="json")
]
"""A time with its zone; written as RFC 3339 in UTC with milliseconds."""

EpochSeconds = Annotated[int, Field(ge=0, le=253_402_300_799)]
"""Seconds since 1970, up to the year 9999."""

_SURROGATE = re.compile("[\ud800-\udfff]")


def display_text(text: str) -> str:
    """Return the text with bytes that are not UTF-8 written as `\\xff`, so that it can be sent and printed.

    Python holds such bytes of a file name as surrogates (PEP 383).
    """
    return text if text.isascii() else _SURROGATE.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    number = ord(found[0])
    return f"\\x{number - 0xDC00:02x}" if 0xDC80 <= number <= 0xDCFF else f"\\u{number:04x}"


DisplayText = Annotated[str, AfterValidator(display_text)]
"""Text that may contain a file name. A surrogate cannot be encoded: it would break the whole message."""

AgentId = Annotated[str, StringConstraints(pattern=forms.LABEL)]
"""An agent's name, which is also its id: a DNS label, unique in its stage, chosen at enrollment."""

MAX_API_URL_CHARS = 300
ApiUrl = Annotated[str, StringConstraints(min_length=1, max_length=MAX_API_URL_CHARS)]
"""Address of the API, without a final slash."""
StageName = Annotated[str, StringConstraints(pattern=forms.STAGE)]
"""Name of a deployment, part of every name it uses in its AWS account: at most 32 characters, so that the
longest of these fits (IoT Jobs allows 64)."""
ThingName = Annotated[str, StringConstraints(pattern=forms.THING)]
"""An agent's name in IoT Core: its thing and its MQTT client id (`events.topics.Topics.thing`)."""

TransferId = Annotated[str, StringConstraints(pattern=forms.TRANSFER_ID)]
HopId = Annotated[str, StringConstraints(pattern=forms.HOP_ID)]
"""The transfer's id, a hyphen and the hop's number, counted from 0."""

MAX_INTEGER = 2**63 - 1
"""Largest integer that Cedar, SQLite and file systems can hold."""
Count = Annotated[int, Field(ge=0, le=MAX_INTEGER)]
Bytes = Annotated[int, Field(ge=0, le=MAX_INTEGER, description="bytes")]
Why = Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=500)]
"""Reason that a person gives for what they do."""

Fingerprint = Annotated[str, StringConstraints(pattern=forms.FINGERPRINT)]
"""SHA-256 of a certificate or file, hex (`events.certificates`)."""

Version = Annotated[str, StringConstraints(pattern=forms.VERSION)]
"""A version of Crosshaul: `0.2.0`."""

UpdateId = Annotated[str, StringConstraints(pattern=forms.SHORT_ID)]

KeyId = Annotated[str, StringConstraints(min_length=1, max_length=200)]
"""Id of a signing key (`kid`)."""

MAX_PATH_BYTES = 4096

LaneAddress = Annotated[str, StringConstraints(pattern=forms.LANE_ADDRESS)]
"""Address at which peers can dial an agent, `host:port`, in ASCII."""
LaneAddresses = Annotated[tuple[LaneAddress, ...], Field(max_length=16)]
"""All addresses of an agent. Limited, since commands to peers carry them and the certificate."""
LaneCertificate = Annotated[str, StringConstraints(pattern=forms.LANE_CERTIFICATE)]
"""PEM."""


class Actor(Message):
    """Who did something: a person, an agent, a template, or Crosshaul itself."""

    id: str
    """A person's `sub` in the user pool, `agent:server-b`, `template:new-videos`, `crosshaul`, or `nobody`
    for an unknown caller."""
    name: str
    """Name at that time, a person's e-mail address. For display only."""

    @model_validator(mode="before")
    @classmethod
    def _of_text(cls, value: Any) -> Any:
        """Accept text: rows from before users were identified by `sub` have only a name."""
        return {"id": value, "name": value} if isinstance(value, str) else value

    @classmethod
    def called(cls, name: str) -> Self:
        """Return an actor whose id is its name."""
        return cls(id=name, name=name)


class Problem(Message):
    """What went wrong, where, and what to do about it, in the words that people read."""

    code: Annotated[str, StringConstraints(pattern=forms.CODE)]
    """Stable code for programs: `source-missing`."""
    message: DisplayText
    """What happened and where, for people."""
    advice: DisplayText = ""
    """What to do about it."""
    path: DisplayText | None = None
    retryable: bool = False
    """Whether a later attempt may succeed."""
    wording: Annotated[str, StringConstraints(pattern=forms.WORDING)] = ""
    """Which words of the catalogue message and advice are: one code may have several. Empty for a text that
    is in no catalogue."""
    parameters: dict[str, DisplayText] = {}
    """What fills these words, by name, so that programs can put them into another language. `path` is not
    repeated here."""
