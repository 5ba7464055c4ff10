"""The audit: who did what, from where, and which policy let them or not.

Records are chained by digests, so that it shows when one is taken out or changed. The rules for digests stand
here, since both sides keep them.
"""

import hashlib
import json
from typing import Annotated, Any

from pydantic import ConfigDict, Field, StringConstraints

from events.base import Actor, AgentId, Count, Instant, Message, TransferId
from events.policies import Effect

Day = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}$")]
"""In UTC."""
RecordId = Annotated[
    str, StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z-[0-9a-f]{8}$")
]
"""When, to the microsecond, and something that keeps two of the same moment apart: ids sort by time."""

START = "0" * 64
"""What comes before the first link of a day, and before the first seal."""


class AuditRecord(Message):
    """One change, or one refusal. Written once, never changed."""

    model_config = ConfigDict(frozen=True, extra="allow")  # what a newer one says counts in its digest

    record_id: RecordId
    at: Instant
    who: Actor
    address: str | None = None
    action: str
    """`transfer.requested`, `policy.put`; of a refusal, what was tried: `POST /transfers`."""
    about: str
    """`transfer k3v9…`, `policy night-only`."""
    decision: Effect
    policies: tuple[str, ...] = ()
    """Those that decided."""
    why: str = ""
    """What the person gave as a reason, or the refusal's words."""
    transfer_id: TransferId | None = None
    agents: tuple[AgentId, ...] = ()
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None

    @property
    def day(self) -> str:
        return self.record_id[:10]


class AuditView(Message):
    """Records, the newest first."""

    records: tuple[AuditRecord, ...]
    next: str | None = None


class AuditEntry(Message):
    """A record in the chain."""

    record_id: RecordId
    digest: str


class AuditLink(Message):
    """Some records, in the order in which the table took them; `previous` is the link before's digest."""

    day: Day
    number: Annotated[int, Field(ge=1)]
    entries: tuple[AuditEntry, ...]
    previous: str
    digest: str


class AuditChainView(Message):
    """The links of one day, in order."""

    links: tuple[AuditLink, ...]
    next: str | None = None


class AuditSeal(Message):
    """A day that is over, signed: how many links it had, its last one's digest, the seal before."""

    day: Day
    links: Count
    last: str
    previous: str
    at: Instant
    kid: str
    """The signing key's."""
    signature: str = ""
    """ES256 over the digest's text (JOSE: r and s, base64url)."""


class AuditSealsView(Message):
    """Every seal, oldest first, and the public keys (JWK) of their signatures."""

    seals: tuple[AuditSeal, ...]
    keys: tuple[dict[str, Any], ...]


def digest_of(message: Message) -> str:
    """SHA-256 of the message as JSON: sorted, without spaces, without its own digest and signature.

    What is as it is by default is left out, so that a field which is added tomorrow leaves the digests of
    today as they are.
    """
    said = message.model_dump(mode="json", exclude_defaults=True, exclude={"digest", "signature"})
    text = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
