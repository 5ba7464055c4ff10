"""`crosshaul policies`: write from files, dry run, test, and explain refusals."""

from pathlib import Path

import pytest

from tests.support.fakes_api import FakeApi, problem
from tests.unit.cli.conftest import Run

TEXT = 'permit (principal in Group::"media", action == Action::"read", resource);\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "media.cedar"
    path.write_text(TEXT)
    return path


def test_they_are_listed_with_who_and_why(signed_in: FakeApi, run: Run) -> None:
    result = run("policies", "list")
    assert result.code == 0
    assert "no-production-in-lab" in result.out
    assert "ana@example.org" in result.out


def test_one_is_shown_as_put_takes_it(signed_in: FakeApi, run: Run) -> None:
    result = run("policies", "show", "no-production-in-lab")
    assert result.out.startswith("forbid (")
    assert "version 2" in result.err
    assert "A first try" in result.err


def test_putting_one_says_why(signed_in: FakeApi, run: Run, file: Path) -> None:
    assert run("policies", "put", "media", str(file)).code == 2
    result = run("policies", "put", "media", str(file), "--why", "The media team looks on", "--version", "1")
    assert result.code == 0
    method, path, body, _ = signed_in.asked[-1]
    assert (method, path) == ("PUT", "/policies/media?version=1")
    assert body == {"text": TEXT, "why": "The media team looks on"}


def test_a_text_that_will_not_do_is_told_with_its_place(signed_in: FakeApi, run: Run, file: Path) -> None:
    refusal = problem(422, "The policy is not right: line 1, column 27: unexpected token.", "Correct it.")
    signed_in.problems = [refusal]
    result = run("policies", "put", "media", str(file), "--why", "a try")
    assert result.code == 2
    assert "line 1, column 27" in result.err


def test_a_dry_run_changes_nothing(signed_in: FakeApi, run: Run, file: Path) -> None:
    result = run("policies", "put", "media", str(file), "--why", "a try", "--dry-run", "--days", "7")
    assert result.code == 0
    assert "1 decision of 214 transfers would change" in result.out
    assert "k3v9q0d7m2x8c5n1b6za" in result.out
    assert [(method, path) for method, path, _, _ in signed_in.asked] == [("POST", "/policies/media/dry-run")]
    assert signed_in.asked[0][2] == {"text": TEXT, "days": 7}


def test_removing_asks_and_says_why(signed_in: FakeApi, run: Run) -> None:
    assert run("policies", "remove", "media", "--why", "no more").code == 2
    assert run("policies", "remove", "media", "--why", "no more", "--yes").code == 0
    assert signed_in.asked[-1][:2] == ("DELETE", "/policies/media?why=no+more")


def test_a_test_says_which_policy_and_ends_as_a_script_wants(signed_in: FakeApi, run: Run) -> None:
    wish = (
        "policies",
        "test",
        "server-b:/data/",
        "lab-1:/scratch/",
        "--as",
        "bo@example.org",
        "--size",
        "1T",
    )
    assert run(*wish).code == 0
    signed_in.policy_outcome = "refused"
    result = run(*wish, "--group", "operator", "--at", "2026-11-24T22:30")
    assert result.code == 3
    assert "no-production-in-lab" in result.out
    body = signed_in.asked[-1][2]
    assert (body["person"], body["groups"], body["size"]) == ("bo@example.org", ["operator"], 2**40)


def test_a_file_that_is_not_there(signed_in: FakeApi, run: Run) -> None:
    result = run("policies", "put", "media", "/no/such/file", "--why", "a try")
    assert result.code == 2
    assert "cannot read" in result.err
