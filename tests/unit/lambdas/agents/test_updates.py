"""Updates as an administrator, an agent and the minute see them; IoT Jobs is moto's, or a list."""

from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from events.commands import Update
from lambdas import wiring
from lambdas.domain.update import JobStatus
from tests.support.control_plane import PUBLISHED as DIGEST
from tests.support.control_plane import hello, publish
from tests.support.world import items_written

NAMES = ("server-b", "server-c", "server-d")


@dataclass
class FakeJobs:
    """Knows which stages were told; a test says how each agent does."""

    told: list[int] = field(default_factory=list)
    ended: set[int] = field(default_factory=set)
    fates: dict[str, JobStatus] = field(default_factory=dict)
    lose: bool = False

    def begin(self, update, stage):
        if self.lose:
            raise ConnectionError("IoT is away")
        if stage not in self.told:
            self.told.append(stage)

    def words(self, update, stage):
        if stage not in self.told:
            return None
        return {
            one.agent_id: self.fates.get(one.agent_id, JobStatus("QUEUED")) for one in update.of_stage(stage)
        }

    def end(self, update):
        self.ended |= set(range(update.stage + 1))


class Story:
    def __init__(self, here, clock, jobs):
        self.here, self.clock, self.jobs = here, clock, jobs
        self.keys = {name: here.join(name)["api_key"] for name in NAMES}

    def start(self, **body):
        return self.here.post("/updates", {"everyone": True, **body})

    def minute(self):
        self.clock.now += timedelta(minutes=1)
        wiring.update_stages().sweep(self.clock())

    def has(self, name, version="0.2.0"):
        """It says Hello with a version, and IoT Jobs that it has succeeded."""
        wiring.agent_service().hello(name, hello(version=version))
        self.jobs.fates[name] = JobStatus("SUCCEEDED")

    def view(self, update_id):
        return self.here.get(f"/updates/{update_id}").body

    def order(self, name, update_id, key=None):
        headers = {"X-Agent-Key": key or self.keys[name]}
        return self.here.post(f"/agents/{name}/update", {"update_id": update_id}, role=None, headers=headers)

    def states(self, update_id):
        return {one["agent_id"]: one["state"] for one in self.view(update_id)["members"]}

    def audited(self):
        return [one["action"] for one in self.here.get("/audit").body["records"]]


@pytest.fixture
def jobs(clock, here, monkeypatch):
    made = FakeJobs()
    monkeypatch.setattr("lambdas.aws.iot_jobs.IotJobs", lambda *_: made)
    return made


@pytest.fixture
def story(here, clock, jobs):
    publish("0.1.0")
    publish("0.2.0")
    return Story(here, clock, jobs)


def test_the_canary_first_and_the_others_once_it_has_reported_healthy(story):
    begun = story.start(percents=[50])
    assert begun.status == 201
    update_id = begun.body["update_id"]
    assert (begun.body["version"], begun.body["stages"]) == ("0.2.0", 3)
    assert story.jobs.told == [0]
    story.minute()
    assert story.states(update_id) == {"server-b": "queued", "server-c": "waiting", "server-d": "waiting"}
    story.jobs.fates["server-b"] = JobStatus("SUCCEEDED")
    story.minute()
    assert story.jobs.told == [0], "it says so, but has not been heard with that version"
    story.has("server-b")
    story.minute()
    assert story.jobs.told == [0, 1]
    story.has("server-c")
    story.minute()
    story.has("server-d")
    story.minute()
    view = story.view(update_id)
    assert (view["state"], view["counts"]) == ("succeeded", {"succeeded": 3})
    assert story.audited().count("update.stage-begun") == 2
    assert {"update.started", "update.ended"} <= set(story.audited())
    story.jobs.told.clear()
    story.minute()
    assert story.jobs.told == [], "what is over is not looked at again"


def test_a_minute_costs_one_write_for_each_update_that_runs_and_none_for_those_that_are_over(story):
    update_id = story.start().body["update_id"]
    with items_written() as written:
        story.minute()
    assert written == [1], "only when it is looked at next"
    story.has("server-b")
    with items_written() as written:
        story.minute()
    assert written == [2], "the update and its record, whatever the number of agents"
    story.here.post(f"/updates/{update_id}/cancel")
    with items_written() as written:
        story.minute()
    assert written == []


