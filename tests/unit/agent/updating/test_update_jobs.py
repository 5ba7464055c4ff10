"""The agent's side of an update, from an announced job to the reported result.

A job alone is not trusted: the control plane's signed order goes to the updater. Agent and updater are real;
the broker, the control plane and the service manager are fakes.
"""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest

from agent.cloud.command_verifier import MAX_MESSAGE_BYTES
from agent.errors import HostError
from agent.problems import UPDATE_CHECKS_FAILED
from agent.updating.update_jobs import Installation, UpdateIntervals, UpdateJobs
from events.commands import CommandEnvelope
from events.topics import Topics
from events.updates import UpdateOrderView, problem_of
from lambdas.domain.problems import UPDATE_ABORTED
from tests.support.fakes_agent import THING, FakeLink, Signer
from tests.support.fakes_updates import UPDATE, InstalledHost, an_update
from tests.support.waiting import until

TOPICS = Topics("local")
QUICK = UpdateIntervals(poll=0.01, retry=0.02, health=0.01, pickup=0.5)
JOB = "crosshaul-local-0123456789ab-0"


class JobsHost:
    """One host, its agent restarted by the updater, and IoT Jobs with one job for it."""

    def __init__(self, folder):
        self.host = InstalledHost(folder)
        self.host._wait = self._wait
        self.version = "2.0.0"
        self.link = FakeLink()
        self.failing_checks: dict[str, str] = {}
        self.reported_version: str | None = None
        self.is_api_unreachable = False
        self.refusal = None
        self.signer = self.host.signer
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None

    def _wait(self, seconds):
        """Wait in the updater's thread; a trial of ten seconds takes 400 polls."""
        self.host._now += seconds / 20
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0.005), self._loop).result()

    def fetch_order(self, update_id):
        if self.is_api_unreachable:
            raise HostError("the API is away")
        version = self.reported_version or str(self.host.running)
        if self.refusal or version == self.version:
            return UpdateOrderView(reported_version=version, problem=self.refusal)
        token = self.signer.token(an_update(self.version, update_id))
        return UpdateOrderView(reported_version=version, token=token)

    @asynccontextmanager
    async def running(self, updater=True, installed=True):
        """Act as the service manager: run the current version, and the updater when there is a request."""
        self._start_agent(installed)
        self.link.up()
        watch = asyncio.create_task(self._watch()) if updater else None
        try:
            yield
        finally:
            for task in filter(None, (watch, self._task)):
                task.cancel()
                await asyncio.wait([task])

    def _start_agent(self, installed=True):
        host = Installation(
            self.host.releases if installed else None,
            self.host.notes,
            lambda: dict(self.failing_checks),
            str(self.host.running),
        )
        self.updates = UpdateJobs(self.link, THING, TOPICS, host, self.fetch_order, QUICK)
        self._task = asyncio.create_task(self._agent())
        self.updates.on_connected()

    async def _agent(self):
        async def receive():
            async for message in self.link.messages():
                assert self.updates.on_message(message)

        async with asyncio.TaskGroup() as group:
            group.create_task(self.updates.process_jobs())
            group.create_task(receive())
            group.create_task(self._iot_jobs())

    async def _iot_jobs(self):
        """Answer every request for jobs until the job has ended."""
        answered = 0
        while not self.results:
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
                        self._start_agent()
                await updating

    @property
    def results(self):
        topic = TOPICS.job_result(THING, JOB)
        return [json.loads(payload) for sent_to, payload, _ in self.link.published if sent_to == topic]

    async def result_of_job(self):
        await until(lambda: self.results)
        [result] = self.results
        return result


@pytest.fixture
async def fleet(tmp_path):
    return JobsHost(tmp_path)


async def test_a_job_leads_to_the_new_version_which_reports_healthy(fleet):
    async with fleet.running():
        assert (await fleet.result_of_job())["status"] == "SUCCEEDED"
    assert fleet.host.starts == ["1.0.0", "2.0.0"]


