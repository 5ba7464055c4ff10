"""Audits that are intact or tampered with, and what verification must find in each.

The command (agent/cli/proof.py) and the console (web/src/pages/audit/verifyChain.ts) verify the same file of
them. After a change here write it anew: `python -m tests.support.audit_vectors`.
"""

import json
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from jwt.algorithms import ECAlgorithm

from events.audit import START, AuditEntry, AuditLink, AuditRecord, AuditSeal, digest_of
from tests.support.fakes_api import sample

FILE = Path(__file__).with_suffix(".json")
FIRST, SECOND, THIRD, TODAY = "2026-11-24", "2026-11-25", "2026-11-26", "2026-11-27"
NOW = f"{TODAY}T12:00:00Z"

Links = dict[str, list[AuditLink]]


class Sealer:
    """Seals days with a key of its own."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        public: Any = ECAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        self.jwk = {**public, "kid": "seals"}

    def seal(self, links: Links) -> list[AuditSeal]:
        """Return the seals of all days but the last, which is today."""
        seals: list[AuditSeal] = []
        for day in sorted(links)[:-1]:
            seal = AuditSeal(
                day=day,
                links=len(links[day]),
                last=links[day][-1].digest if links[day] else START,
                previous=digest_of(seals[-1]) if seals else START,
                at=f"{TODAY}T00:10:00Z",  # type: ignore[arg-type]
                kid="seals",
            )
            r, s = utils.decode_dss_signature(
                self._key.sign(digest_of(seal).encode(), ec.ECDSA(hashes.SHA256()))
            )
            raw = r.to_bytes(32, "big") + s.to_bytes(32, "big")
            signature = urlsafe_b64encode(raw).rstrip(b"=").decode()
            seals.append(seal.model_copy(update={"signature": signature}))
        return seals


def record(day: str, number: int, **changes: Any) -> AuditRecord:
    """Return a record that was written at eight o'clock and as many minutes."""
    at = f"{day}T08:{number:02d}:00"
    fields = {"record_id": f"{at}.000000Z-0000000{number % 10}", "at": f"{at}.000Z", **changes}
    return sample(AuditRecord, **fields)


def entry(of: AuditRecord) -> AuditEntry:
    return AuditEntry(record_id=of.record_id, digest=digest_of(of))


def chain(days: dict[str, list[list[AuditRecord]]]) -> Links:
    """Return the chain of each day, with a link for each list of records."""
    links: Links = {}
    for day, batches in days.items():
        links[day] = []
        for number, batch in enumerate(batches, 1):
            previous = links[day][-1].digest if links[day] else START
            entries = tuple(map(entry, batch))
            link = AuditLink(day=day, number=number, entries=entries, previous=previous, digest="")
            links[day].append(link.model_copy(update={"digest": digest_of(link)}))
    return links


A, B, C = record(FIRST, 1), record(FIRST, 2), record(SECOND, 3, repeats=22)
D, E = record(THIRD, 4), record(TODAY, 5)
DAYS = {FIRST: [[A, B]], SECOND: [[C]], THIRD: [[D]], TODAY: [[E]]}
WHOLE = [A, B, C, D, E]


def forged(of: AuditRecord) -> AuditRecord:
    """Return the record as somebody would rather have it."""
    return of.model_copy(update={"action": "transfer.requested"})


