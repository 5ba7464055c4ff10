"""`agents` and `browse`."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from agent.cli import output
from agent.cli.errors import Exit
from events import views
from events.base import Problem
from events.reports import DirectoryEntry, RootState
from events.states import AgentStatus
from tests.support.fakes_api import FakeApi, problem, sample
from tests.unit.cli.conftest import Run


def test_agents_are_listed_with_what_one_asks_first(signed_in: FakeApi, run: Run) -> None:
    result = run("agents")
    titles, first = result.out.splitlines()[:2]
    telling = ["SINCE", "HOST", "ROOTS", "FREE", "RUNNING", "KEYS", "VERSION", "WARNINGS"]
    assert titles.split() == ["NAME", "STATUS", *telling]
    assert "server-b" in first
    assert "online" in first
    assert "b.example.org (10.0.0.2)" in first
    assert "25 %" in first
    assert "/primary not available" in first


def test_agents_are_listed_as_far_as_one_asks(signed_in: FakeApi, run: Run) -> None:
    one = signed_in.agents[0]
    away = one.model_copy(update={"agent_id": "web-7", "status": AgentStatus.OFFLINE})
    signed_in.agents = [one.model_copy(update={"agent_id": f"web-{number}"}) for number in range(7)] + [away]
    result = run("agents", "--limit", "3")
    assert [line.split()[0] for line in result.out.splitlines()[1:]] == ["web-0", "web-1", "web-2"]
    assert "3 of 8 agents" in result.err
    assert len(run("agents", "--limit", "200", "--all").out.splitlines()) == 9
    assert "web-7" in run("agents", "--status", "offline", "--search", "Web").out
    assert run("agents", "--status", "late").out.strip() == "No agent matches."
    assert "KEY=VALUE" in run("agents", "--tag", "berlin").err


def test_an_empty_fleet_says_how_to_begin(signed_in: FakeApi, run: Run) -> None:
    signed_in.agents = []
    assert "agents enroll" in run("agents").out


def test_json_is_what_the_api_said(signed_in: FakeApi, run: Run) -> None:
    answer = json.loads(run("agents", "--json").out)
    _, said = signed_in.show_fleet({}, None)
    assert answer == said.model_dump(mode="json")


def test_enroll_prints_the_line_for_the_host_and_the_token(signed_in: FakeApi, run: Run) -> None:
    result = run(
        "agents",
        "enroll",
        "server-d",
        "--tag",
        "site=köln",
        "--tag",
        "rack=",
        "--root",
        "/a:b:ro",
        "--expires",
        "2h",
    )
    assert result.code == 0, result
    assert "crosshaul agent register --api https://" in result.out
    assert "Zk3v9q0d7m2x8c5n1b6za" in result.out
    body = signed_in.asked[-1][2]
    assert body == {
        "agent_id": "server-d",
        "tags": {"site": "köln", "rack": ""},
        "roots": [{"path": "/a:b", "access": "ro"}],
        "expires_in": 7200,
    }


def test_a_line_without_roots_is_said_to_want_some(signed_in: FakeApi, run: Run) -> None:
    for words in (("enroll", "server-d"), ("rollout", "--name", "render-{hostname}", "--count", "3")):
        assert "--root PATH:ro" in run("agents", *words).err
        assert "names no roots" not in run("agents", *words, "--root", "/a:ro").err


def test_enroll_refuses_what_is_typed_wrongly_before_it_asks(signed_in: FakeApi, run: Run) -> None:
    for wrong in (
        ("Server D",),
        ("d", "--tag", "site"),
        ("d", "--root", "/data"),
        ("d", "--root", "data:ro"),
        ("d", "--expires", "soon"),
        ("d", "--expires", "1s"),
    ):
        result = run("agents", "enroll", *wrong)
        assert result.code == 2, result
    assert signed_in.asked == []


def test_show_tells_by_which_algorithm_the_agent_sends(signed_in: FakeApi, run: Run) -> None:
    assert "congestion bbr" in run("agents", "show", "server-b").out
    known = signed_in.agents[0]
    older = known.capabilities.model_copy(update={"congestion_control": None})
    signed_in.agents = [known.model_copy(update={"capabilities": older})]
    assert "congestion unknown" in run("agents", "show", "server-b").out


def test_show_names_roots_and_remotes(signed_in: FakeApi, run: Run) -> None:
    result = run("agents", "show", "server-b")
    assert result.code == 0, result
    assert "server-b:archive: ro, s3" in result.out
    assert "server-b:partner: rw" in result.out


def test_remove_asks_and_takes_no_for_an_answer(signed_in: FakeApi, run: Run) -> None:
    result = run("agents", "remove", "server-b")
    assert result.code == 2
    assert "--yes" in result.err
    assert signed_in.agents


def test_remove_by_a_person_who_says_no_or_goes_away(
    signed_in: FakeApi, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "_is_interactive", lambda: True)
    assert run("agents", "remove", "server-b", given="n\n").code == 6
    assert run("agents", "remove", "server-b", given="").code == 130
    assert signed_in.agents
    assert run("agents", "remove", "server-b", given="y\n").code == 0


def test_an_answer_that_is_not_json(signed_in: FakeApi, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signed_in, "answer", lambda *_: (200, "<html>Please sign in to the guest network"))
    result = run("agents")
    assert result.code == 5
    assert "not JSON" in result.err


def test_an_answer_of_another_shape(signed_in: FakeApi, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signed_in, "answer", lambda *_: (200, {"agents": [{"agent_id": "server-b"}]}))
    result = run("agents")
    assert result.code == 5
    assert "update it" in result.err


def test_a_refusal_by_a_proxy_is_told_in_its_words(
    signed_in: FakeApi, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signed_in, "answer", lambda *_: (403, {"message": "\x1b[31mForbidden"}))
    result = run("agents")
    assert result.code == 3
    assert r"error: \x1b[31mForbidden" in result.err


def test_remove_with_yes(signed_in: FakeApi, run: Run) -> None:
    assert run("agents", "remove", "server-b", "--yes").code == 0
    assert signed_in.agents == []


def test_an_unknown_agent_is_exit_code_4_with_the_apis_advice(signed_in: FakeApi, run: Run) -> None:
    result = run("agents", "remove", "server-x", "--yes")
    assert result.code == 4
    assert result.err.splitlines() == [
        "error: no agent is called server-x (destinations.0: no such agent)",
        "Did you mean server-b? See `crosshaul agents` for those that are known.",
    ]


def test_browse_lists_like_ls(signed_in: FakeApi, run: Run) -> None:
    entries = (
        DirectoryEntry(name="raw", type="directory"),
        DirectoryEntry(name="Zoë – take 2.mov", type="file", size=3 * 2**20),
        DirectoryEntry(name="latest", type="symlink", size=11),
    )
    signed_in.entries = [sample(views.ListingView).model_copy(update={"entries": entries, "next": None})]
    result = run("browse", "server-b:/data")
    lines = [line.split() for line in result.out.splitlines()]
    assert lines[0] == ["SIZE", "MODIFIED", "NAME"]
    assert lines[1][-1] == "raw/"
    assert lines[2] == ["3.0", "MiB", "–", "Zoë", "–", "take", "2.mov"]
    assert lines[3][-1] == "latest@"


def test_browse_lists_a_remote_s_directory(signed_in: FakeApi, run: Run) -> None:
    signed_in.entries = [sample(views.ListingView).model_copy(update={"next": None})]
    assert run("browse", "server-b:archive:photos/2026").code == 0
    assert run("browse", "server-b:archive:").code == 0
    asked = [(one["remote"], one["path"]) for _, _, one, _ in signed_in.asked]
    assert asked == [("archive", "/photos/2026"), ("archive", "/")]


def test_browse_lists_buckets_and_what_lies_in_one(signed_in: FakeApi, run: Run) -> None:
    assert run("browse", "s3://").out == "s3://films-archive/\ns3://media-uploads/\n"
    page = sample(views.BucketListingView)
    first = page.model_copy(
        update={"entries": (DirectoryEntry(name="Zoë's", type="directory"),), "next": "Zoë's/"}
    )
    last = page.model_copy(update={"entries": (DirectoryEntry(name="b", type="file", size=5),), "next": None})
    signed_in.objects = [first, last]
    result = run("browse", "s3://media-uploads/raw")
    assert result.out.splitlines()[1].endswith("Zoë's/")
    assert result.err == """There is more: add --all, or --after 'Zoë'"'"'s/'.\n"""
    rest = run("browse", "s3://media-uploads/raw", "--after", "Zoë's/")
    assert [line.split()[-1] for line in rest.out.splitlines()] == ["NAME", "b"]
    both = run("browse", "s3://media-uploads/raw", "--all")
    assert [line.split()[-1] for line in both.out.splitlines()] == ["NAME", "Zoë's/", "b"]
    _, path, body, _ = signed_in.asked[-1]
    assert (path, body["prefix"]) == ("/buckets/media-uploads/browse", "raw/")


def test_a_name_that_is_nowhere_in_a_large_bucket_is_not_called_missing_too_early(
    signed_in: FakeApi, run: Run
) -> None:
    page = sample(views.BucketListingView)
    signed_in.objects = [page.model_copy(update={"entries": (), "next": "m"})]
    result = run("browse", "s3://media-uploads/", "--find", "zz")
    assert result.out == "No matching names in s3://media-uploads/ so far.\n"
    assert "--after m" in result.err


def test_browse_tells_of_more_and_all_fetches_it(signed_in: FakeApi, run: Run) -> None:
    page = sample(views.ListingView)
    first = page.model_copy(update={"entries": (DirectoryEntry(name="a", type="file", size=0),), "next": "a"})
    last = page.model_copy(update={"entries": (DirectoryEntry(name="b", type="file", size=0),), "next": None})
    signed_in.entries = [first, last]
    assert "--all" in run("browse", "server-b:/data").err
    both = run("browse", "server-b:/data", "--all")
    assert [line.split()[-1] for line in both.out.splitlines()] == ["NAME", "a", "b"]
    assert both.err == ""
    assert len({one[3]["idempotency-key"] for one in signed_in.asked}) == len(signed_in.asked)


def test_a_file_name_cannot_drive_the_terminal(signed_in: FakeApi, run: Run) -> None:
    evil = "\x1b[2Jgone\r\n\u202etxt.exe [bold]loud[/bold] :smile:"
    entries = (DirectoryEntry(name=evil, type="file", size=1),)
    signed_in.entries = [sample(views.ListingView).model_copy(update={"entries": entries, "next": None})]
    result = run("browse", "server-b:/data")
    assert r"\x1b[2Jgone\r\n\u202etxt.exe [bold]loud[/bold] :smile:" in result.out
    assert "\x1b" not in result.out


@pytest.mark.parametrize("code", ["path-missing", "remote-unknown"])
def test_browsing_what_is_not_there_is_exit_code_4(signed_in: FakeApi, run: Run, code: str) -> None:
    """The agent finds out, so the API answers with 422 and the agent's own problem."""
    missing = problem(422, "/data/none: There is no such directory.", "Check the path.")
    signed_in.problems = [missing.model_copy(update={"type": f"urn:crosshaul:problem:{code}"})]
    result = run("browse", "server-b:/data/none")
    assert result.code == Exit.NOT_FOUND
    assert "no such directory" in result.err


