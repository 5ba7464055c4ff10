"""Verify the audit log on the client; of the API's answers, only the signing keys are trusted."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from events.audit import START, AuditLink, AuditRecord, AuditSeal, digest_of

MAX_CHAIN_DELAY = timedelta(minutes=5)
"""Longest time between a record and its link in the chain."""


@dataclass(frozen=True)
class Audit:
    """Records, chain links, seals and keys to verify."""

    records: tuple[AuditRecord, ...]
    links: Mapping[str, tuple[AuditLink, ...]]
    """By day, for every day from the first record's day to today."""
    seals: tuple[AuditSeal, ...]
    keys: tuple[dict[str, Any], ...]


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
    for day, links in sorted(audit.links.items()):
        proof.flaws += _chain_flaws(day, links)
    proof.flaws += _record_flaws(audit, now)
    proof.flaws += _seal_flaws(audit, now)
    return proof


def fingerprint(jwk: Mapping[str, Any]) -> str:
    """Return the key's thumbprint by RFC 7638, in hexadecimal."""
    members = {name: jwk[name] for name in ("crv", "kty", "x", "y")}
    return hashlib.sha256(json.dumps(members, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _chain_flaws(day: str, links: tuple[AuditLink, ...]) -> Iterator[str]:
    previous = START
    for number, link in enumerate(links, 1):
        if link.number != number:
            yield f"{day}: link {number} of the chain is missing"
            return
        if link.previous != previous:
            yield f"{day}: link {number} does not match the digest of the link before it"
        if digest_of(link) != link.digest or link.day != day:
            yield f"{day}: link {number} was changed"
        previous = link.digest


def _record_flaws(audit: Audit, now: datetime) -> Iterator[str]:
    first = min(audit.links, default="")
    known = {
        entry.record_id: entry.digest
        for _, links in sorted(audit.links.items())
        for link in links
        for entry in link.entries
    }
    found = {record.record_id: record for record in audit.records}
    for record_id, digest in known.items():
        if record_id[:10] < first:
            continue  # it waited past midnight for its link: the record is older than what was asked for
        if record_id not in found:
            yield f"{record_id}: the record was deleted"
        elif digest_of(found[record_id]) != digest:
            yield f"{record_id}: the record was changed"
    for record_id, record in found.items():
        if record_id not in known and now - record.at > MAX_CHAIN_DELAY:
            yield f"{record_id}: the record is in no chain: it was inserted, or its link was removed"


def _seal_flaws(audit: Audit, now: datetime) -> Iterator[str]:
    by_day = {seal.day: seal for seal in audit.seals}
    previous = START
    for day in _sealed_days(audit.seals, now):
        seal = by_day.get(day)
        if seal is None:
            yield f"{day}: the seal is missing"
            continue
        if seal.previous != previous:
            yield f"{day}: the seal does not match the digest of the seal before it"
        if not _is_signed(seal, audit.keys):
            yield f"{day}: the seal's signature is wrong"
        if day in audit.links and _end(audit.links[day]) != (seal.links, seal.last):
            count = len(audit.links[day])
            yield f"{day}: the chain is not the one that was sealed: {seal.links} links then, {count} now"
        previous = digest_of(seal)


def _end(links: tuple[AuditLink, ...]) -> tuple[int, str]:
    return len(links), links[-1].digest if links else START


def _sealed_days(seals: tuple[AuditSeal, ...], now: datetime) -> Iterator[str]:
    """Yield the days that must be sealed: first seal to yesterday, whose seal is due at 01:00 UTC."""
    if not seals:
        return
    day = date.fromisoformat(seals[0].day)
    last = max(date.fromisoformat(seals[-1].day), (now - timedelta(days=1, hours=1)).date())
    while day <= last:
        yield day.isoformat()
        day += timedelta(days=1)


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
