"""The agent's side of updates, which IoT Jobs announces.

The agent fetches the signed order and passes it to the host's updater. The result is reported to IoT Jobs by
whichever version runs then. Nothing has to be remembered here: IoT Jobs announces a job until it has ended,
and the updater's record holds its state. So the restart in the middle of every update needs no special
handling.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from pydantic import ValidationError

from agent import VERSION
from agent.cloud.messages import BrokerConnection, LinkError, ReceivedMessage
from agent.errors import HostError
from agent.files.disk import atomic_write
from agent.identity.registration import SECRET
from agent.problems import UPDATE_FAILED, UPDATE_IMPOSSIBLE, UPDATER_SILENT
from agent.updating.releases import Releases
from agent.updating.state_files import HealthReport, UpdateFiles, UpdateRecord, read_record
from events.base import Problem, UpdateId
from events.commands import CommandEnvelope
from events.topics import Topics
from events.updates import (
    JobAnswer,
    JobDocument,
    JobExecution,
    UpdateOrderView,
    UpdateResult,
    failure_details,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class UpdateIntervals:
    """Seconds."""

    poll: float = 0.5
    """Seconds between two reads of the updater's record."""
    retry: float = 30.0
    """Seconds until a failed request is sent again."""
    health: float = 3.0
    """Seconds between two checks of a new version's health."""
    pickup: float = 60.0
    """Seconds within which the updater must start an order."""


DEFAULT_INTERVALS = UpdateIntervals()


@dataclass(frozen=True)
class Installation:
    """What the agent knows about its own installation."""

    releases: Releases | None
    """None: it was not installed by the script, so it cannot be updated."""
    files: UpdateFiles
    failing_checks: Callable[[], dict[str, str]]
    """Returns what the doctor's failing checks found, by their names; slow."""
    version: str = VERSION

    @property
    def record(self) -> UpdateRecord | None:
        """Return the updater's record."""
        return read_record(self.releases.record) if self.releases else None