def test_errors_are_json_where_the_answer_would_be(signed_in: FakeApi, run: Run) -> None:
    missing = problem(422, "/data/\x1b[31m: There is no such directory.", "Check the path.")
    signed_in.problems = [missing.model_copy(update={"type": "urn:crosshaul:problem:path-missing"})]
    result = run("browse", "server-b:/data/none", "--json")
    assert (result.code, result.out) == (Exit.NOT_FOUND, "")
    assert json.loads(result.err) == {
        "error": "/data/\x1b[31m: There is no such directory.",
        "advice": "Check the path.",
        "problem": "path-missing",
        "exit_code": 4,
    }
    for wrong in (
        ["agents", "--frobnicate", "--json"],
        ["cp", "here", "there", "--json"],
        ["show", "--json"],
    ):
        result = run(*wrong)
        assert result.code == Exit.USAGE
        assert json.loads(result.err)["exit_code"] == Exit.USAGE


def test_browse_wants_an_agent_and_a_path(signed_in: FakeApi, run: Run) -> None:
    for wrong in (
        "server-b",
        "server-b:data",
        "server-b:x/y:z",
        "/data",
        "s3://Not_a_bucket/x",
        "s3://bucket/a/../b",
        "server-b:/a/../b",
    ):
        assert run("browse", wrong).code == 2