def test_too_many_failures_and_no_further_agent_is_touched(story):
    update_id = story.start().body["update_id"]
    story.jobs.fates["server-b"] = JobStatus("FAILED", "0.2.0 did not report healthy within 300 s", True)
    story.minute()
    view = story.view(update_id)
    assert view["state"] == "aborted"
    assert "server-b: 0.2.0 did not report healthy" in view["reason"]
    assert story.states(update_id) == {
        "server-b": "returned",
        "server-c": "cancelled",
        "server-d": "cancelled",
    }
    assert (story.jobs.told, story.jobs.ended) == ([0], {0})
    assert "update.aborted" in story.audited()


def test_a_job_that_was_lost_on_the_way_is_made_the_next_minute(story):
    story.jobs.lose = True
    assert story.start().status == 500
    story.jobs.lose = False
    story.minute()
    assert story.jobs.told == [0]


def test_an_agent_gets_a_signed_order_with_its_own_key_in_its_stage(story):
    update_id = story.start().body["update_id"]
    assert story.order("server-b", update_id, key="wrong").status == 401
    assert story.order("server-b", update_id, key=story.keys["server-c"]).status == 401
    got = story.order("server-b", update_id).body
    addressee, command = story.here.fleet.signed[got["token"]]
    assert addressee == "server-b"
    assert isinstance(command, Update)
    assert (command.version, command.digest, command.update_id) == ("0.2.0", DIGEST, update_id)
    waiting = story.order("server-c", update_id).body
    assert (waiting["token"], "not to be updated" in waiting["reason"]) == (None, True)
    assert story.order("server-b", "ffffffffffff").body["token"] is None
    story.has("server-b")
    there = story.order("server-b", update_id).body
    assert (there["reported_version"], there["token"]) == ("0.2.0", None)


def test_one_is_cancelled_once_and_nobody_gets_an_order_of_it_any_more(story):
    update_id = story.start().body["update_id"]
    assert story.here.post(f"/updates/{update_id}/cancel").body["state"] == "cancelled"
    assert "was cancelled" in story.order("server-b", update_id).body["reason"]
    again = story.here.post(f"/updates/{update_id}/cancel")
    assert (again.status, again.body["type"]) == (409, "urn:crosshaul:problem:update-over")
    assert story.jobs.ended == {0}
    assert story.start().status == 201, "its agents are free"


def test_who_is_meant_is_said_in_one_way(story):
    story.here.call("PATCH", "/agents/server-c", {"tags": {"site": "berlin"}})
    assert [
        one["agent_id"] for one in story.start(everyone=False, tags={"site": "berlin"}).body["members"]
    ] == ["server-c"]
    for wrong in (
        {"everyone": False},
        {"agents": ["server-b"]},
        {"tags": {"a": "b"}},
        {"percents": [50, 10]},
    ):
        assert story.start(**wrong).status == 422, wrong
    unknown = story.start(everyone=False, agents=["server-x"])
    assert unknown.body["type"].endswith("agent-unknown")
    busy = story.start()
    assert (busy.status, busy.body["type"]) == (409, "urn:crosshaul:problem:agent-busy-updating")


def test_what_was_never_published_or_is_there_already_is_refused(story):
    assert story.start(version="9.9.9").status == 404
    assert story.start(version="0.1.0").body["type"].endswith("nothing-to-update")


def test_the_same_wish_starts_no_second_one(story):
    first, second = (
        story.here.post("/updates", {"everyone": True}, headers={"Idempotency-Key": "k1"}) for _ in range(2)
    )
    assert first.body["update_id"] == second.body["update_id"]
    assert len(story.here.get("/updates").body["updates"]) == 1


def test_only_who_may_manage_every_one_of_them_updates_agents(story):
    assert story.here.post("/updates", {"everyone": True}, role="operator", who="otto@x").status == 403
    assert story.jobs.told == []


def test_iot_jobs_is_asked_for_one_job_a_stage_and_told_when_to_end_it(here, clock):
    """With moto's IoT instead of a list."""
    publish("0.2.0")
    story = Story(here, clock, None)
    update_id = story.start().body["update_id"]
    [job] = here.iot().list_jobs()["jobs"]
    described = here.iot().describe_job(jobId=job["jobId"])["job"]
    assert job["jobId"] == f"crosshaul_test_{update_id}_0"
    assert [arn.rpartition("/")[2] for arn in described["targets"]] == ["crosshaul:test:server-b"]
    document = here.iot().get_job_document(jobId=job["jobId"])["document"]
    assert "token" not in document
    assert update_id in document
    story.minute()
    assert story.states(update_id)["server-b"] == "queued"
    here.post(f"/updates/{update_id}/cancel")
    assert here.iot().describe_job(jobId=job["jobId"])["job"]["status"] == "CANCELED"
