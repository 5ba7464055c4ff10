"""Verify the audit log on the client; of the API's answers, only the signing keys are trusted."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from events.audit import START, AuditLink, AuditRecord, AuditSeal, digest_of

MAX_CHAIN_DELAY = timedelta(minutes=5)
"""How long a record may be without a link before it counts as inserted."""
MAX_LINK_DELAY = timedelta(days=1)
"""How much later than its record's day a link's day may be: the stream keeps a record for one day."""
MAX_CLOCK_SKEW = timedelta(minutes=5)
"""By how much a record may be newer than the end of its link's day."""


@dataclass(frozen=True)
class Audit:
    """Records, chain links, seals and keys to verify."""

    records: tuple[AuditRecord, ...]
    links: Mapping[str, tuple[AuditLink, ...]]
    """By day, for every day from the first record's day to today."""
    seals: tuple[AuditSeal, ...]
    keys: tuple[dict[str, Any], ...]


FLAWS = {
    "linkMissing": "the link of the chain is missing",
    "linkMismatch": "the link does not match the digest of the link before it",
    "linkChanged": "the link was changed",
    "deleted": "the record was deleted",
    "changed": "the record was changed",
    "inserted": "the record is in no chain: it was inserted, or its link was removed",
    "chainedTwice": "the record is in the chain twice, with two digests; the first one counts",
    "chainedLate": "the record was chained more than a day after it was written",
    "chainedEarly": "the record was chained on a day before the time that it claims",
    "misdated": "the record's time is not the one in its id",
    "sealMissing": "the seal is missing",
    "sealMismatch": "the seal does not match the digest of the seal before it",
    "sealInvalid": "the seal's signature is wrong",
    "otherChain": "the chain is not the one that was sealed",
}
"""What verification can find. The console has the same kinds (web/src/pages/audit/verifyChain.ts), and both
are tested with tests/support/audit_vectors.json."""


@dataclass(frozen=True)
class Flaw:
    """One problem of the audit: its kind, and the day, link or record that it is about."""

    kind: str
    what: str

    def __str__(self) -> str:
        return f"{self.what}: {FLAWS[self.kind]}"


@dataclass
class AuditProof:
    """Counts and flaws found by a verification; printed by `audit verify --json`."""

    records: int
    seals: int
    keys: list[str]
    """SHA-256 of each key (RFC 7638)."""
    flaws: list[str] = field(default_factory=list)


def verified(audit: Audit, now: datetime) -> AuditProof:
    """Verify the records, chains and seals; the flaws are empty if nothing was changed or removed."""
    proof = AuditProof(len(audit.records), len(audit.seals), [fingerprint(key) for key in audit.keys])
    proof.flaws += map(str, flaws_of(audit, now))
    return proof


def flaws_of(audit: Audit, now: datetime) -> Iterator[Flaw]:
    """Yield all problems of the audit."""
    for day, links in sorted(audit.links.items()):
        yield from _chain_flaws(day, links)
    yield from _record_flaws(audit, now)
    yield from _seal_flaws(audit, now)


def fingerprint(jwk: Mapping[str, Any]) -> str:
    """Return the key's thumbprint by RFC 7638, in hexadecimal."""
    members = {name: jwk[name] for name in ("crv", "kty", "x", "y")}
    return hashlib.sha256(json.dumps(members, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _chain_flaws(day: str, links: tuple[AuditLink, ...]) -> Iterator[Flaw]:
    previous = START
    for number, link in enumerate(links, 1):
        what = f"{day} #{number}"
        if link.number != number:
            yield Flaw("linkMissing", what)
            return
        if link.previous != previous:
            yield Flaw("linkMismatch", what)
        if digest_of(link) != link.digest or link.day != day:
            yield Flaw("linkChanged", what)
        previous = link.digest


def _record_flaws(audit: Audit, now: datetime) -> Iterator[Flaw]:
    known, flaws = _chained(audit)
    yield from flaws
    first = min(audit.links, default="")
    found = {record.record_id for record in audit.records}
    for record_id in known:
        # A record that waited past midnight for its link may be older than what was asked for.
        if record_id not in found and record_id[:10] >= first:
            yield Flaw("deleted", record_id)
    for record in audit.records:
        if not record.is_dated:
            yield Flaw("misdated", record.record_id)
        if record.record_id not in known:
            if abs(now - record.at) > MAX_CHAIN_DELAY:
                yield Flaw("inserted", record.record_id)
        elif digest_of(record) != known[record.record_id]:
            yield Flaw("changed", record.record_id)


def _chained(audit: Audit) -> tuple[dict[str, str], list[Flaw]]:
    """Return the digest under which each record was chained first, and the flaws of the chain's entries.

    A later entry never replaces an earlier one: whoever can add to a chain could otherwise make the changed
    record the right one.
    """
    known: dict[str, str] = {}
    flaws = []
    for day, links in sorted(audit.links.items()):
        first = (date.fromisoformat(day) - MAX_LINK_DELAY).isoformat()
        midnight = datetime.combine(date.fromisoformat(day), time(), UTC) + timedelta(days=1)
        last = f"{midnight + MAX_CLOCK_SKEW:%Y-%m-%dT%H:%M:%S}"
        for entry in (entry for link in links for entry in link.entries):
            if entry.record_id[:10] < first:
                flaws.append(Flaw("chainedLate", entry.record_id))
            if entry.record_id > last:
                flaws.append(Flaw("chainedEarly", entry.record_id))
            if known.setdefault(entry.record_id, entry.digest) != entry.digest:
                flaws.append(Flaw("chainedTwice", entry.record_id))
    return known, flaws


def _seal_flaws(audit: Audit, now: datetime) -> Iterator[Flaw]:
    by_day = {seal.day: seal for seal in audit.seals}
    previous = START
    for day in _sealed_days(audit, now):
        seal = by_day.get(day)
        if seal is None:
            yield Flaw("sealMissing", day)
            continue
        if seal.previous != previous:
            yield Flaw("sealMismatch", day)
        if not _is_signed(seal, audit.keys):
            yield Flaw("sealInvalid", day)
        if day in audit.links and _end(audit.links[day]) != (seal.links, seal.last):
            yield Flaw("otherChain", day)
        previous = digest_of(seal)


def _end(links: tuple[AuditLink, ...]) -> tuple[int, str]:
    return len(links), links[-1].digest if links else START


def _sealed_days(audit: Audit, now: datetime) -> Iterator[str]:
    """Yield the days that must be sealed: from the first to yesterday, whose seal is due at 01:00 UTC.

    The first is the first seal's. Without any seal it is the first day that has links, since seals that were
    all removed must show.
    """
    sealed = [seal.day for seal in audit.seals] or sorted(day for day, links in audit.links.items() if links)
    if not sealed:
        return
    due = (now - timedelta(days=1, hours=1)).date().isoformat()
    last = max(audit.seals[-1].day, due) if audit.seals else due
    day = sealed[0]
    while day <= last:
        yield day
        day = (date.fromisoformat(day) + timedelta(days=1)).isoformat()


def _is_signed(seal: AuditSeal, keys: tuple[dict[str, Any], ...]) -> bool:
    import jwt
    from jwt.utils import base64url_decode

    key = next((jwk for jwk in keys if jwk.get("kid") == seal.kid), None)
    if key is None:
        return False
    algorithm = jwt.get_algorithm_by_name("ES256")
    public = algorithm.from_jwk(key)
    signature = base64url_decode(seal.signature.encode())
    return bool(algorithm.verify(digest_of(seal).encode(), public, signature))