def test_an_agent_that_does_not_answer_is_exit_code_5(signed_in: FakeApi, run: Run) -> None:
    signed_in.problems = [problem(504, "server-b did not answer within 8 s", "See that its agent runs.")]
    result = run("browse", "server-b:/data")
    assert result.code == 5
    assert result.err.splitlines() == [
        "error: server-b did not answer within 8 s",
        "See that its agent runs.",
    ]


def test_roots_that_are_not_there_have_no_free_space(signed_in: FakeApi, run: Run) -> None:
    gone = RootState(path="/gone", access="rw")
    one = sample(views.AgentView).model_copy(update={"roots": (gone,)})
    away = one.model_copy(update={"status": AgentStatus.OFFLINE, "last_heartbeat": None})
    signed_in.agents = [one, away]
    first, second = run("agents").out.splitlines()[1:]
    assert "–" in first
    assert "/gone not available" in first
    assert "never" in second


def test_one_agent_is_shown_in_full(signed_in: FakeApi, run: Run) -> None:
    result = run("agents", "show", "server-b")
    assert result.code == 0
    for words in (
        "Agent server-b  online",
        "b.example.org (10.0.0.2)",
        "site=köln",
        "/data ro",
        "not available",
    ):
        assert words in result.out
    assert "being replaced" not in result.out
    assert json.loads(run("agents", "show", "server-b", "--json").out)["agent_id"] == "server-b"
    assert run("agents", "show", "server-x").code != 0