async def test_a_new_version_without_a_hello_is_reverted_and_the_reason_reported(fleet):
    fleet.reported_version = "1.0.0"
    async with fleet.running():
        result = await fleet.result_of_job()
    assert (result["status"], result["statusDetails"]["returned"]) == ("FAILED", "yes")
    assert "hello: the control plane has not received it" in result["statusDetails"]["message"]
    assert fleet.host.starts == ["1.0.0", "2.0.0", "1.0.0"]


async def test_a_check_that_failed_before_does_not_revert_the_update(fleet):
    fleet.failing_checks = {"root /data": "/data does not exist"}
    async with fleet.running():
        assert (await fleet.result_of_job())["status"] == "SUCCEEDED"


async def test_a_newly_failing_check_reverts_the_update(fleet):
    original_restart = fleet.host.restart

    def restart():
        original_restart()
        fleet.failing_checks = {"lane port": "nothing answers"} if fleet.host.running == "2.0.0" else {}

    fleet.host.restart = restart
    async with fleet.running():
        result = await fleet.result_of_job()
    assert result["statusDetails"]["returned"] == "yes"
    told = problem_of(result["statusDetails"])
    assert told == UPDATE_CHECKS_FAILED.problem(
        version="2.0.0", seconds=10, checks="lane port", troubles="lane port: nothing answers"
    )


async def test_a_clock_that_was_wrong_before_and_goes_on_does_not_revert_the_update(fleet):
    """What a check finds may differ from second to second: it is the check that failed before."""
    fleet.failing_checks = {"clock": "400 s ahead"}
    original_restart = fleet.host.restart

    def restart():
        original_restart()
        fleet.failing_checks = {"clock": "401 s ahead"}

    fleet.host.restart = restart
    async with fleet.running():
        assert (await fleet.result_of_job())["status"] == "SUCCEEDED"


async def test_a_job_without_a_signed_order_runs_nothing(fleet):
    fleet.refusal = UPDATE_ABORTED.problem(failed=1, total=2, stage=1, agent_id="server-c")
    async with fleet.running():
        result = await fleet.result_of_job()
    assert (result["status"], problem_of(result["statusDetails"])) == ("FAILED", fleet.refusal)
    assert fleet.host.starts == ["1.0.0"]


async def test_an_order_signed_with_another_key_is_refused_and_reported(fleet):
    fleet.signer = Signer()
    async with fleet.running():
        result = await fleet.result_of_job()
    assert result["statusDetails"]["wording"] == "updater-silent"
    assert fleet.host.kept == ["1.0.0"]


async def test_a_missing_updater_is_reported(fleet):
    async with fleet.running(updater=False):
        assert (await fleet.result_of_job())["statusDetails"]["wording"] == "updater-silent"
    assert not fleet.host.notes.request.exists()


async def test_an_agent_that_was_not_installed_by_the_script_declines(fleet):
    async with fleet.running(installed=False):
        assert (await fleet.result_of_job())["status"] == "REJECTED"


async def test_while_the_control_plane_is_unreachable_it_asks_again(fleet):
    fleet.is_api_unreachable = True
    async with fleet.running():
        await until(
            lambda: sum(topic == TOPICS.jobs_request(THING) for topic, *_ in fleet.link.published) > 2
        )
        fleet.is_api_unreachable = False
        assert (await fleet.result_of_job())["status"] == "SUCCEEDED"


async def test_a_version_that_is_installed_already_is_a_success(fleet):
    fleet.version = "1.0.0"
    async with fleet.running():
        assert (await fleet.result_of_job())["status"] == "SUCCEEDED"
    assert fleet.host.starts == ["1.0.0"]


async def test_other_messages_are_ignored_and_malformed_jobs_survived(fleet):
    updates = UpdateJobs(
        fleet.link, THING, TOPICS, Installation(None, fleet.host.notes, set), fleet.fetch_order, QUICK
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
    reported_version = []
    async for message in fleet.link.messages():
        reported_version.append(updates.on_message(message))
        if len(reported_version) == 7:
            break
    assert reported_version == [False] + [True] * 6
    assert updates._executions.empty()
