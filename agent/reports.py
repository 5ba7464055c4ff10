"""How reports leave: those that must arrive by way of the journal, in order; the rest now or never."""

import asyncio
import logging
from datetime import UTC, datetime
from typing import TypeVar

from agent.journal import Journal
from agent.letters import LinkError, Post
from events.commands import HopCommand
from events.progress import Live, Progress
from events.reports import AboutHop, Browsed, Failed, Letter, Report
from events.topics import Topics

log = logging.getLogger(__name__)

AnyReport = TypeVar("AnyReport", bound=Report)

MAX_LETTER = 120 * 1024
"""Bytes; AWS IoT Core takes 128 KiB in one message."""
RETRY_AFTER = 2.0
"""Seconds before a report that the broker did not take is sent again."""


class Desk:
    """One agent's outgoing letters."""

    def __init__(
        self, journal: Journal, link: Post, topics: Topics, agent_id: str, retry_after: float = RETRY_AFTER
    ) -> None:
        self._journal = journal
        self._link = link
        self._topics = topics
        self._agent_id = agent_id
        self._retry_after = retry_after
        self._news = asyncio.Event()

    def say(self, report: AboutHop) -> None:
        """A change of a hop's state, or a checkpoint: it waits on the disk until the broker has it."""
        self._journal.say(fitting(report))
        self._news.set()

    def post(self, report: Report) -> None:
        """Anything else that should arrive though the broker is away now."""
        self._journal.post(fitting(report))
        self._news.set()

    async def tell(self, report: Report) -> None:
        """Only worth saying now; LinkError when it cannot be."""
        letter = Letter(report=fitting(report)).model_dump_json().encode()
        await self._link.publish(self._topics.reports(self._agent_id), letter)

    async def show(self, about: HopCommand, progress: Progress) -> None:
        """Live progress: lost when nobody listens or the broker is away."""
        if not self._link.connected:
            return
        live = Live(
            transfer_id=about.transfer_id,
            hop_id=about.hop_id,
            attempt=about.attempt,
            at=now(),
            progress=progress,
        )
        topic = self._topics.live(self._agent_id, about.transfer_id, about.hop_id)
        try:
            await self._link.publish(topic, live.model_dump_json().encode(), qos=0)
        except LinkError:
            log.debug("live progress lost", extra={"hop_id": about.hop_id})

    async def deliver(self) -> None:
        """Send what waits, oldest first, one at a time, for ever. Reports are kept until acknowledged."""
        topic = self._topics.reports(self._agent_id)
        while True:
            self._news.clear()
            unsent = self._journal.oldest_unsent()
            if unsent is None:
                await self._news.wait()
                continue
            await self._link.wait_connected()
            try:
                await self._link.publish(topic, unsent.letter.encode())
            except LinkError as error:
                log.warning("report waits", extra={"reason": str(error), "unsent": self._journal.unsent()})
                await asyncio.sleep(self._retry_after)
            else:
                self._journal.sent(unsent.number)


def fitting(report: AnyReport) -> AnyReport:
    """The report, with fewer of its list's entries if it is too large for one message."""
    while len(report.model_dump_json().encode()) > MAX_LETTER:
        if isinstance(report, Failed) and report.failures:
            report = report.model_copy(update={"failures": report.failures[: len(report.failures) // 2]})
        elif isinstance(report, Browsed) and len(report.entries) > 1:
            entries = report.entries[: len(report.entries) // 2]
            report = report.model_copy(update={"entries": entries, "next": entries[-1].name})
        else:
            return report
    return report


def now() -> datetime:
    return datetime.now(UTC)
