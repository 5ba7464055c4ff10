"""`crosshaul audit`: list, export and verify."""

import csv
import io
import json

from events import audit
from events.base import Actor
from tests.support.fakes_api import FakeApi, sample
from tests.unit.cli.conftest import Run


def test_it_is_listed(signed_in: FakeApi, run: Run) -> None:
    result = run("audit", "list", "--who", "bo@example.org", "--since", "7d")
    assert result.code == 0
    assert "transfer.cancel" in result.out
    assert "person=bo%40example.org" in signed_in.asked[-1][1]


def test_two_of_person_agent_and_transfer_do_not_go_together(signed_in: FakeApi, run: Run) -> None:
    assert run("audit", "list", "--who", "a", "--agent", "b").code == 2
    assert signed_in.asked == []


def test_it_is_exported_as_json_lines(signed_in: FakeApi, run: Run) -> None:
    result = run("audit", "export")
    [record] = [json.loads(line) for line in result.out.splitlines()]
    assert record == sample(audit.AuditRecord).model_dump(mode="json")


def test_it_is_exported_as_csv_that_is_no_formula(signed_in: FakeApi, run: Run) -> None:
    evil = sample(audit.AuditRecord, why="=HYPERLINK(1)", who=Actor(id="9a61c0de", name="@bo"))
    signed_in.audit = [evil]
    [row] = csv.DictReader(io.StringIO(run("audit", "export", "--format", "csv").out))
    assert (row["why"], row["who"], row["who_id"]) == ("'=HYPERLINK(1)", "'@bo", "9a61c0de")
    assert json.loads(row["before"]) == {"state": "running"}


def test_the_csv_cannot_drive_the_terminal(signed_in: FakeApi, run: Run) -> None:
    evil = sample(audit.AuditRecord, about="DELETE /agents/\x1b[2J\x9b31m\u202e", why="two\nlines")
    signed_in.audit = [evil]
    out = run("audit", "export", "--format", "csv").out
    assert not set("\x1b\x9b\u202e") & set(out)
    [row] = csv.DictReader(io.StringIO(out))
    assert row["about"] == r"DELETE /agents/\x1b[2J\x9b31m\u202e"
    assert row["why"] == r"two\nlines"


def test_verifying_ends_with_1_when_something_is_wrong(signed_in: FakeApi, run: Run) -> None:
    result = run("audit", "verify", "--json")
    assert result.code == 1
    flaws = json.loads(result.out)["flaws"]
    assert any("signature is wrong" in flaw for flaw in flaws), "the sample's is none"


def test_another_key_than_the_one_that_was_noted_is_told(signed_in: FakeApi, run: Run) -> None:
    result = run("audit", "verify", "--key", "0" * 64)
    assert result.code == 1
    assert "the seals are signed with" in result.err
