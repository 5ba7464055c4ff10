"""`agents rollout`."""

import json

from tests.support.fakes_api import FakeApi
from tests.unit.cli.conftest import Run

ASKED = ("--name", "render-{hostname}", "--count", "200")


def test_one_line_for_all_hosts_and_the_token_apart_from_it(signed_in: FakeApi, run: Run) -> None:
    more = ("--expires", "7d", "--root", "/data:rw", "--tag", "site=ber")
    result = run("agents", "rollout", *ASKED, *more)
    assert result.code == 0, result
    assert signed_in.asked[-1][2] == {
        "name": "render-{hostname}",
        "count": 200,
        "tags": {"site": "ber"},
        "roots": [{"path": "/data", "access": "rw"}],
        "expires_in": 604800,
    }
    lines = [line.strip() for line in result.out.splitlines()]
    line = next(one for one in lines if "--token-file /root/crosshaul.token" in one)
    token = next(one for one in lines if one.startswith("rollout:"))
    assert token not in line
    assert "rollout end 5f0c9a31be42" in result.out
    assert signed_in.asked[-1][3]["idempotency-key"]


def test_json_is_what_the_api_said(signed_in: FakeApi, run: Run) -> None:
    answer = json.loads(run("agents", "rollout", *ASKED, "--json").out)
    assert (answer["count"], answer["used"]) == (200, 0)
    assert answer["token"].startswith("rollout:")


def test_what_is_typed_wrongly_is_refused_before_it_is_asked(signed_in: FakeApi, run: Run) -> None:
    for wrong in (
        (),
        ("--name", "render-{hostname}"),
        ("--name", "render", "--count", "2"),
        ("--name", "render-{host}", "--count", "2"),
        ("--name", "{hostname}", "--count", "0"),
        (*ASKED, "--expires", "90d"),
        (*ASKED, "--tag", "site"),
        (*ASKED, "--root", "/data"),
    ):
        assert run("agents", "rollout", *wrong).code == 2, wrong
    assert signed_in.asked == []


def test_a_pattern_without_the_host_s_name_is_explained(signed_in: FakeApi, run: Run) -> None:
    result = run("agents", "rollout", "--name", "render", "--count", "2")
    assert "would give every host the same name" in result.err
    assert "'render-{hostname}'" in result.err


def test_the_list_says_how_many_have_joined_and_how_many_may_yet(signed_in: FakeApi, run: Run) -> None:
    result = run("agents", "rollout", "list").out.splitlines()
    assert result[0].split()[:5] == ["ID", "NAME", "STATE", "USED", "LEFT"]
    assert result[1].split()[:5] == ["5f0c9a31be42", "render-{hostname}", "open", "37", "163"]
    assert json.loads(run("agents", "rollout", "list", "--json").out)["rollouts"][0]["used"] == 37


def test_no_rollouts_say_how_to_begin(signed_in: FakeApi, run: Run) -> None:
    signed_in.rollouts = []
    assert "--count N" in run("agents", "rollout", "list").out


def test_one_is_ended_and_has_none_left(signed_in: FakeApi, run: Run) -> None:
    result = run("agents", "rollout", "end", "5f0c9a31be42")
    assert (result.code, "37 of 200 hosts" in result.out) == (0, True)
    assert run("agents", "rollout", "list").out.splitlines()[1].split()[2:5] == ["ended", "37", "0"]
    assert run("agents", "rollout", "end", "000000000000").code == 4
