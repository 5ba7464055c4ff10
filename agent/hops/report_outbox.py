"""Send reports: those that must arrive through the journal, in order; the others now or never."""

import asyncio
import json
import logging
from datetime import UTC, datetime
from typing import TypeVar

from agent.cloud.messages import BrokerConnection, LinkError, MessageTooLargeError
from agent.hops.journal import Journal, Unsent
from agent.hops.live_leases import LiveLeases
from agent.report_limits import MAX_REPORT_BYTES, bare_report, clip_text, fit_report, message_size
from events.commands import HopCommand
from events.progress import Live, Progress
from events.reports import AboutHop, Report, ReportEnvelope
from events.topics import Topics

log = logging.getLogger(__name__)

AnyReport = TypeVar("AnyReport", bound=Report)

MAX_LIVE_NAME_BYTES = 1024
"""Bytes of a file name in live progress, as JSON."""
RETRY_DELAY_S = 2.0
"""Seconds before a report that the broker did not take is sent again."""


class ReportOutbox:
    """One agent's outgoing reports."""

    def __init__(
        self,
        journal: Journal,
        link: BrokerConnection,
        topics: Topics,
        thing: str,
        watches: LiveLeases,
        retry_delay_s: float = RETRY_DELAY_S,
    ) -> None:
        self._journal = journal
        self._link = link
        self._topics = topics
        self._thing = thing
        self._watches = watches
        self._retry_delay_s = retry_delay_s
        self._enqueued = asyncio.Event()
        self._bare_results_sent: dict[str, bool] = {}
        """Hops whose result was enqueued again, once, in its shortest form."""

    def enqueue_for_hop(self, report: AboutHop) -> None:
        """Enqueue a hop's state change or checkpoint; the journal keeps it until the broker has taken it."""
        self._journal.enqueue_report(fitting(report))
        self._enqueued.set()

    def enqueue(self, report: Report) -> None:
        """Enqueue any other report that must arrive even if the broker is unreachable now."""
        self._journal.enqueue(fitting(report))
        self._enqueued.set()

    async def publish(self, report: Report) -> None:
        """Publish now or never.

        Raises LinkError if the link is down.
        """
        message = ReportEnvelope(report=fitting(report)).model_dump_json().encode()
        await self._link.publish(self._topics.reports(self._thing), message)

    async def publish_live(self, command: HopCommand, progress: Progress) -> bool:
        """Publish live progress if someone watches the transfer; return whether it was published.

        It is lost if the broker is unreachable.
        """
        if not (self._watches.is_watched(command.transfer_id) and self._link.connected):
            return False
        live = Live(
            transfer_id=command.transfer_id,
            hop_id=command.hop_id,
            attempt=command.attempt,
            at=now(),
            progress=_with_short_name(progress),
        )
        topic = self._topics.live(self._thing, command.transfer_id, command.hop_id)
        try:
            await self._link.publish(topic, live.model_dump_json().encode(), qos=0)
        except LinkError:
            log.debug("live progress not published", extra={"hop_id": command.hop_id})
            return False
        return True

    async def deliver(self) -> None:
        """Send waiting reports forever, oldest first, one at a time.

        A report stays in the journal until the broker acknowledges it. One that cannot be sent at all is
        discarded or replaced by a shorter one.
        """
        topic = self._topics.reports(self._thing)
        while True:
            self._enqueued.clear()
            unsent = self._journal.oldest_unsent()
            if unsent is None:
                await self._enqueued.wait()
                continue
            if not self._is_sendable(unsent):
                continue
            await self._link.wait_connected()
            try:
                await self._link.publish(topic, unsent.envelope.encode())
            except MessageTooLargeError as error:
                self._shorten(unsent, str(error))
            except LinkError as error:
                facts = {"hop_id": unsent.hop_id, "reason": str(error), "unsent": self._journal.unsent()}
                log.warning("report waits", extra=facts)
                await asyncio.sleep(self._retry_delay_s)
            else:
                self._journal.sent(unsent.number)

    def _is_sendable(self, unsent: Unsent) -> bool:
        """Return whether a report can be sent as it is; otherwise replace or discard it.

        An older agent may have written it too large, or it is damaged. A report of a kind that only a newer
        agent knows is sent as it is.
        """
        try:
            json.loads(unsent.envelope)
            if len(unsent.envelope.encode()) <= MAX_REPORT_BYTES:
                return True
            self._replace(unsent, fitting(ReportEnvelope.model_validate_json(unsent.envelope).report))
        except (ValueError, RecursionError) as error:
            self._discard(unsent, str(error))
        return False

    def _shorten(self, unsent: Unsent, reason: str) -> None:
        """Replace a report that the broker has refused for its size by its shortest form."""
        facts = {"hop_id": unsent.hop_id, "bytes": len(unsent.envelope), "reason": reason}
        log.error("report refused for its size", extra=facts)
        try:
            bare = bare_report(ReportEnvelope.model_validate_json(unsent.envelope).report)
        except ValueError as error:
            return self._discard(unsent, str(error))
        if message_size(bare) >= len(unsent.envelope.encode()):
            return self._discard(unsent, reason)
        return self._replace(unsent, bare)

    def _replace(self, unsent: Unsent, report: Report) -> None:
        """Put a shorter report in its place, or discard it if that one is too large, too."""
        if message_size(report) > MAX_REPORT_BYTES:
            return self._discard(unsent, "it cannot be shortened enough")
        facts = {"hop_id": unsent.hop_id, "kind": report.kind, "bytes": len(unsent.envelope)}
        log.warning("report shortened", extra=facts)
        return self._journal.replace_unsent(unsent.number, report)

    def _discard(self, unsent: Unsent, reason: str) -> None:
        """Quarantine a report; of a hop that has ended, enqueue its result again as the journal knows it."""
        record = self._journal.hop(unsent.hop_id) if unsent.hop_id else None
        with self._journal.change():
            self._journal.discard_unsent(unsent, reason)
            if (
                record
                and record.end
                and unsent.kind == record.end.kind
                and not self._bare_results_sent.get(record.hop_id)
            ):
                self._bare_results_sent[record.hop_id] = True
                self._journal.enqueue_report(bare_report(record.end))


def fitting(report: AnyReport) -> AnyReport:
    """Return the report, shortened if it is too large for one message."""
    return fit_report(report, MAX_REPORT_BYTES)


def _with_short_name(progress: Progress) -> Progress:
    """Return the progress with its file name clipped: a name may take 20 KiB as JSON, every second."""
    if progress.current is None:
        return progress
    return progress.model_copy(update={"current": clip_text(progress.current, MAX_LIVE_NAME_BYTES)})


def now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)
