"""Updates through the API, an agent and the sweep; IoT Jobs is moto's or a fake."""

from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from events.base import Problem
from events.commands import UpdateAgent
from lambdas import wiring
from lambdas.domain import problems
from lambdas.domain.update import JobStatus
from tests.support.control_plane import PUBLISHED as DIGEST
from tests.support.control_plane import hello, publish
from tests.support.world import items_written

UNHEALTHY = Problem(
    code="update-unhealthy",
    message="0.2.0 did not report healthy within 300 seconds.",
    wording="update-unhealthy",
    parameters={"version": "0.2.0", "seconds": "300"},
)

NAMES = ("server-b", "server-c", "server-d")


@dataclass
class FakeJobs:
    """IoT Jobs in memory; a test sets the status of each agent."""

    created_stages: list[int] = field(default_factory=list)
    ended: set[int] = field(default_factory=set)
    status_by_agent: dict[str, JobStatus] = field(default_factory=dict)
    fails: bool = False

    def create_job(self, update, stage):
        if self.fails:
            raise ConnectionError("IoT is away")
        if stage not in self.created_stages:
            self.created_stages.append(stage)

    def statuses(self, update, stage):
        if stage not in self.created_stages:
            return None
        return {
            member.agent_id: self.status_by_agent.get(member.agent_id, JobStatus("QUEUED"))
            for member in update.of_stage(stage)
        }

    def cancel_jobs(self, update):
        self.ended |= set(range(update.stage + 1))


class UpdateScenario:
    def __init__(self, here, clock, jobs):
        self.here, self.clock, self.jobs = here, clock, jobs
        self.keys = {name: here.join(name)["api_key"] for name in NAMES}

    def start(self, **body):
        return self.here.post("/updates", {"everyone": True, **body})

    def run_sweep(self):
        self.clock.now += timedelta(minutes=1)
        wiring.update_stages().advance_updates(self.clock())

    def report_healthy(self, name, version="0.2.0"):
        """Report the version by a Hello, and success by IoT Jobs."""
        wiring.agent_service().hello(name, hello(version=version))
        self.jobs.status_by_agent[name] = JobStatus("SUCCEEDED")

    def view(self, update_id):
        return self.here.get(f"/updates/{update_id}").body

    def order(self, name, update_id, key=None):
        headers = {"X-Agent-Key": key or self.keys[name]}
        return self.here.post(f"/agents/{name}/update", {"update_id": update_id}, role=None, headers=headers)

    def states(self, update_id):
        return {member["agent_id"]: member["state"] for member in self.view(update_id)["members"]}

    def audited(self):
        return [member["action"] for member in self.here.get("/audit").body["records"]]


@pytest.fixture
def jobs(clock, here, monkeypatch):
    fake = FakeJobs()
    monkeypatch.setattr("lambdas.aws.iot_jobs.IotJobs", lambda *_: fake)
    return fake


@pytest.fixture
def scenario(here, clock, jobs):
    publish("0.1.0")
    publish("0.2.0")
    return UpdateScenario(here, clock, jobs)


def test_the_canary_first_and_the_others_once_it_has_reported_healthy(scenario):
    begun = scenario.start(percents=[50])
    assert begun.status == 201
    update_id = begun.body["update_id"]
    assert (begun.body["version"], begun.body["stages"]) == ("0.2.0", 3)
    assert scenario.jobs.created_stages == [0]
    scenario.run_sweep()
    assert scenario.states(update_id) == {"server-b": "queued", "server-c": "waiting", "server-d": "waiting"}
    scenario.jobs.status_by_agent["server-b"] = JobStatus("SUCCEEDED")
    scenario.run_sweep()
    assert scenario.jobs.created_stages == [0], (
        "IoT Jobs says so, but the agent has not reported that version"
    )
    scenario.report_healthy("server-b")
    scenario.run_sweep()
    assert scenario.jobs.created_stages == [0, 1]
    scenario.report_healthy("server-c")
    scenario.run_sweep()
    scenario.report_healthy("server-d")
    scenario.run_sweep()
    view = scenario.view(update_id)
    assert (view["state"], view["counts"]) == ("succeeded", {"succeeded": 3})
    assert scenario.audited().count("update.stage-begun") == 2
    assert {"update.started", "update.ended"} <= set(scenario.audited())
    scenario.jobs.created_stages.clear()
    scenario.run_sweep()
    assert scenario.jobs.created_stages == [], "a completed update is not processed again"


def test_a_minute_costs_one_write_for_each_update_that_runs_and_none_for_those_that_are_over(scenario):
    update_id = scenario.start().body["update_id"]
    with items_written() as written:
        scenario.run_sweep()
    assert written == [1], "only the time of the next sweep"
    scenario.report_healthy("server-b")
    with items_written() as written:
        scenario.run_sweep()
    assert written == [2], "the update and its record, whatever the number of agents"
    scenario.here.post(f"/updates/{update_id}/cancel")
    with items_written() as written:
        scenario.run_sweep()
    assert written == []


