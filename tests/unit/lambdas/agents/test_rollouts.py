"""Many hosts join with one token: at most its count, only under its names, until it expires."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import boto3
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from events.requests import RegisterRequest
from lambdas import adapters, wiring
from lambdas.domain import problems
from lambdas.domain.errors import AgentNameError, RolloutOverError, StaleError
from tests.support.control_plane import REGION, host
from tests.support.fakes import BOB
from tests.support.moto_shortcuts import one_call_at_a_time

ASKED = {"name": "render-{hostname}", "count": 3, "tags": {"site": "ber"}, "expires_in": 600}


def started(here, **differently):
    answer = here.post("/rollouts", {**ASKED, **differently})
    assert answer.status == 201, answer.text
    return answer.body


def come(here, token, hostname="n1.example.org", **differently):
    return here.post("/agents/register", host(token, hostname=hostname, **differently), role=None)


def shown(here, rollout):
    listed = here.get("/rollouts").body["rollouts"]
    return next(one for one in listed if one["rollout_id"] == rollout["rollout_id"])


def place(token, hostname="n1"):
    return wiring.enrollment_slots().find_slot(RegisterRequest.model_validate(host(token, hostname=hostname)))


def test_one_line_and_one_token_for_all_and_only_its_hash_is_kept(here):
    rollout = started(here, roots=[{"path": "/data", "access": "rw"}])
    assert rollout["command"] == (
        "crosshaul agent register --api http://a1b2.execute-api.localhost:4566/v1"
        " --token-file /root/crosshaul.token"
    )
    assert (rollout["count"], rollout["used"], rollout["state"]) == (3, 0, "open")
    secret = rollout["token"].partition(".")[2]
    assert len(secret) == 43
    assert secret not in str(boto3.client("dynamodb", REGION).scan(TableName="agents-table")["Items"])
    assert "token" not in shown(here, rollout)


def test_three_hosts_join_by_one_token_and_the_fourth_does_not(here):
    rollout = started(here)
    for number in (1, 2, 3):
        assert come(here, rollout["token"], f"N{number}.example.org").status == 201
    agents = here.get("/agents").body["agents"]
    assert [agent["agent_id"] for agent in agents] == ["render-n1", "render-n2", "render-n3"]
    assert all(agent["tags"] == {"site": "ber"} for agent in agents)
    assert (shown(here, rollout)["used"], shown(here, rollout)["state"]) == (3, "used_up")
    fourth = come(here, rollout["token"], "n4")
    assert fourth.problem == problems.ROLLOUT_OVER
    assert "for 3 hosts" in fourth.body["detail"]
    assert here.get("/agents/render-n4").status == 404


def test_each_has_a_certificate_and_a_key_of_its_own(here):
    token = started(here)["token"]
    first, second = (come(here, token, name).body for name in ("n1", "n2"))
    assert first["certificate"] != second["certificate"]
    assert first["api_key"] != second["api_key"]
    things = [thing["thingName"] for thing in here.iot().list_things()["things"]]
    assert things == ["crosshaul:test:render-n1", "crosshaul:test:render-n2"]


def test_hosts_that_come_at_once_are_counted_one_by_one(here):
    """The count is kept in the table, not in the function."""
    rollout = started(here)
    known = adapters.rollout_store().get(rollout["rollout_id"])

    def take(_):
        try:
            adapters.rollout_store().take_slot(known, adapters.clock())
        except RolloutOverError:
            return False
        return True

    with one_call_at_a_time(), ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(take, range(12))) == 3
    assert shown(here, rollout)["used"] == 3


def test_it_expires(here, clock):
    rollout = started(here)
    clock.now += timedelta(seconds=601)
    late = come(here, rollout["token"])
    assert (late.status, shown(here, rollout)["state"]) == (401, "expired")
    assert "UTC" in late.body["detail"]


def test_it_is_ended_by_hand_once_and_who_has_joined_stays(here):
    rollout = started(here)
    come(here, rollout["token"], "n1")
    for _ in range(2):
        ended = here.post(f"/rollouts/{rollout['rollout_id']}/end")
        assert (ended.status, ended.body["state"], ended.body["ended_by"]["name"]) == (
            200,
            "ended",
            "ana@example.org",
        )
    late = come(here, rollout["token"], "n2")
    assert late.status == 401
    assert "ended by ana@example.org" in late.body["detail"]
    assert here.get("/agents/render-n1").status == 200
    assert here.post("/rollouts/000000000000/end").status == 404


@pytest.mark.parametrize(
    ("hostname", "wished", "name"),
    [
        ("n1", None, "render-n1"),
        ("N1.Example.ORG", None, "render-n1"),
        ("whatever_1", "render-berlin-7", "render-berlin-7"),
        ("localhost", "render-x", "render-x"),
    ],
)
def test_a_host_is_named_by_the_pattern(here, hostname, wished, name):
    answer = come(here, started(here)["token"], hostname, agent_id=wished)
    assert (answer.status, answer.body["agent_id"]) == (201, name)


@pytest.mark.parametrize(
    ("hostname", "wished"),
    [
        ("n1", "db-1"),
        ("n1", "render-"[:-1]),
        ("n1", "prerender-n1"),
        ("node_1", None),
        ("-n1", None),
        ("localhost", None),
        ("unnamed", None),
        ("n" * 60, None),
        ("köln", None),
        ("..", None),
    ],
)
def test_a_name_outside_the_pattern_is_refused_and_costs_nothing(here, hostname, wished):
    rollout = started(here)
    answer = come(here, rollout["token"], hostname, agent_id=wished)
    assert answer.problem == problems.AGENT_NAME
    assert "--name" in answer.body["advice"]
    assert shown(here, rollout)["used"] == 0


@pytest.mark.parametrize("hostname", ["register", "enrollments.example.org"])
def test_a_host_named_like_a_route_is_asked_for_another_name(here, hostname):
    rollout = started(here, name="{hostname}")
    answer = come(here, rollout["token"], hostname)
    assert answer.problem == problems.AGENT_NAME
    assert "--name" in answer.body["advice"]
    assert come(here, rollout["token"], hostname, agent_id="server-r").status == 201


def test_a_requested_name_matches_both_ends_of_the_pattern(here):
    token = started(here, name="a-{hostname}-z")["token"]
    assert come(here, token, agent_id="a-1-z").status == 201
    for wrong in ("a-z", "a-1", "1-z"):
        assert come(here, token, agent_id=wrong).status == 422


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "render"},
        {"name": "{hostname}{hostname}"},
        {"name": "-{hostname}"},
        {"name": "{hostname}-"},
        {"name": "Render-{hostname}"},
        {"name": "{host}"},
        {"name": "r" * 31 + "{hostname}"},
        {"count": 0},
        {"count": 10_001},
        {"expires_in": 59},
        {"expires_in": 31 * 86400},
    ],
)
def test_what_no_rollout_can_be_is_refused(here, wrong):
    assert here.post("/rollouts", {**ASKED, **wrong}).status == 422


def test_a_name_that_an_agent_has_is_not_given_again(here):
    rollout = started(here)
    mine = come(here, rollout["token"], "n1").body
    again = come(here, rollout["token"], "n1")
    assert again.problem == problems.AGENT_EXISTS
    assert shown(here, rollout)["used"] == 1
    key = {"X-Agent-Key": mine["api_key"]}
    hop = {"hop_id": f"{'x' * 20}-0"}
    assert here.post("/agents/render-n1/credentials", hop, role=None, headers=key).status == 409


def test_a_name_that_waits_for_its_own_token_is_left_to_it(here):
    rollout, own = started(here), here.token("render-n1")
    answer = come(here, rollout["token"], "n1")
    assert answer.problem == problems.AGENT_NAME_RESERVED
    assert shown(here, rollout)["used"] == 0
    assert here.post("/agents/register", host(own), role=None).status == 201


def test_two_hosts_of_one_name_do_not_meet(here, clock):
    rollout = started(here)
    place(rollout["token"]).claim(clock())
    assert come(here, rollout["token"], "n1").status == 409
    assert shown(here, rollout)["used"] == 1
    clock.now += timedelta(seconds=60)  # the other registration was interrupted
    assert come(here, rollout["token"], "n1").status == 201
    assert shown(here, rollout)["used"] == 2


@pytest.mark.parametrize("broken", ["CreateThing", "AttachPolicy", "TransactWriteItems"])
def test_a_joining_that_breaks_half_way_leaves_nothing_and_its_place_is_free(here, monkeypatch, broken):
    rollout = started(here, count=1)
    really = BaseClient._make_api_call

    def breaking(self, operation, arguments):
        if operation == broken:
            raise ClientError({"Error": {"Code": "InternalFailure", "Message": "broken"}}, operation)
        return really(self, operation, arguments)

    with monkeypatch.context() as patch:
        patch.setattr(BaseClient, "_make_api_call", breaking)
        assert come(here, rollout["token"]).status == 500
    assert shown(here, rollout)["used"] == 0
    assert here.iot().list_things()["things"] == []
    assert come(here, rollout["token"]).status == 201


def test_guessing_a_rollouts_token_reveals_nothing(here):
    rollout = started(here)
    of_this = f"rollout:{rollout['rollout_id']}." + "A" * 43
    of_none = "rollout:000000000000." + "A" * 43
    answers = [come(here, token) for token in (of_this, of_none, "y." + "A" * 43, "rollout:x." + "A" * 43)]
    assert {(answer.status, answer.body["detail"]) for answer in answers} == {
        (401, answers[0].body["detail"])
    }
    here.post(f"/rollouts/{rollout['rollout_id']}/end")
    assert come(here, of_this).body["detail"] == answers[0].body["detail"]


def test_a_single_token_gives_no_other_name(here):
    answer = come(here, here.token("server-b"), agent_id="server-c")
    assert answer.problem == problems.AGENT_NAME
    assert come(here, here.token("server-b"), agent_id="server-b").status == 201


def test_the_same_request_starts_one_rollout_until_a_host_has_joined(here):
    key = {"Idempotency-Key": "k1"}
    first = here.post("/rollouts", ASKED, headers=key).body
    second = here.post("/rollouts", ASKED, headers=key).body
    assert first["rollout_id"] == second["rollout_id"]
    assert len(here.get("/rollouts").body["rollouts"]) == 1
    assert come(here, first["token"]).status == 401
    assert come(here, second["token"]).status == 201
    third = here.post("/rollouts", ASKED, headers=key)
    assert third.problem == problems.IDEMPOTENCY_KEY_REUSED
    assert here.post("/rollouts", {**ASKED, "count": 9}, headers=key).status == 422


def test_they_are_listed_page_by_page_and_no_agent_is_among_them(here):
    ids = {started(here)["rollout_id"] for _ in range(3)}
    here.join("server-b")
    first = here.get("/rollouts", limit="2").body
    rest = here.get("/rollouts", limit="2", after=first["next"]).body
    assert {one["rollout_id"] for one in [*first["rollouts"], *rest["rollouts"]]} == ids
    assert rest["next"] is None
    assert [agent["agent_id"] for agent in here.get("/agents").body["agents"]] == ["server-b"]
    assert here.get("/rollouts", after="nothing").status == 400


def test_viewers_look_and_start_none(here):
    assert here.get("/rollouts", role="viewer").status == 200
    assert here.post("/rollouts", ASKED, role="viewer").status == 403
    rollout = started(here)
    assert here.post(f"/rollouts/{rollout['rollout_id']}/end", role="viewer").status == 403
    assert shown(here, rollout)["state"] == "open"


def test_nobody_joins_by_the_word_of_someone_who_may_not_enrol_any_more(here):
    rollout = started(here)
    here.people.groups.clear()
    answer = come(here, rollout["token"])
    assert answer.status == 403
    assert shown(here, rollout)["used"] == 0


def test_a_wide_pattern_leads_round_no_policy(here):
    text = (
        'forbid(principal, action == Action::"manage_agent", resource) when { resource.name like "prod-*" };'
    )
    forbidding = {
        "text": text.replace("resource)", "resource is Agent)"),
        "why": "production is enrolled by hand",
    }
    assert here.call("PUT", "/policies/no-prod", forbidding).status == 200
    rollout = started(here, name="{hostname}")
    refused = come(here, rollout["token"], "prod-1")
    assert (refused.status, refused.body["policies"]) == (403, ["no-prod"])
    assert come(here, rollout["token"], "lab-1").status == 201


def test_who_let_whom_in_is_in_the_audit_and_no_token_is(here):
    rollout = started(here)
    come(here, rollout["token"], "n1")
    here.post(f"/rollouts/{rollout['rollout_id']}/end")
    come(here, rollout["token"], "n2")
    records = here.get("/audit").body["records"]
    assert [record["action"] for record in reversed(records)] == [
        "rollout.started",
        "agent.registered",
        "rollout.ended",
        "POST /agents/register",
    ]
    refused, ended, joined, begun = records
    assert (begun["who"]["name"], begun["about"]) == ("ana@example.org", f"rollout {rollout['rollout_id']}")
    assert begun["after"]["name"] == "render-{hostname}"
    assert (joined["who"]["id"], joined["agents"]) == ("agent:render-n1", ["render-n1"])
    assert joined["why"] == f"roll-out {rollout['rollout_id']} of ana@example.org"
    assert ended["before"]["used"] == 1
    assert (refused["decision"], refused["address"]) == ("refused", "198.51.100.7")
    assert rollout["token"].partition(".")[2] not in str(records)


def test_one_that_is_ended_while_a_host_joins_lets_it_in_or_not_but_nothing_between(here, clock):
    rollout = started(here)
    known = adapters.rollout_store().get(rollout["rollout_id"])
    going = place(rollout["token"], "n1")
    here.post(f"/rollouts/{rollout['rollout_id']}/end")
    with pytest.raises(RolloutOverError):
        going.claim(clock())
    with pytest.raises(StaleError):
        adapters.rollout_store().end_rollout(known.rollout_id, clock(), BOB, lambda _: None)
    assert here.join("render-n1", online=False)["agent_id"] == "render-n1"


def test_the_name_is_checked_before_anything_is_counted(here):
    with pytest.raises(AgentNameError):
        place(started(here)["token"], "localhost")