class UpdateJobs:
    """One agent's update jobs. `run` is a task of the service."""

    def __init__(
        self,
        link: BrokerConnection,
        thing: str,
        topics: Topics,
        host: Installation,
        fetch_order: Callable[[UpdateId], UpdateOrderView],
        intervals: UpdateIntervals = DEFAULT_INTERVALS,
    ) -> None:
        """Create the jobs of an agent.

        `thing` is its name in IoT Core. `fetch_order` asks the control plane, in a thread; it raises
        HostError if that does not answer.
        """
        self._link = link
        self._thing = thing
        self._topics = topics
        self._host = host
        self._fetch_order = fetch_order
        self._intervals = intervals
        self._ask_again = asyncio.Event()
        self._executions: asyncio.Queue[JobExecution] = asyncio.Queue()
        self._handlers = {
            topics.job_notifications(thing): self._on_jobs_changed,
            topics.jobs_response(thing): self._on_jobs_answer,
        }

    def on_message(self, message: ReceivedMessage) -> bool:
        """Handle a message if it concerns jobs; return whether it does."""
        handler = self._handlers.get(message.topic)
        if handler:
            handler(message.payload)
        return handler is not None

    def on_connected(self) -> None:
        """Ask for jobs: some may have been announced while the agent was offline."""
        self._ask_again.set()

    def _on_jobs_changed(self, _: bytes) -> None:
        self._ask_again.set()

    def _on_jobs_answer(self, payload: bytes) -> None:
        try:
            answer = JobAnswer.model_validate_json(payload)
        except ValidationError:
            log.warning("job ignored: it is not an update")
            return
        if answer.execution and self._executions.empty():
            self._executions.put_nowait(answer.execution)

    async def process_jobs(self) -> None:
        """Ask for jobs and run them, forever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._ask_for_jobs())
            group.create_task(self._run_jobs())

    async def _ask_for_jobs(self) -> None:
        while True:
            await self._ask_again.wait()
            self._ask_again.clear()
            try:
                await self._link.publish(self._topics.jobs_request(self._thing), b"{}")
            except LinkError as error:
                log.info("jobs not asked for", extra={"reason": str(error)})  # the next connection asks again

    async def _run_jobs(self) -> None:
        while True:
            job = await self._executions.get()
            try:
                await self._publish_result(job, await self._result(job.jobDocument))
                self._executions = asyncio.Queue()  # earlier answers are outdated; IoT Jobs sends the next
            except (HostError, LinkError, OSError) as error:
                log.warning("update waits", extra={"reason": str(error)})
                await asyncio.sleep(self._intervals.retry)
                self._ask_again.set()
            except Exception as error:  # the jobs behind it must still run
                log.exception("update failed", extra={"job": job.jobId})
                await self._give_up(job, error)

    async def _give_up(self, job: JobExecution, error: Exception) -> None:
        """Report a failure; if that fails, the next connection brings the job again."""
        problem = UPDATE_FAILED.problem(detail=f"{type(error).__name__}: {error}")
        try:
            await self._publish_result(job, _job_result("FAILED", problem))
        except LinkError as link_error:
            log.warning("update waits", extra={"reason": str(link_error)})

    async def _publish_result(self, job: JobExecution, result: UpdateResult) -> None:
        topic = self._topics.job_result(self._thing, job.jobId)
        await self._link.publish(topic, result.model_dump_json().encode())
        log.info(
            "update result reported",
            # Not all details: one of them is called `message`, as is a field of every log record.
            extra={
                "job": job.jobId,
                "outcome": result.status,
                "reason": result.statusDetails.get("message", ""),
            },
        )

    async def _result(self, document: JobDocument) -> UpdateResult:
        """Run an update and return its result; it may take long, with a restart of the agent in between."""
        record = self._record_of(document.update_id)
        if record is None:
            if document.version == self._host.version:
                return UpdateResult(status="SUCCEEDED")
            if refusal := await self._submit_order(document):
                return refusal
        return _result_of(await self._wait_until_over(document.update_id))

    def _record_of(self, update_id: UpdateId) -> UpdateRecord | None:
        record = self._host.record
        return record if record and record.order.update_id == update_id else None

    async def _submit_order(self, document: JobDocument) -> UpdateResult | None:
        """Pass the order to the updater; return a result only if the updater does not start it."""
        if self._host.releases is None:
            return _job_result("REJECTED", UPDATE_IMPOSSIBLE.problem())
        order = await asyncio.to_thread(self._fetch_order, document.update_id)
        if order.token is None:
            return _job_result("FAILED", order.problem)
        failing_checks = await asyncio.to_thread(self._host.failing_checks)
        self._write(failing_checks, CommandEnvelope(token=order.token))
        for _ in range(round(self._intervals.pickup / self._intervals.poll)):
            if self._record_of(document.update_id):
                return None
            await asyncio.sleep(self._intervals.poll)
        self._host.files.request.unlink(missing_ok=True)
        return _job_result("FAILED", UPDATER_SILENT.problem())

    def _write(self, failing_checks: Iterable[str], order: CommandEnvelope) -> None:
        """Write the failing checks, then the order: its file starts the updater."""
        files = self._host.files
        atomic_write(files.failing_checks, json.dumps(sorted(failing_checks)).encode(), SECRET)
        atomic_write(files.request, order.model_dump_json().encode(), SECRET)

    async def _wait_until_over(self, update_id: UpdateId) -> UpdateRecord:
        """Return the updater's record once the update has ended.

        During the trial, the new version reports its health in the meantime.
        """
        health: HealthReport | None = None
        while (record := self._record_of(update_id)) is None or record.is_under_way:
            if record and self._is_on_trial(record) and not (health and health.healthy):
                health = await self._report_health(record)
            await asyncio.sleep(
                self._intervals.poll if not health or health.healthy else self._intervals.health
            )
        return record

    def _is_on_trial(self, record: UpdateRecord) -> bool:
        return record.step == "trying" and record.order.version == self._host.version

    async def _report_health(self, record: UpdateRecord) -> HealthReport:
        troubles = await self._failing_checks(record.order.update_id)
        health = HealthReport(
            update_id=record.order.update_id,
            version=self._host.version,
            healthy=not troubles,
            troubles=troubles,
        )
        atomic_write(self._host.files.verdict, health.model_dump_json().encode(), SECRET)
        log.info("on trial", extra={"healthy": health.healthy, "troubles": troubles})
        return health

    async def _failing_checks(self, update_id: UpdateId) -> dict[str, str]:
        """Return why the new version is not healthy, by the name of the check; empty if it is.

        It is healthy if it is connected, the control plane has received its Hello, and the doctor finds no
        failing check that passed before.
        """
        if not self._link.connected:
            return {"connection": "not connected"}
        try:
            reported_version = (await asyncio.to_thread(self._fetch_order, update_id)).reported_version
        except HostError as error:
            return {"control plane": f"it does not answer: {error}"}
        if reported_version != self._host.version:
            return {"hello": "the control plane has not received it"}
        before = self._checks_failing_before()
        failing = await asyncio.to_thread(self._host.failing_checks)
        return {name: found for name, found in failing.items() if name not in before}

    def _checks_failing_before(self) -> set[str]:
        """Return the names of the checks that failed before the update.

        Empty if the file is missing or cannot be read: every failing check then counts as new.
        """
        try:
            found = json.loads(self._host.files.failing_checks.read_bytes())
        except (OSError, ValueError, RecursionError):
            return set()
        return {str(one) for one in found} if isinstance(found, list) else set()


def _result_of(record: UpdateRecord) -> UpdateResult:
    if record.step == "kept":
        return UpdateResult(status="SUCCEEDED")
    return _job_result("FAILED", record.problem, returned=record.step == "returned")


def _job_result(
    status: Literal["FAILED", "REJECTED"], problem: Problem | None, *, returned: bool = False
) -> UpdateResult:
    known = problem or UPDATE_FAILED.problem(detail="no reason was given")
    return UpdateResult(status=status, statusDetails=failure_details(known, returned=returned))