def test_what_is_wrong_with_an_agent_that_works_is_shown(signed_in: FakeApi, run: Run) -> None:
    damaged = Problem(code="state-damaged", message="1 file set aside: a\x1b[2J.db", advice="See its log.")
    signed_in.agents = [sample(views.AgentView).model_copy(update={"problems": (damaged,)})]
    result = run("agents", "show", "server-b").out
    assert "1 file set aside" in result
    assert "See its log." in result
    assert "\x1b[2J" not in result


def test_an_agent_is_told_to_replace_its_keys(signed_in: FakeApi, run: Run) -> None:
    result = run("agents", "rotate", "server-b")
    assert result.code == 0
    assert "makes new keys now" in result.out
    assert "being replaced" in run("agents", "show", "server-b").out
    assert run("agents", "rotate", "server-x").code != 0


def test_the_log_of_an_agent_is_printed_and_cannot_steer_the_terminal(signed_in: FakeApi, run: Run) -> None:
    lines = ("time=… msg=first", 'time=… msg="[bold]as it is[/bold]"', "time=… path=\x1b[2J")
    begin = datetime(2026, 11, 24, 8, 30, tzinfo=UTC)
    signed_in.log = signed_in.log.model_copy(update={"lines": lines, "remembered_since": begin})
    assert run("agents", "logs", "server-b", "--lines", "2").out.splitlines() == [
        lines[1],
        "time=… path=\\x1b[2J",
    ]
    result = run("agents", "logs", "server-b", "--since", "2026-11-01")
    assert len(result.out.splitlines()) == 3
    assert "older lines are in its host's journal" in result.err
    assert signed_in.asked[-1][2]["since"].startswith("2026-1")
    signed_in.log = signed_in.log.model_copy(update={"lines": (), "omitted": 7})
    result = run("agents", "logs", "server-b")
    assert result.out == ""
    assert "7 older lines did not fit" in result.err
    assert json.loads(run("agents", "logs", "server-b", "--json").out)["omitted"] == 7
    assert run("agents", "logs", "server-x").code == 4
    assert run("agents", "logs", "server-b", "--lines", "1001").code == 2


def test_an_agent_is_drained_until_a_time_and_takes_new_hops_again(signed_in: FakeApi, run: Run) -> None:
    result = run("agents", "drain", "server-b", "--until", "2h", "--maintenance", "--why", "new disks")
    assert result.code == 0
    assert "server-b is in maintenance, by ana until" in result.out
    assert "crosshaul agents undrain server-b" in result.out
    body = signed_in.asked[-1][2]
    assert (body["maintenance"], body["why"]) == (True, "new disks")
    until = datetime.fromisoformat(body["until"])
    assert timedelta(hours=1) < until - datetime.now(UTC) <= timedelta(hours=2)
    assert "online, drained" in run("agents").out
    assert "in maintenance, by ana until" in run("agents", "show", "server-b").out
    assert "gets new hops again" in run("agents", "undrain", "server-b").out
    assert "drained" not in run("agents").out
    assert run("agents", "drain", "server-b", "--until", "soon").code != 0
    assert run("agents", "drain", "server-x").code != 0
