"""The audit: who did what, from where, and which policies allowed or refused it.

Records are chained by digests, so that a removed or changed record is detected. Cloud and CLI compute the
digests by the same rules, which are here.
"""

import hashlib
import json
from datetime import UTC
from typing import Annotated, Any

from pydantic import ConfigDict, Field, StringConstraints

from events import forms
from events.base import Actor, AgentId, Count, Instant, Message, TransferId
from events.policies import Effect

Day = Annotated[str, StringConstraints(pattern=forms.DAY)]
"""A day in UTC."""
RecordId = Annotated[str, StringConstraints(pattern=forms.AUDIT_RECORD_ID)]
"""Time to the microsecond, and random text that keeps simultaneous records apart: ids sort by time."""

START = "0" * 64
"""Stands for the digest before the first link of a day, and before the first seal."""


class AuditRecord(Message):
    """One change or one refusal. Written once, never changed."""

    model_config = ConfigDict(frozen=True, extra="allow")  # fields of newer versions count in the digest

    record_id: RecordId
    at: Instant
    who: Actor
    address: str | None = None
    action: str
    """What was done: `transfer.requested`, `policy.put`; for a refusal, the request: `POST /transfers`."""
    about: str
    """What it was done to: `transfer k3v9…`, `policy night-only`."""
    decision: Effect
    policies: tuple[str, ...] = ()
    """Policies that decided."""
    why: str = ""
    """Reason that the person gave, or message of the refusal."""
    repeats: Count = 0
    """Of a refusal: how many equal ones followed within the hour, which have no records of their own."""
    transfer_id: TransferId | None = None
    agents: tuple[AgentId, ...] = ()
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None

    @property
    def day(self) -> str:
        return self.record_id[:10]

    @property
    def is_dated(self) -> bool:
        """Return whether `at` is the time in the id: the chain orders and bounds only ids."""
        return self.at.astimezone(UTC).isoformat(timespec="milliseconds")[:23] == self.record_id[:23]


class AuditView(Message):
    """A page of records, newest first."""

    records: tuple[AuditRecord, ...]
    next: str | None = None


class AuditEntry(Message):
    """A record in the chain."""

    record_id: RecordId
    digest: str


class AuditLink(Message):
    """Some records in the order of their writes; `previous` is the digest of the previous link."""

    day: Day
    number: Annotated[int, Field(ge=1)]
    entries: tuple[AuditEntry, ...]
    previous: str
    digest: str


class AuditChainView(Message):
    """A page of the links of one day, in order."""

    links: tuple[AuditLink, ...]
    next: str | None = None


class AuditSeal(Message):
    """The signed end of a day: number of links, digest of the last link, digest of the previous seal."""

    day: Day
    links: Count
    last: str
    previous: str
    at: Instant
    kid: str
    """Id of the signing key."""
    signature: str = ""
    """ES256 signature of the digest's text (JOSE: r and s, base64url)."""


class AuditSealsView(Message):
    """Every seal, oldest first, and the public keys (JWK) that verify them."""

    seals: tuple[AuditSeal, ...]
    keys: tuple[dict[str, Any], ...]


def digest_of(message: Message) -> str:
    """Return the SHA-256 of the message as JSON: sorted, without spaces, without its digest and signature.

    Default values are left out, so that fields added later do not change the digests of older records.
    """
    fields = message.model_dump(mode="json", exclude_defaults=True, exclude={"digest", "signature"})
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
