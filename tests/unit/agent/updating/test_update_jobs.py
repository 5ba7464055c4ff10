"""The agent's side of an update: a job's word is a rumour, the control plane's order goes to the updater, and
whichever version runs in the end tells how it ended. Agent and updater are the real ones; what is faked is
the broker, the control plane and the service manager.
"""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest

from agent.cloud.command_verifier import MAX_MESSAGE_BYTES
from agent.errors import HostError
from agent.updating.update_jobs import Installation, UpdateIntervals, UpdateJobs
from events.commands import CommandEnvelope
from events.topics import Topics
from events.updates import UpdateOrderView
from tests.support.fakes_agent import THING, FakeLink, Signer
from tests.support.fakes_updates import UPDATE, InstalledHost, an_update
from tests.support.hosts import until

TOPICS = Topics("local")
QUICK = UpdateIntervals(look=0.01, again=0.02, health=0.01, taken=0.5)
JOB = "crosshaul-local-0123456789ab-0"


class Fleet:
    """One host, its agent restarted by the updater, and IoT Jobs with one job for it."""

    def __init__(self, folder):
        self.host = InstalledHost(folder)
        self.host._wait = self._wait
        self.version = "2.0.0"
        self.link = FakeLink()
        self.sick: set[str] = set()
        self.heard: str | None = None
        self.away = False
        self.refusal = ""
        self.signer = self.host.signer
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None

    def _wait(self, seconds):
        """The updater waits, in its thread; a trial of ten seconds is 400 looks."""
        self.host._now += seconds / 20
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0.005), self._loop).result()

    def ask(self, update_id):
        if self.away:
            raise HostError("the API is away")
        version = self.heard or str(self.host.running)
        if self.refusal or version == self.version:
            return UpdateOrderView(reported_version=version, reason=self.refusal)
        token = self.signer.token(an_update(self.version, update_id))
        return UpdateOrderView(reported_version=version, token=token)

    @asynccontextmanager
    async def running(self, updater=True, installed=True):
        """The service manager: whichever version is to run, runs; the updater, when there is an order."""
        self._begin(installed)
        self.link.up()
        watch = asyncio.create_task(self._watch()) if updater else None
        try:
            yield
        finally:
            for task in filter(None, (watch, self._task)):
                task.cancel()
                await asyncio.wait([task])

    def _begin(self, installed=True):
        host = Installation(
            self.host.releases if installed else None,
            self.host.notes,
            lambda: set(self.sick),
            str(self.host.running),
        )
        self.updates = UpdateJobs(self.link, THING, TOPICS, host, self.ask, QUICK)
        self._task = asyncio.create_task(self._agent())
        self.updates.on_connected()

    async def _agent(self):
        async def listen():
            async for letter in self.link.messages():
                assert self.updates.on_message(letter)

        async with asyncio.TaskGroup() as group:
            group.create_task(self.updates.run())
            group.create_task(listen())
            group.create_task(self._iot_jobs())

    async def _iot_jobs(self):
        """Answers what is asked for, as often as it is, until the job has ended."""
        answered = 0
        while not self.outcomes:
            await asyncio.sleep(0.005)
            asked = sum(topic == TOPICS.jobs_request(THING) for topic, *_ in self.link.published)
            if asked > answered:
                answered = asked
                document = {"update_id": UPDATE, "version": self.version}
                execution = {"jobId": JOB, "jobDocument": document, "status": "IN_PROGRESS"}
                self.link.deliver(json.dumps({"execution": execution}).encode(), TOPICS.jobs_response(THING))

    async def _watch(self):
        starts = len(self.host.starts)
        while True:
            await asyncio.sleep(0.005)
            if self.host.notes.request.exists():
                updating = asyncio.create_task(asyncio.to_thread(self.host.update))
                while not updating.done():
                    await asyncio.sleep(0.005)
                    if len(self.host.starts) > starts:
                        starts = len(self.host.starts)
                        self._task.cancel()
                        self._begin()
                await updating

    @property
    def outcomes(self):
        topic = TOPICS.job_result(THING, JOB)
        return [json.loads(payload) for to, payload, _ in self.link.published if to == topic]

    async def outcome(self):
        await until(lambda: self.outcomes, 20)
        [told] = self.outcomes
        return told