def test_too_many_failures_and_no_further_agent_is_touched(scenario):
    update_id = scenario.start().body["update_id"]
    scenario.jobs.status_by_agent["server-b"] = JobStatus("FAILED", UNHEALTHY, True)
    scenario.run_sweep()
    view = scenario.view(update_id)
    assert view["state"] == "aborted"
    assert view["problem"]["parameters"] == {
        "failed": "1",
        "total": "1",
        "stage": "1",
        "agent_id": "server-b",
    }
    assert view["members"][0]["problem"] == UNHEALTHY.model_dump(mode="json")
    assert scenario.states(update_id) == {
        "server-b": "returned",
        "server-c": "cancelled",
        "server-d": "cancelled",
    }
    assert (scenario.jobs.created_stages, scenario.jobs.ended) == ([0], {0})
    assert "update.aborted" in scenario.audited()


def test_a_job_that_was_lost_on_the_way_is_made_the_next_minute(scenario):
    scenario.jobs.fails = True
    assert scenario.start().status == 500
    scenario.jobs.fails = False
    scenario.run_sweep()
    assert scenario.jobs.created_stages == [0]


def test_an_agent_gets_a_signed_order_with_its_own_key_in_its_stage(scenario):
    update_id = scenario.start().body["update_id"]
    assert scenario.order("server-b", update_id, key="wrong").status == 401
    assert scenario.order("server-b", update_id, key=scenario.keys["server-c"]).status == 401
    got = scenario.order("server-b", update_id).body
    addressee, command = scenario.here.fleet.signed[got["token"]]
    assert addressee == "server-b"
    assert isinstance(command, UpdateAgent)
    assert (command.version, command.digest, command.update_id) == ("0.2.0", DIGEST, update_id)
    assert command.release == "signed.0.2.0.release"
    waiting = scenario.order("server-c", update_id).body
    assert (waiting["token"], waiting["problem"]["wording"]) == (None, "update-not-due")
    assert scenario.order("server-b", "ffffffffffff").body["token"] is None
    scenario.report_healthy("server-b")
    there = scenario.order("server-b", update_id).body
    assert (there["reported_version"], there["token"]) == ("0.2.0", None)


def test_an_update_is_cancelled_once_and_gives_no_more_orders(scenario):
    update_id = scenario.start().body["update_id"]
    assert scenario.here.post(f"/updates/{update_id}/cancel").body["state"] == "cancelled"
    assert scenario.order("server-b", update_id).body["problem"]["wording"] == "update-stopped"
    again = scenario.here.post(f"/updates/{update_id}/cancel")
    assert again.problem == problems.UPDATE_OVER
    assert scenario.jobs.ended == {0}
    assert scenario.start().status == 201, "its agents are free"


def test_agents_are_selected_in_exactly_one_way(scenario):
    scenario.here.call("PATCH", "/agents/server-c", {"tags": {"site": "berlin"}})
    assert [
        member["agent_id"]
        for member in scenario.start(everyone=False, tags={"site": "berlin"}).body["members"]
    ] == ["server-c"]
    for wrong in (
        {"everyone": False},
        {"agents": ["server-b"]},
        {"tags": {"a": "b"}},
        {"percents": [50, 10]},
    ):
        assert scenario.start(**wrong).status == 422, wrong
    unknown = scenario.start(everyone=False, agents=["server-x"])
    assert unknown.problem == problems.AGENT_UNKNOWN
    busy = scenario.start()
    assert busy.problem == problems.AGENT_BUSY_UPDATING


def test_what_was_never_published_or_is_there_already_is_refused(scenario):
    assert scenario.start(version="9.9.9").status == 404
    assert scenario.start(version="0.1.0").problem == problems.NOTHING_TO_UPDATE


def test_the_same_request_starts_one_update(scenario):
    first, second = (
        scenario.here.post("/updates", {"everyone": True}, headers={"Idempotency-Key": "k1"})
        for _ in range(2)
    )
    assert first.body["update_id"] == second.body["update_id"]
    assert len(scenario.here.get("/updates").body["updates"]) == 1


def test_only_who_may_manage_every_one_of_them_updates_agents(scenario):
    assert scenario.here.post("/updates", {"everyone": True}, role="operator", who="otto@x").status == 403
    assert scenario.jobs.created_stages == []


def test_iot_jobs_is_asked_for_one_job_a_stage_and_told_when_to_end_it(here, clock):
    """With moto's IoT instead of a list."""
    publish("0.2.0")
    scenario = UpdateScenario(here, clock, None)
    update_id = scenario.start().body["update_id"]
    [job] = here.iot().list_jobs()["jobs"]
    described = here.iot().describe_job(jobId=job["jobId"])["job"]
    assert job["jobId"] == f"crosshaul_test_{update_id}_0"
    assert [arn.rpartition("/")[2] for arn in described["targets"]] == ["crosshaul:test:server-b"]
    document = here.iot().get_job_document(jobId=job["jobId"])["document"]
    assert "token" not in document
    assert update_id in document
    scenario.run_sweep()
    assert scenario.states(update_id)["server-b"] == "queued"
    here.post(f"/updates/{update_id}/cancel")
    assert here.iot().describe_job(jobId=job["jobId"])["job"]["status"] == "CANCELED"
