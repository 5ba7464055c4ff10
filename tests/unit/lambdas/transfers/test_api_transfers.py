"""Create, follow and steer transfers through the API's own function."""

from datetime import UTC, datetime, timedelta

import pytest

from lambdas import wiring
from lambdas.domain import problems
from tests.support.fakes import as_shown

LONE_SURROGATE = '{"source":"server-b:/data/\\ud800/","destinations":["server-c:/primary/"]}'
RAW = {"source": "server-b:/data/raw/", "destinations": ["server-c:/primary/"]}


@pytest.fixture
def fleet(here):
    """Register two agents that read /data and write /primary."""
    here.join("server-b")
    here.join("server-c")
    return here


def asked(here, body=None, **how) -> str:
    answer = here.post("/transfers", body or RAW, **how)
    assert answer.status == 202, answer.text
    return answer.body["transfer_id"]


def test_what_is_asked_for_is_there_at_once_with_its_hops_and_timeline(fleet):
    shown = fleet.get(f"/transfers/{asked(fleet)}", role="viewer").body
    assert shown["state"] == "queued"
    assert shown["created_by"] == as_shown("ana@example.org")
    [hop] = shown["hops"]
    assert (hop["state"], hop["route"]) == ("queued", "direct")
    assert hop["source"] == {"kind": "agent", "agent_id": "server-b", "path": "/data/raw/"}
    assert [moment["what"] for moment in shown["timeline"]][0:1]


def test_entries_before_those_that_a_page_shows_are_read_with_its_cursor(fleet):
    address = f"/transfers/{(transfer_id := asked(fleet))}"
    for action in ("pause", "resume"):
        assert fleet.post(f"{address}/{action}").status == 202
    whole = fleet.get(address, role="viewer").body
    assert whole["timeline_next"] is None
    newest = fleet.get(f"{address}/timeline", limit="1", role="viewer").body
    earlier = fleet.get(f"{address}/timeline", after=newest["next"], role="viewer").body
    assert earlier["entries"] + newest["entries"] == whole["timeline"]
    assert earlier["next"] is None
    assert fleet.get(f"{address}/timeline", after="made up").status == 400
    assert fleet.get(f"/transfers/{'x' * len(transfer_id)}/timeline").status == 404


def test_a_distributed_transfer_is_one_hop_from_agent_to_agent(fleet):
    body = {"source": "server-b:/data/x", "destination": "server-c:/primary/"}
    answer = fleet.post("/transfers/distributed", body)
    assert answer.status == 202
    assert answer.body["hops"][0]["destination"]["path"] == "/primary/x"
    wrong = fleet.post("/transfers/distributed", {**body, "destination": "s3://bucket/x/"})
    assert wrong.status == 422


def test_the_same_key_is_the_same_transfer(fleet):
    key = {"Idempotency-Key": "k-1"}
    first = asked(fleet, headers=key)
    assert asked(fleet, headers=key) == first
    assert asked(fleet, headers={"Idempotency-Key": "k-2"}) != first
    assert asked(fleet, headers=key, who="bob@example.org") != first
    other = fleet.post("/transfers", {**RAW, "source": "server-b:/data/other/"}, headers=key)
    assert other.problem == problems.IDEMPOTENCY_KEY_REUSED
    assert len(fleet.get("/transfers").body["transfers"]) == 3


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_key_that_is_none_is_refused(fleet, key):
    assert fleet.post("/transfers", RAW, headers={"Idempotency-Key": key}).status == 400


def test_dry_runs_are_told_from_transfers_and_listed_apart(fleet):
    real = asked(fleet)
    rehearsed = asked(fleet, {**RAW, "options": {"dry_run": True}})
    for wanted, expected in (("true", [rehearsed]), ("false", [real]), (None, [rehearsed, real])):
        query = {} if wanted is None else {"dry_run": wanted}
        listed = fleet.get("/transfers", **query).body["transfers"]
        assert [(one["transfer_id"], one["dry_run"]) for one in listed] == [
            (name, name == rehearsed) for name in expected
        ]
    assert fleet.get("/transfers", dry_run="perhaps").status == 400


def test_steering(fleet):
    name = asked(fleet)
    assert fleet.post(f"/transfers/{name}/pause").body["state"] == "paused"
    assert fleet.post(f"/transfers/{name}/resume").body["state"] == "queued"
    assert fleet.post(f"/transfers/{name}/cancel").body["state"] == "cancelled"
    assert fleet.post(f"/transfers/{name}/retry").body["state"] == "queued"


def test_a_cancel_that_comes_again_with_its_key_does_not_undo_a_retry(fleet):
    name, key = asked(fleet), {"Idempotency-Key": "c-1"}
    fleet.post(f"/transfers/{name}/cancel", headers=key)
    fleet.post(f"/transfers/{name}/retry")
    assert fleet.post(f"/transfers/{name}/cancel", headers=key).body["state"] == "queued"


def test_an_agent_that_only_sends_has_open_transfers_until_they_end(fleet):
    transfer_id = asked(fleet)
    for name in ("server-b", "server-c"):
        assert fleet.get(f"/agents/{name}").body["open_transfers"] == 1
    fleet.post(f"/transfers/{transfer_id}/cancel")
    assert fleet.get("/agents/server-b").body["open_transfers"] == 0


def test_conflicts_are_reported(fleet):
    answer = fleet.post(f"/transfers/{asked(fleet)}/retry")
    assert answer.status == 409
    assert answer.body["advice"]