@pytest.fixture
async def fleet(tmp_path):
    return Fleet(tmp_path)


async def test_a_job_leads_to_the_new_version_which_tells_that_it_is_healthy(fleet):
    async with fleet.running():
        assert (await fleet.outcome())["status"] == "SUCCEEDED"
    assert fleet.host.starts == ["1.0.0", "2.0.0"]


async def test_a_new_version_that_the_control_plane_does_not_hear_returns_and_the_old_one_says_why(fleet):
    fleet.heard = "1.0.0"
    async with fleet.running():
        told = await fleet.outcome()
    assert (told["status"], told["statusDetails"]["returned"]) == ("FAILED", "yes")
    assert "the control plane has not heard of it" in told["statusDetails"]["reason"]
    assert fleet.host.starts == ["1.0.0", "2.0.0", "1.0.0"]


async def test_what_the_doctor_finds_new_is_a_reason_to_return_and_what_was_so_before_is_none(fleet):
    fleet.sick = {"root /data: /data is not there"}
    async with fleet.running():
        assert (await fleet.outcome())["status"] == "SUCCEEDED"


async def test_a_version_that_makes_the_host_sick_returns(fleet):
    really = fleet.host.restart

    def restart():
        really()
        fleet.sick = {"lane port: nothing answers"} if fleet.host.running == "2.0.0" else set()

    fleet.host.restart = restart
    async with fleet.running():
        told = await fleet.outcome()
    assert told["statusDetails"] == {
        "reason": "2.0.0 did not report healthy within 10 s: lane port: nothing answers",
        "returned": "yes",
    }


async def test_the_word_of_a_job_alone_makes_no_agent_run_anything(fleet):
    fleet.refusal = "The update was aborted."
    async with fleet.running():
        told = await fleet.outcome()
    assert (told["status"], told["statusDetails"]["reason"]) == ("FAILED", "The update was aborted.")
    assert fleet.host.starts == ["1.0.0"]


async def test_an_order_that_another_key_has_signed_is_not_obeyed_and_told(fleet):
    fleet.signer = Signer()
    async with fleet.running():
        told = await fleet.outcome()
    assert "the host's updater does not take it" in told["statusDetails"]["reason"]
    assert fleet.host.kept == ["1.0.0"]


async def test_where_there_is_no_updater_it_is_said(fleet):
    async with fleet.running(updater=False):
        assert "does not take it" in (await fleet.outcome())["statusDetails"]["reason"]
    assert not fleet.host.notes.request.exists()


async def test_an_agent_that_was_not_installed_by_the_script_declines(fleet):
    async with fleet.running(installed=False):
        assert (await fleet.outcome())["status"] == "REJECTED"


async def test_while_the_control_plane_is_away_it_asks_again(fleet):
    fleet.away = True
    async with fleet.running():
        await until(
            lambda: sum(topic == TOPICS.jobs_request(THING) for topic, *_ in fleet.link.published) > 2
        )
        fleet.away = False
        assert (await fleet.outcome())["status"] == "SUCCEEDED"


async def test_a_version_that_is_there_already_is_a_success_without_doing_anything(fleet):
    fleet.version = "1.0.0"
    async with fleet.running():
        assert (await fleet.outcome())["status"] == "SUCCEEDED"
    assert fleet.host.starts == ["1.0.0"]


async def test_other_letters_are_not_its_own_and_no_job_breaks_it(fleet):
    updates = UpdateJobs(
        fleet.link, THING, TOPICS, Installation(None, fleet.host.notes, set), fleet.ask, QUICK
    )
    fleet.link.deliver(CommandEnvelope(token="x").model_dump_json().encode(), TOPICS.commands(THING))
    for payload in (
        b"",
        b"{}",
        b"[]",
        b'{"execution": {"jobId": "x"}}',
        b"\xff" * 20,
        b" " * MAX_MESSAGE_BYTES,
    ):
        fleet.link.deliver(payload, TOPICS.jobs_response(THING))
    heard = []
    async for letter in fleet.link.messages():
        heard.append(updates.on_message(letter))
        if len(heard) == 7:
            break
    assert heard == [False] + [True] * 6
    assert updates._told.empty()
