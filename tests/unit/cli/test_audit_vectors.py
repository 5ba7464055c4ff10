"""The command's verification finds what was tampered with, and nothing else, in audits made for it.

The console is tested with the same file: web/tests/verifyChain.test.ts.
"""

import json
from datetime import datetime
from typing import Any

import pytest

from agent.cli.proof import FLAWS, Audit, flaws_of
from events.audit import AuditLink, AuditRecord, AuditSeal
from tests.support import audit_vectors

CASES: list[dict[str, Any]] = json.loads(audit_vectors.FILE.read_text())["cases"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_tampering_with_the_audit_shows(case: dict[str, Any]) -> None:
    audit = Audit(
        records=tuple(map(AuditRecord.model_validate, case["records"])),
        links={day: tuple(map(AuditLink.model_validate, links)) for day, links in case["links"].items()},
        seals=tuple(map(AuditSeal.model_validate, case["seals"])),
        keys=tuple(case["keys"]),
    )
    found = flaws_of(audit, datetime.fromisoformat(case["now"]))
    assert [{"kind": flaw.kind, "what": flaw.what} for flaw in found] == case["flaws"]


def test_every_kind_of_tampering_is_among_them() -> None:
    assert {flaw["kind"] for case in CASES for flaw in case["flaws"]} == set(FLAWS)


def test_the_file_is_the_one_that_its_description_makes() -> None:
    """Keys and signatures are new each time; all else must be the same."""

    def comparable(cases: Any) -> list[tuple[Any, ...]]:
        return [(case["name"], case["records"], case["links"], case["flaws"]) for case in cases]

    assert comparable(CASES) == comparable(audit_vectors.cases())
