"""`agents update` and `agents updates`."""

import json

from tests.support.fakes_api import FakeApi
from tests.unit.cli.conftest import Run

ID = "5f0c9a31be42"


def test_who_is_updated_how_far_and_when_it_ends_is_said_in_one_line(signed_in: FakeApi, run: Run) -> None:
    stages = ("--canary", "2", "--percent", "10", "--percent", "50")
    ends = ("--abort-above", "5%", "--healthy-within", "90s")
    result = run("agents", "update", "--to", "0.2.0", "--tag", "site=berlin", *stages, *ends)
    assert result.code == 0, result
    assert signed_in.asked[-1][2] == {
        "version": "0.2.0",
        "agents": [],
        "tags": {"site": "berlin"},
        "everyone": False,
        "canaries": 2,
        "percents": [10, 50],
        "abort_above": 5,
        "healthy_within": 90,
    }
    assert "server-b first, of 3 agents" in result.out
    assert f"updates show {ID}" in result.out
    assert signed_in.asked[-1][3]["idempotency-key"]


def test_agents_by_name_or_all_of_them(signed_in: FakeApi, run: Run) -> None:
    assert run("agents", "update", "server-b", "server-c").code == 0
    assert signed_in.asked[-1][2]["agents"] == ["server-b", "server-c"]
    assert run("agents", "update", "--all").code == 0
    assert signed_in.asked[-1][2]["everyone"] is True


def test_what_is_typed_wrongly_is_refused_before_it_is_asked(signed_in: FakeApi, run: Run) -> None:
    for wrong in (
        (),
        ("server-b", "--all"),
        ("--tag", "site"),
        ("--all", "--percent", "50", "--percent", "10"),
        ("--all", "--abort-above", "many"),
        ("--all", "--healthy-within", "2s"),
        ("--all", "--to", "../0.2"),
    ):
        assert run("agents", "update", *wrong).code == 2, wrong
    assert signed_in.asked == []


def test_the_list_says_how_far_each_is(signed_in: FakeApi, run: Run) -> None:
    result = run("agents", "updates").out.splitlines()
    assert result[0].split()[:6] == ["ID", "VERSION", "STATE", "STAGE", "UPDATED", "FAILED"]
    assert result[1].split()[:10] == [ID, "0.2.0", "running", "2", "of", "3", "1", "of", "3", "1"]
    signed_in.updates = []
    assert "agents update --all" in run("agents", "updates").out


def test_one_is_shown_agent_by_agent_with_the_reasons(signed_in: FakeApi, run: Run) -> None:
    result = run("agents", "updates", "show", ID)
    assert "0.2.0 did not report healthy" in " ".join(result.out.split())
    assert json.loads(run("agents", "updates", "show", ID, "--json").out)["members"][1]["state"] == "returned"
    assert run("agents", "updates", "show", "ffffffffffff").code == 4


def test_one_is_cancelled(signed_in: FakeApi, run: Run) -> None:
    assert "1 of 3 agents have 0.2.0" in run("agents", "updates", "cancel", ID).out
