"""The agent's side of updates: told of one by IoT Jobs, it asks for the signed order and shows it to the
host's updater. How it ended, old version or new, whichever runs tells IoT Jobs.

Nothing of it has to be remembered here: IoT Jobs tells of a job until it has ended, and the updater's record
says how far it is. So a restart in the middle, which every update has, needs no thought.
"""

import asyncio
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass

from pydantic import ValidationError

from agent import VERSION
from agent.cloud.messages import BrokerConnection, LinkError, ReceivedMessage
from agent.errors import HostError
from agent.files.disk import atomic_write
from agent.identity.registration import SECRET
from agent.updating.releases import Releases
from agent.updating.state_files import HealthReport, UpdateFiles, UpdateRecord, read_record
from events.base import UpdateId
from events.commands import CommandEnvelope
from events.topics import Topics
from events.updates import JobAnswer, JobDocument, JobExecution, UpdateOrderView, UpdateResult

log = logging.getLogger(__name__)

_MAX_REASON_CHARS = 1000
"""Of a reason: IoT Jobs takes 1024 characters."""


@dataclass(frozen=True)
class UpdateIntervals:
    """Seconds."""

    look: float = 0.5
    """Between two looks at the updater's record."""
    again: float = 30.0
    """Until what could not be asked is asked again."""
    health: float = 3.0
    """Between two looks at a new version's health."""
    taken: float = 60.0
    """Within which the updater takes an order up."""


DEFAULT_INTERVALS = UpdateIntervals()


@dataclass(frozen=True)
class Installation:
    """What the agent knows of where it is installed."""

    releases: Releases | None
    """None: it was not installed by the script, so there is nothing that could update it."""
    notes: UpdateFiles
    sick: Callable[[], set[str]]
    """What the doctor finds wrong; takes its time."""
    version: str = VERSION

    @property
    def record(self) -> UpdateRecord | None:
        return read_record(self.releases.record) if self.releases else None