def cases() -> Iterator[dict[str, Any]]:
    """Yield every audit with the problems that it has."""
    sealer = Sealer()
    intact = chain(DAYS)

    def case(
        name: str,
        *flaws: tuple[str, str],
        records: list[AuditRecord] = WHOLE,
        links: Links = intact,
        seals: list[AuditSeal] | None = None,
        keys: tuple[dict[str, Any], ...] = (sealer.jwk,),
    ) -> dict[str, Any]:
        shown = sealer.seal(links) if seals is None else seals
        return {
            "name": name,
            "now": NOW,
            "records": [one.model_dump(mode="json") for one in records],
            "links": {day: [one.model_dump(mode="json") for one in those] for day, those in links.items()},
            "seals": [one.model_dump(mode="json") for one in shown],
            "keys": list(keys),
            "flaws": [{"kind": kind, "what": what} for kind, what in flaws],
        }

    a, c, d, e = (one.record_id for one in (A, C, D, E))
    yield case("nothing was changed")
    yield case("a record was changed", ("changed", c), records=[A, B, forged(C), D, E])
    yield case("a record was deleted", ("deleted", c), records=[A, B, D, E])
    stranger = record(THIRD, 6)
    yield case("a record was inserted", ("inserted", stranger.record_id), records=[*WHOLE, stranger])
    fresh = record(TODAY, 7, record_id=f"{TODAY}T11:58:00.000000Z-00000007", at=f"{TODAY}T11:58:00Z")
    yield case("a record of two minutes ago has no link yet", records=[*WHOLE, fresh])
    yield case("a record is listed twice, once changed", ("changed", e), records=[*WHOLE, forged(E)])

    again = chain(DAYS | {TODAY: [[E], [E]]})
    yield case("the stream brought a record twice", links=again)
    late = record(FIRST, 8)
    past_midnight = chain(DAYS | {SECOND: [[late], [C]]})
    yield case("a record waited past midnight for its link", records=[*WHOLE, late], links=past_midnight)

    rewritten = chain(DAYS | {TODAY: [[E], [forged(E)]]})
    both = ("chainedTwice", e), ("changed", e)
    yield case("a changed record was chained anew", *both, records=[A, B, C, D, forged(E)], links=rewritten)
    yield case("a record was chained with another digest afterward", ("chainedTwice", e), links=rewritten)
    next_day = chain(DAYS | {TODAY: [[forged(D)], [E]]})
    both = ("chainedTwice", d), ("changed", d)
    yield case(
        "a changed record was chained anew the next day",
        *both,
        records=[A, B, C, forged(D), E],
        links=next_day,
    )
    days_later = chain(DAYS | {TODAY: [[E, forged(A)]]})
    all_three = ("chainedLate", a), ("chainedTwice", a), ("changed", a)
    yield case(
        "a changed record was chained anew days later",
        *all_three,
        records=[forged(A), B, C, D, E],
        links=days_later,
    )
    old = record(FIRST, 9)
    inserted = chain(DAYS | {TODAY: [[E, old]]})
    yield case(
        "a record of days ago was inserted, with a link of today",
        ("chainedLate", old.record_id),
        records=[*WHOLE, old],
        links=inserted,
    )
    unseen = record("2026-11-20", 9)
    before = chain(DAYS | {TODAY: [[E, unseen]]})
    yield case(
        "a record from before the verified days was chained today",
        ("chainedLate", unseen.record_id),
        links=before,
    )

    backdated = record(TODAY, 6, at=f"{FIRST}T08:06:00Z")
    yield case(
        "a record of today says that it is of days ago",
        ("misdated", backdated.record_id),
        records=[*WHOLE, backdated],
        links=chain(DAYS | {TODAY: [[E, backdated]]}),
    )
    timeless = record(THIRD, 6, at="2099-01-01T00:00:00Z")
    both = ("misdated", timeless.record_id), ("inserted", timeless.record_id)
    yield case("a record was inserted that still waits for its link", *both, records=[*WHOLE, timeless])
    planted = record("2026-12-24", 6)
    yield case(
        "a record of a day to come was chained today",
        ("chainedEarly", planted.record_id),
        records=[*WHOLE, planted],
        links=chain(DAYS | {TODAY: [[E, planted]]}),
    )
    after_midnight = record(TODAY, 6, record_id=f"{TODAY}T00:03:00.000000Z-00000006", at=f"{TODAY}T00:03:00Z")
    yield case(
        "a record of just after midnight was chained by a clock that was slow",
        records=[*WHOLE, after_midnight],
        links=chain(DAYS | {THIRD: [[D, after_midnight]]}),
    )

    two = chain(DAYS | {TODAY: [[E], [E]]})
    yield case("a link was removed", ("linkMissing", f"{TODAY} #1"), links=two | {TODAY: two[TODAY][1:]})
    cut = two[TODAY][1].model_copy(update={"entries": ()})
    yield case(
        "a link was changed", ("linkChanged", f"{TODAY} #2"), links=two | {TODAY: [two[TODAY][0], cut]}
    )
    other = chain({TODAY: [[C], [E]]})[TODAY][1]
    yield case(
        "a link of another chain was put in",
        ("linkMismatch", f"{TODAY} #2"),
        links=two | {TODAY: [two[TODAY][0], other]},
    )

    seals = sealer.seal(intact)
    yield case(
        "a seal was removed", ("sealMissing", SECOND), ("sealMismatch", THIRD), seals=[seals[0], seals[2]]
    )
    yield case("the last seal was removed", ("sealMissing", THIRD), seals=seals[:2])
    yield case("the first seal was removed", ("sealMismatch", SECOND), seals=seals[1:])
    yield case("every seal was removed", *(("sealMissing", day) for day in (FIRST, SECOND, THIRD)), seals=[])
    broken = seals[2].model_copy(update={"last": START})
    both = ("sealInvalid", THIRD), ("otherChain", THIRD)
    yield case("a seal was changed", *both, seals=[*seals[:2], broken])
    strangers = ({**Sealer().jwk, "kid": "seals"},)
    sealed_days = (FIRST, SECOND, THIRD)
    yield case("another key sealed", *(("sealInvalid", day) for day in sealed_days), keys=strangers)
    yield case("no key is known", *(("sealInvalid", day) for day in sealed_days), keys=())
    afterward = chain(DAYS | {THIRD: [[D], [D]]})
    yield case("a sealed chain went on", ("otherChain", THIRD), links=afterward, seals=seals)


if __name__ == "__main__":
    lines = (json.dumps(case, separators=(",", ":")) for case in cases())
    FILE.write_text('{"cases": [\n' + ",\n".join(lines) + "\n]}\n")