def test_a_move_from_a_read_only_source_is_refused_with_advice_about_the_source(fleet):
    answer = fleet.post("/transfers", {**RAW, "options": {"move": True}})
    assert answer.problem == problems.READ_ONLY
    assert "server-b:/data/raw/ is read-only, so a move cannot delete" in answer.body["detail"]
    assert "without --move" in answer.body["advice"]
    assert "destination" not in answer.body["advice"]


@pytest.mark.parametrize("path", ["/transfers/" + "z" * 20, "/transfers/nonsense", "/transfers/UPPER"])
def test_what_is_not_there(fleet, path):
    assert fleet.get(path).status == 404
    assert fleet.post(f"{path}/cancel").status == 404


class TestTheList:
    def test_is_paged_newest_first_without_gaps_or_repeats(self, fleet):
        names = [asked(fleet) for _ in range(7)]
        seen, cursor = [], {}
        while True:
            page = fleet.get("/transfers", limit="3", **cursor).body
            seen += [one["transfer_id"] for one in page["transfers"]]
            if not page["next"]:
                break
            cursor = {"after": page["next"]}
        assert sorted(seen) == sorted(names)
        assert len(seen) == 7

    def test_by_state_agent_and_time(self, fleet):
        fleet.join("server-d")
        b_to_c = asked(fleet)
        b_to_d = asked(fleet, {**RAW, "destinations": ["server-d:/primary/"]})
        fleet.post(f"/transfers/{b_to_d}/cancel")

        def listed(**query: str) -> set[str]:
            return {one["transfer_id"] for one in fleet.get("/transfers", **query).body["transfers"]}

        now = datetime.now(UTC)
        assert listed(status="cancelled") == {b_to_d}
        assert listed(agent="server-d") == {b_to_d}
        assert listed(agent="server-b") == {b_to_c, b_to_d}
        assert listed(agent="server-b", status="queued") == {b_to_c}
        assert listed(since=(now - timedelta(minutes=5)).isoformat()) == {b_to_c, b_to_d}
        assert listed(until=(now - timedelta(minutes=5)).isoformat()) == set()

    @pytest.mark.parametrize(
        "query",
        [{"limit": "0"}, {"limit": "201"}, {"status": "happy"}, {"agent": "Not An Agent"},
         {"since": "yesterday"}, {"after": "not a cursor"}, {"unknown": "1"}],
    )  # fmt: skip
    def test_says_what_it_does_not_understand(self, fleet, query):
        answer = fleet.get("/transfers", **query)
        assert answer.status == 400, answer.text
        assert answer.headers["Content-Type"] == "application/problem+json"


class TestWhoMay:
    @pytest.mark.parametrize(
        ("method", "path", "body"),
        [
            ("POST", "/transfers", RAW),
            ("POST", "/transfers/distributed", {"source": "b:/x", "destination": "c:/y"}),
            ("POST", f"/transfers/{'a' * 20}/cancel", None),
            ("POST", f"/transfers/{'a' * 20}/pause", None),
            ("POST", f"/transfers/{'a' * 20}/resume", None),
            ("POST", f"/transfers/{'a' * 20}/retry", None),
            ("POST", "/templates", {}),
            ("PUT", "/templates/x", {}),
            ("DELETE", "/templates/x", None),
            ("POST", "/agents/server-b/browse", {"path": "/data"}),
            ("POST", "/agents/enrollments", {"agent_id": "x"}),
            ("PATCH", "/agents/server-b", {}),
            ("DELETE", "/agents/server-b", None),
        ],
    )
    def test_a_viewer_only_looks(self, here, method, path, body):
        assert here.call(method, path, body, role="viewer").status == 403
        assert here.call(method, path, body, role="strangers").status == 403
        assert here.call(method, path, body, role=None).status == 401

    @pytest.mark.parametrize(
        ("method", "path"),
        [("POST", "/agents/enrollments"), ("PATCH", "/agents/server-b"), ("DELETE", "/agents/server-b")],
    )
    def test_an_operator_moves_files_but_lets_nobody_join(self, here, method, path):
        assert here.call(method, path, {"agent_id": "x"}, role="operator").status == 403


class TestEveryError:
    @pytest.mark.parametrize(
        ("raw", "status"),
        [("", 400), ("{", 400), ("[]", 422), ('"text"', 422), ("null", 422), ("{}", 422),
         ('{"source": 1}', 422), ("x" * 2_000_000, 413), (LONE_SURROGATE, 400)],
    )  # fmt: skip
    def test_is_problem_details_that_say_where_and_what_to_do(self, fleet, raw, status):
        answer = fleet.post("/transfers", raw=raw)
        assert answer.status == status, answer.text
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert {"type", "title", "status", "detail", "instance", "advice"} <= set(answer.body)

    def test_of_an_unknown_route_or_method_too(self, here):
        assert here.get("/no/such/route").status == 404
        answer = here.call("PATCH", "/transfers")
        assert (answer.status, answer.headers["Allow"]) == (405, "GET, POST")

    def test_that_nobody_foresaw_says_nothing_of_the_inside(self, fleet, monkeypatch):
        def broken(*_):
            raise RuntimeError("the password is hunter2")

        monkeypatch.setattr(wiring, "transfer_service", broken)
        answer = fleet.post("/transfers", RAW)
        assert answer.status == 500
        assert "hunter2" not in answer.text
        assert "request-" in answer.body["detail"]