class UpdateJobs:
    """One agent's. `run` is a task of the service."""

    def __init__(
        self,
        link: BrokerConnection,
        thing: str,
        topics: Topics,
        host: Installation,
        ask: Callable[[UpdateId], UpdateOrderView],
        pace: UpdateIntervals = DEFAULT_INTERVALS,
    ) -> None:
        """`thing` is the agent's in IoT Core. `ask` asks the control plane, in a thread; HostError where it
        does not answer."""
        self._link = link
        self._thing = thing
        self._topics = topics
        self._host = host
        self._ask = ask
        self._pace = pace
        self._news = asyncio.Event()
        self._told: asyncio.Queue[JobExecution] = asyncio.Queue()
        self._hears = {
            topics.job_notifications(thing): self._on_jobs_changed,
            topics.jobs_response(thing): self._on_jobs_answer,
        }

    def on_message(self, letter: ReceivedMessage) -> bool:
        """Was it about jobs?"""
        take = self._hears.get(letter.topic)
        if take:
            take(letter.payload)
        return take is not None

    def on_connected(self) -> None:
        """Something may have been told while nobody listened."""
        self._news.set()

    def _on_jobs_changed(self, _: bytes) -> None:
        self._news.set()

    def _on_jobs_answer(self, answer: bytes) -> None:
        try:
            told = JobAnswer.model_validate_json(answer)
        except ValidationError:
            log.warning("a job that is no update of ours")
            return
        if told.execution and self._told.empty():
            self._told.put_nowait(told.execution)

    async def run(self) -> None:
        """For ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._ask_for_jobs())
            group.create_task(self._do_jobs())

    async def _ask_for_jobs(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            try:
                await self._link.publish(self._topics.jobs_request(self._thing), b"{}")
            except LinkError as error:
                log.info("jobs not asked for", extra={"reason": str(error)})  # the next connection asks

    async def _do_jobs(self) -> None:
        while True:
            job = await self._told.get()
            try:
                await self._publish_result(job, await self._result(job.jobDocument))
                self._told = asyncio.Queue()  # what was said meanwhile is old; IoT Jobs tells of the next
            except (HostError, LinkError, OSError) as error:
                log.warning("update waits", extra={"reason": str(error)})
                await asyncio.sleep(self._pace.again)
                self._news.set()
            except Exception as error:  # it would keep back every job behind it
                log.exception("update failed", extra={"job": job.jobId})
                await self._give_up(job, error)

    async def _give_up(self, job: JobExecution, error: Exception) -> None:
        """If that cannot be told now, the next connection brings the job again."""
        words = f"the agent cannot carry it out: {type(error).__name__}: {error}"
        try:
            await self._publish_result(job, _ended("FAILED", words))
        except LinkError as lost:
            log.warning("update waits", extra={"reason": str(lost)})

    async def _publish_result(self, job: JobExecution, outcome: UpdateResult) -> None:
        topic = self._topics.job_result(self._thing, job.jobId)
        await self._link.publish(topic, outcome.model_dump_json().encode())
        log.info("update told", extra={"job": job.jobId, "outcome": outcome.status, **outcome.statusDetails})

    async def _result(self, wanted: JobDocument) -> UpdateResult:
        """How it has ended; this may take as long as it takes, and the agent may be restarted in between."""
        record = self._record(wanted.update_id)
        if record is None:
            if wanted.version == self._host.version:
                return UpdateResult(status="SUCCEEDED")
            if refusal := await self._submit_order(wanted):
                return refusal
        return _told(await self._over(wanted.update_id))

    def _record(self, update_id: UpdateId) -> UpdateRecord | None:
        record = self._host.record
        return record if record and record.order.update_id == update_id else None

    async def _submit_order(self, wanted: JobDocument) -> UpdateResult | None:
        """Show the order to the updater; what came of it if that does not take it up."""
        if self._host.releases is None:
            return _ended("REJECTED", "this agent was not installed by the script, so nothing can update it")
        view = await asyncio.to_thread(self._ask, wanted.update_id)
        if view.token is None:
            return _ended("FAILED", view.reason or "the control plane does not want it any more")
        sick = await asyncio.to_thread(self._host.sick)
        self._write(sick, CommandEnvelope(token=view.token))
        for _ in range(round(self._pace.taken / self._pace.look)):
            if self._record(wanted.update_id):
                return None
            await asyncio.sleep(self._pace.look)
        self._host.notes.request.unlink(missing_ok=True)
        return _ended("FAILED", "the host's updater does not take it: see `journalctl -u crosshaul-update`")

    def _write(self, sick: set[str], order: CommandEnvelope) -> None:
        """The order last: it is the sign."""
        notes = self._host.notes
        atomic_write(notes.sick, json.dumps(sorted(sick)).encode(), SECRET)
        atomic_write(notes.request, order.model_dump_json().encode(), SECRET)

    async def _over(self, update_id: UpdateId) -> UpdateRecord:
        """The updater's record, once it has ended; on trial, the new version shows how it does meanwhile."""
        said: HealthReport | None = None
        while (record := self._record(update_id)) is None or record.is_under_way:
            if record and self._is_on_trial(record) and not (said and said.healthy):
                said = await self._report_health(record)
            await asyncio.sleep(self._pace.look if not said or said.healthy else self._pace.health)
        return record

    def _is_on_trial(self, record: UpdateRecord) -> bool:
        return record.step == "trying" and record.order.version == self._host.version

    async def _report_health(self, record: UpdateRecord) -> HealthReport:
        troubles = await self._failing_checks(record.order.update_id)
        said = HealthReport(
            update_id=record.order.update_id,
            version=self._host.version,
            healthy=not troubles,
            troubles=troubles,
        )
        atomic_write(self._host.notes.verdict, said.model_dump_json().encode(), SECRET)
        log.info("on trial", extra={"healthy": said.healthy, "troubles": "; ".join(troubles)})
        return said

    async def _failing_checks(self, update_id: UpdateId) -> tuple[str, ...]:
        """Healthy is: connected, the control plane has heard of the new version, and the doctor finds nothing
        that was right before."""
        if not self._link.connected:
            return ("not connected",)
        try:
            heard = (await asyncio.to_thread(self._ask, update_id)).reported_version
        except HostError as error:
            return (f"the control plane does not answer: {error}",)
        if heard != self._host.version:
            return ("the control plane has not heard of it",)
        return tuple(sorted(await asyncio.to_thread(self._host.sick) - self._checks_failing_before()))

    def _checks_failing_before(self) -> set[str]:
        """Nothing if what was noted is gone or cannot be read: then every trouble counts as new."""
        try:
            found = json.loads(self._host.notes.sick.read_bytes())
        except (OSError, ValueError, RecursionError):
            return set()
        return {str(one) for one in found} if isinstance(found, list) else set()


def _told(record: UpdateRecord) -> UpdateResult:
    if record.step == "kept":
        return UpdateResult(status="SUCCEEDED")
    return _ended("FAILED", record.reason, returned=record.step == "returned")


def _ended(status: str, reason: str, *, returned: bool = False) -> UpdateResult:
    words = "".join(letter if letter.isprintable() else " " for letter in reason)[:_MAX_REASON_CHARS]
    details = {"reason": words or "no reason was given", "returned": "yes" if returned else "no"}
    return UpdateResult.model_validate({"status": status, "statusDetails": details})
