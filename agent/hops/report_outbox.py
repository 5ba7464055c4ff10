"""How reports leave: those that must arrive by way of the journal, in order; the rest now or never."""

import asyncio
import json
import logging
from datetime import UTC, datetime
from typing import TypeVar

from agent.cloud.messages import BrokerConnection, LinkError, MessageTooLargeError
from agent.hops.journal import Journal, Unsent
from agent.report_limits import MAX_REPORT_BYTES, bare_report, clip_text, fit_report, message_size
from events.commands import HopCommand
from events.progress import Live, Progress
from events.reports import AboutHop, Report, ReportEnvelope
from events.topics import Topics

log = logging.getLogger(__name__)

AnyReport = TypeVar("AnyReport", bound=Report)

MAX_MESSAGE_BYTES = MAX_REPORT_BYTES
MAX_LIVE_NAME_BYTES = 1024
RETRY_DELAY_S = 2.0
"""Seconds before a report that the broker did not take is sent again."""


class ReportOutbox:
    """One agent's outgoing letters."""

    def __init__(
        self,
        journal: Journal,
        link: BrokerConnection,
        topics: Topics,
        thing: str,
        retry_after: float = RETRY_DELAY_S,
    ) -> None:
        self._journal = journal
        self._link = link
        self._topics = topics
        self._thing = thing
        self._retry_after = retry_after
        self._news = asyncio.Event()
        self._said_bare: dict[str, bool] = {}
        """Hops whose end was said again, once, in its shortest form."""

    def enqueue_for_hop(self, report: AboutHop) -> None:
        """A change of a hop's state, or a checkpoint: it waits on the disk until the broker has it."""
        self._journal.enqueue_report(fitting(report))
        self._news.set()

    def enqueue(self, report: Report) -> None:
        """Anything else that should arrive though the broker is away now."""
        self._journal.enqueue(fitting(report))
        self._news.set()

    async def publish(self, report: Report) -> None:
        """Only worth saying now; LinkError when it cannot be."""
        letter = ReportEnvelope(report=fitting(report)).model_dump_json().encode()
        await self._link.publish(self._topics.reports(self._thing), letter)

    async def publish_live(self, about: HopCommand, progress: Progress) -> None:
        """Live progress: lost when nobody listens or the broker is away."""
        if not self._link.connected:
            return
        live = Live(
            transfer_id=about.transfer_id,
            hop_id=about.hop_id,
            attempt=about.attempt,
            at=now(),
            progress=_brief(progress),
        )
        topic = self._topics.live(self._thing, about.transfer_id, about.hop_id)
        try:
            await self._link.publish(topic, live.model_dump_json().encode(), qos=0)
        except LinkError:
            log.debug("live progress lost", extra={"hop_id": about.hop_id})

    async def deliver(self) -> None:
        """Send what waits, oldest first, one at a time, for ever. Reports are kept until acknowledged. One
        that cannot be sent at all leaves the queue, or leaves a shorter one in its place."""
        topic = self._topics.reports(self._thing)
        while True:
            self._news.clear()
            unsent = self._journal.oldest_unsent()
            if unsent is None:
                await self._news.wait()
                continue
            if not self._is_sendable(unsent):
                continue
            await self._link.wait_connected()
            try:
                await self._link.publish(topic, unsent.envelope.encode())
            except MessageTooLargeError as error:
                self._shorten(unsent, str(error))
            except LinkError as error:
                log.warning("report waits", extra={"reason": str(error), "unsent": self._journal.unsent()})
                await asyncio.sleep(self._retry_after)
            else:
                self._journal.sent(unsent.number)

    def _is_sendable(self, unsent: Unsent) -> bool:
        """Otherwise something was done about it: an older agent wrote it too large, or it is damaged. One
        that a newer agent wrote may be of a kind that is not known here; it is sent as it is."""
        try:
            json.loads(unsent.envelope)
            if len(unsent.envelope.encode()) <= MAX_MESSAGE_BYTES:
                return True
            self._replace(unsent, fitting(ReportEnvelope.model_validate_json(unsent.envelope).report))
        except (ValueError, RecursionError) as error:
            self._give_up(unsent, str(error))
        return False

    def _shorten(self, unsent: Unsent, reason: str) -> None:
        """The broker has refused it for its size, though it takes more by its own account."""
        log.error("report refused for its size", extra={"bytes": len(unsent.envelope), "reason": reason})
        try:
            bare = bare_report(ReportEnvelope.model_validate_json(unsent.envelope).report)
        except ValueError as error:
            return self._give_up(unsent, str(error))
        if message_size(bare) >= len(unsent.envelope.encode()):
            return self._give_up(unsent, reason)
        return self._replace(unsent, bare)

    def _replace(self, unsent: Unsent, report: Report) -> None:
        if message_size(report) > MAX_MESSAGE_BYTES:
            return self._give_up(unsent, "it cannot be made to fit")
        log.warning("report shortened", extra={"kind": report.kind, "bytes": len(unsent.envelope)})
        return self._journal.replace_unsent(unsent.number, report)

    def _give_up(self, unsent: Unsent, reason: str) -> None:
        """Set it aside; of a hop that has ended, its end is said again as the journal knows it."""
        held = self._journal.hop(unsent.hop_id) if unsent.hop_id else None
        with self._journal.change():
            self._journal.discard_unsent(unsent, reason)
            if held and held.end and unsent.kind == held.end.kind and not self._said_bare.get(held.hop_id):
                self._said_bare[held.hop_id] = True
                self._journal.enqueue_report(bare_report(held.end))


def fitting(report: AnyReport) -> AnyReport:
    """The report, with less in it if it is too large for one message."""
    return fit_report(report, MAX_MESSAGE_BYTES)


def _brief(progress: Progress) -> Progress:
    """A name may take 20 KiB as JSON, and is sent every second."""
    if progress.current is None:
        return progress
    return progress.model_copy(update={"current": clip_text(progress.current, MAX_LIVE_NAME_BYTES)})


def now() -> datetime:
    return datetime.now(UTC)
