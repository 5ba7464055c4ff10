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
from agent.disk import write_whole
from agent.failure import HostError
from agent.letters import Incoming, LinkError, Post
from agent.registration import SECRET
from agent.updating.notes import Notes, Record, Verdict, read_record
from agent.updating.releases import Releases
from events.base import UpdateId
from events.commands import Order
from events.topics import Topics
from events.updates import JobAnswer, JobDocument, JobExecution, JobOutcome, UpdateOrderView

log = logging.getLogger(__name__)

_MOST_WORDS = 1000
"""Of a reason: IoT Jobs takes 1024 characters."""


@dataclass(frozen=True)
class Pace:
    """Seconds."""

    look: float = 0.5
    """Between two looks at the updater's record."""
    again: float = 30.0
    """Until what could not be asked is asked again."""
    health: float = 3.0
    """Between two looks at a new version's health."""
    taken: float = 60.0
    """Within which the updater takes an order up."""


DEFAULT_PACE = Pace()


@dataclass(frozen=True)
class Host:
    """What the agent knows of where it is installed."""

    releases: Releases | None
    """None: it was not installed by the script, so there is nothing that could update it."""
    notes: Notes
    sick: Callable[[], set[str]]
    """What the doctor finds wrong; takes its time."""
    version: str = VERSION

    @property
    def record(self) -> Record | None:
        return read_record(self.releases.record) if self.releases else None


class Updates:
    """One agent's. `run` is a task of the service."""

    def __init__(
        self,
        link: Post,
        thing: str,
        topics: Topics,
        host: Host,
        ask: Callable[[UpdateId], UpdateOrderView],
        pace: Pace = DEFAULT_PACE,
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
        self._hears = {topics.job_news(thing): self._stir, topics.job_answer(thing): self._listen}

    def heard(self, letter: Incoming) -> bool:
        """Was it about jobs?"""
        take = self._hears.get(letter.topic)
        if take:
            take(letter.payload)
        return take is not None

    def connected(self) -> None:
        """Something may have been told while nobody listened."""
        self._news.set()

    def _stir(self, _: bytes) -> None:
        self._news.set()

    def _listen(self, answer: bytes) -> None:
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
                await self._link.publish(self._topics.job_asked(self._thing), b"{}")
            except LinkError as error:
                log.info("jobs not asked for", extra={"reason": str(error)})  # the next connection asks

    async def _do_jobs(self) -> None:
        while True:
            job = await self._told.get()
            try:
                await self._tell(job, await self._outcome(job.jobDocument))
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
            await self._tell(job, _ended("FAILED", words))
        except LinkError as lost:
            log.warning("update waits", extra={"reason": str(lost)})

    async def _tell(self, job: JobExecution, outcome: JobOutcome) -> None:
        topic = self._topics.job_outcome(self._thing, job.jobId)
        await self._link.publish(topic, outcome.model_dump_json().encode())
        log.info("update told", extra={"job": job.jobId, "outcome": outcome.status, **outcome.statusDetails})

    async def _outcome(self, wanted: JobDocument) -> JobOutcome:
        """How it has ended; this may take as long as it takes, and the agent may be restarted in between."""
        record = self._record(wanted.update_id)
        if record is None:
            if wanted.version == self._host.version:
                return JobOutcome(status="SUCCEEDED")
            if refusal := await self._hand_over(wanted):
                return refusal
        return _told(await self._over(wanted.update_id))

    def _record(self, update_id: UpdateId) -> Record | None:
        record = self._host.record
        return record if record and record.order.update_id == update_id else None

    async def _hand_over(self, wanted: JobDocument) -> JobOutcome | None:
        """Show the order to the updater; what came of it if that does not take it up."""
        if self._host.releases is None:
            return _ended("REJECTED", "this agent was not installed by the script, so nothing can update it")
        view = await asyncio.to_thread(self._ask, wanted.update_id)
        if view.token is None:
            return _ended("FAILED", view.reason or "the control plane does not want it any more")
        sick = await asyncio.to_thread(self._host.sick)
        self._write(sick, Order(token=view.token))
        for _ in range(round(self._pace.taken / self._pace.look)):
            if self._record(wanted.update_id):
                return None
            await asyncio.sleep(self._pace.look)
        self._host.notes.request.unlink(missing_ok=True)
        return _ended("FAILED", "the host's updater does not take it: see `journalctl -u crosshaul-update`")

    def _write(self, sick: set[str], order: Order) -> None:
        """The order last: it is the sign."""
        notes = self._host.notes
        write_whole(notes.sick, json.dumps(sorted(sick)).encode(), SECRET)
        write_whole(notes.request, order.model_dump_json().encode(), SECRET)

    async def _over(self, update_id: UpdateId) -> Record:
        """The updater's record, once it has ended; on trial, the new version shows how it does meanwhile."""
        said: Verdict | None = None
        while (record := self._record(update_id)) is None or record.is_under_way:
            if record and self._is_on_trial(record) and not (said and said.healthy):
                said = await self._say_how_it_does(record)
            await asyncio.sleep(self._pace.look if not said or said.healthy else self._pace.health)
        return record

    def _is_on_trial(self, record: Record) -> bool:
        return record.step == "trying" and record.order.version == self._host.version

    async def _say_how_it_does(self, record: Record) -> Verdict:
        troubles = await self._troubles(record.order.update_id)
        said = Verdict(
            update_id=record.order.update_id,
            version=self._host.version,
            healthy=not troubles,
            troubles=troubles,
        )
        write_whole(self._host.notes.verdict, said.model_dump_json().encode(), SECRET)
        log.info("on trial", extra={"healthy": said.healthy, "troubles": "; ".join(troubles)})
        return said

    async def _troubles(self, update_id: UpdateId) -> tuple[str, ...]:
        """Healthy is: connected, the control plane has heard of the new version, and the doctor finds nothing
        that was right before."""
        if not self._link.connected:
            return ("not connected",)
        try:
            heard = (await asyncio.to_thread(self._ask, update_id)).heard
        except HostError as error:
            return (f"the control plane does not answer: {error}",)
        if heard != self._host.version:
            return ("the control plane has not heard of it",)
        return tuple(sorted(await asyncio.to_thread(self._host.sick) - self._were_sick()))

    def _were_sick(self) -> set[str]:
        """Nothing if what was noted is gone or cannot be read: then every trouble counts as new."""
        try:
            found = json.loads(self._host.notes.sick.read_bytes())
        except (OSError, ValueError, RecursionError):
            return set()
        return {str(one) for one in found} if isinstance(found, list) else set()


def _told(record: Record) -> JobOutcome:
    if record.step == "kept":
        return JobOutcome(status="SUCCEEDED")
    return _ended("FAILED", record.reason, returned=record.step == "returned")


def _ended(status: str, reason: str, *, returned: bool = False) -> JobOutcome:
    words = "".join(letter if letter.isprintable() else " " for letter in reason)[:_MOST_WORDS]
    details = {"reason": words or "no reason was given", "returned": "yes" if returned else "no"}
    return JobOutcome.model_validate({"status": status, "statusDetails": details})
