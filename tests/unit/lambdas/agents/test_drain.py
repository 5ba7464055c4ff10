"""A drained agent finishes what it does, gets nothing new, and afterward gets what has waited for it."""

from datetime import UTC, datetime, timedelta

import pytest

from events.facts import AgentWentSilent
from events.reports import Started
from lambdas import adapters, on_change, wiring
from lambdas.domain import problems
from tests.support.control_plane import Context, ControlPlane, hello
from tests.support.fakes import as_shown
from tests.unit.infra.test_restore import inserts, moment_of

BODY = {"source": "server-b:/data/", "destinations": ["server-c:/primary/"]}
DRAIN = "/agents/server-c/drain"


@pytest.fixture
def fleet(here: ControlPlane) -> ControlPlane:
    here.join("server-b")
    here.join("server-c")
    return here


def request(fleet: ControlPlane) -> str:
    """Request a transfer and let the table's stream be handled."""
    import boto3

    known = {row["part"]["S"] for row in timeline(boto3)}
    transfer_id: str = fleet.post("/transfers", BODY).body["transfer_id"]
    rows = [row for row in timeline(boto3) if row["part"]["S"] not in known]
    on_change.handler(inserts(rows, moment_of(rows)), Context())  # type: ignore[arg-type]
    return transfer_id


def timeline(boto3):
    table = boto3.client("dynamodb", "eu-central-1").scan(TableName="transfers-table")
    return [row for row in table["Items"] if row["part"]["S"].startswith("at#")]


def state(fleet: ControlPlane, transfer_id: str) -> str:
    return fleet.get(f"/transfers/{transfer_id}").body["hops"][0]["state"]


def test_what_runs_goes_on_and_what_is_new_waits_until_the_drain_is_ended(fleet):
    running = request(fleet)
    now = datetime.now(UTC)
    started = Started(transfer_id=running, hop_id=f"{running}-0", attempt=1, seq=1, via="direct", at=now)
    wiring.report_handler().apply("server-c", started)
    fleet.fleet.sent.clear()

    view = fleet.call("PUT", DRAIN, {"why": "new disks"}).body["drain"]
    assert (view["by"], view["why"], view["until"]) == (as_shown("ana@example.org"), "new disks", None)
    waiting = request(fleet)
    wiring.agent_service().hello("server-c", hello())
    wiring.stream_handler().agent_online("server-c")  # as after a reboot
    assert (state(fleet, running), state(fleet, waiting)) == ("running", "queued")
    assert fleet.fleet.sent == [], "neither a new hop nor a stop of the one that runs"
    assert fleet.get("/agents").body["agents"][1]["drain"]["why"] == "new disks"

    assert fleet.call("DELETE", DRAIN).body["drain"] is None
    assert state(fleet, waiting) == "offered"
    assert [agent for agent, _ in fleet.fleet.sent] == ["server-b", "server-c"]


def test_an_agent_that_only_serves_gets_nothing_new_either(fleet):
    fleet.call("PUT", "/agents/server-b/drain", {})
    assert state(fleet, request(fleet)) == "queued"


def test_a_drain_ends_by_itself_and_the_sweep_offers_what_has_waited(clock, fleet):
    until = clock.now + timedelta(hours=2)
    fleet.call("PUT", DRAIN, {"until": until.isoformat()})
    waiting = request(fleet)
    clock.now = until - timedelta(seconds=1)
    awake(clock)
    wiring.lease_sweeper().sweep()
    assert state(fleet, waiting) == "queued"
    clock.now = until + timedelta(minutes=11)  # the longest time between two checks
    awake(clock)
    wiring.lease_sweeper().sweep()
    assert state(fleet, waiting) == "offered"
    assert fleet.get("/agents/server-c").body["drain"] is None


def awake(clock) -> None:
    for name in ("server-b", "server-c"):
        wiring.agent_service().hello(name, hello(at=clock.now), clock.now)


@pytest.mark.parametrize("maintenance", [True, False])
def test_an_agent_in_maintenance_goes_silent_without_an_alarm(clock, fleet, maintenance):
    fleet.call("PUT", DRAIN, {"maintenance": maintenance})
    clock.now += timedelta(minutes=30)
    told: list[AgentWentSilent] = []
    wiring.agent_service().mark_silent_agents(told.append)
    expected = {"server-b"} if maintenance else {"server-b", "server-c"}
    assert {fact.agent_id for fact in told} == expected
    assert fleet.get("/agents/server-c").body["status"] != "online", "the page says it all the same"


def test_who_may_is_a_matter_of_policies_and_each_change_is_audited(fleet):
    assert fleet.call("PUT", DRAIN, {}, role="operator", who="otto@example.org").status == 403
    text = """permit (principal in Group::"operator", action == Action::"drain_agent", resource)
when { resource.name == "server-c" };"""
    assert fleet.call("PUT", "/policies/night-shift", {"text": text, "why": "night shift"}).status == 200
    assert fleet.call("PUT", DRAIN, {}, role="operator", who="otto@example.org").status == 200
    other = fleet.call("PUT", "/agents/server-b/drain", {}, role="operator", who="otto@example.org")
    assert other.status == 403
    assert fleet.call("DELETE", DRAIN, role="operator", who="otto@example.org").status == 200
    found = [one for one in fleet.get("/audit").body["records"] if one["decision"] == "allowed"]
    done = [(one["action"], one["who"]["name"]) for one in found[:2]]
    assert done == [("agent.undrained", "otto@example.org"), ("agent.drained", "otto@example.org")]
    assert (found[1]["before"]["drain"], found[1]["after"]["drain"]["until"]) == (None, None)


def test_a_drain_that_would_be_over_or_of_an_unknown_agent_is_refused(fleet):
    over = fleet.call("PUT", DRAIN, {"until": "2020-01-01T00:00:00Z"})
    assert over.problem is problems.DRAIN_OVER
    assert fleet.call("PUT", "/agents/server-x/drain", {}).status == 404
    assert fleet.call("DELETE", "/agents/server-x/drain").status == 404
    assert adapters.agent_store().get("server-c").drain is None
