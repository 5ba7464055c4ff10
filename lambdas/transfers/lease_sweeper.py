"""Once a minute, handle expired leases, due retries, and hops that were not checked for long.

They are found by the sparse index `due`, so an idle table costs one empty query. A retry does not wait for
the minute: its hop is checked when it is due. The sweep finds those whose message was lost.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from events.base import AgentId
from lambdas.domain.errors import StaleError, TransferUnknownError
from lambdas.domain.hop_changes import lease_expired, rescheduled
from lambdas.domain.timeline import CROSSHAUL
from lambdas.ports import Clock
from lambdas.store.transfers import TransferStore
from lambdas.telemetry import count, logger
from lambdas.transfers.stream_handler import StreamHandler
from lambdas.transfers.writer import TransferWriter, one_hop

BATCH_SIZE = 10_000
"""Hops per sweep, the longest overdue first; the rest is handled by the next sweep."""
THREADS = 16
"""Transfers checked at the same time: a check waits for some ten answers of DynamoDB, KMS and IoT Core."""
MAX_RUN_TIME = timedelta(seconds=40)
"""Duration after which a sweep stops, since the next one is due soon."""


UNANSWERED_BEFORE_CUT = 2
"""Offers in a row that an agent leaves unanswered until its connection is closed, and again after as many."""


class LeaseSweeper:
    """Handles overdue hops."""

    def __init__(
        self,
        store: TransferStore,
        writer: TransferWriter,
        stream_handler: StreamHandler,
        clock: Clock,
        cut: Callable[[AgentId], None],
        threads: int = THREADS,
    ) -> None:
        """Create a sweeper; `cut` ends an agent's connection and its session at the broker."""
        self._store = store
        self._writer = writer
        self._stream_handler = stream_handler
        self._clock = clock
        self._cut = cut
        self._threads = threads

    def sweep(self) -> int:
        """Handle every overdue hop and return how many; failures do not stop the others.

        Transfers are checked in parallel: after an outage, thousands of leases have lapsed together. Hops of
        one transfer are checked one after the other, since they would write the same header.

        Raises:
            ExceptionGroup: the failures of single hops, raised at the end.
        """
        start = self._clock()
        due: dict[str, list[int]] = {}
        for transfer_id, number in self._store.due(start, BATCH_SIZE):
            due.setdefault(transfer_id, []).append(number)

        def check_hops(transfer_id: str) -> list[AgentId | Exception | None]:
            return [
                self._try(transfer_id, number)
                for number in due[transfer_id]
                if self._clock() - start <= MAX_RUN_TIME
            ]

        with ThreadPoolExecutor(self._threads) as threads:
            results = [result for found in threads.map(check_hops, due) for result in found]
        if results:  # CloudWatch bills a metric for each hour in which it is written
            count("HopsOverdue", len(results))
        for agent_id in sorted({result for result in results if isinstance(result, str)}):
            self._cut_deaf(agent_id)
        if failures := [result for result in results if isinstance(result, Exception)]:
            raise ExceptionGroup("hops that could not be swept", failures)
        return len(results)

    def _try(self, transfer_id: str, number: int) -> AgentId | Exception | None:
        try:
            return self.check(transfer_id, number)
        except Exception as failure:
            logger.exception("hop not swept", extra={"transfer_id": transfer_id, "hop": number})
            return failure

    def check(self, transfer_id: str, number: int) -> AgentId | None:
        """Do what is due for one hop; nothing if it is early, repeated, or already done.

        Return the agent that should answer its offers if it seems not to receive them.
        """
        try:
            return self._advance(transfer_id, number)
        except (StaleError, TransferUnknownError):
            # Another request is changing it, or it was deleted and the index, or a message, lags.
            return None

    def _advance(self, transfer_id: str, number: int) -> AgentId | None:
        result = self._writer.change(transfer_id, one_hop(number, lease_expired, CROSSHAUL))
        if result.changed:
            logger.info("lease ran out", extra={"transfer_id": transfer_id, "hop": number})
            requeued = result.transfer.hops[number]
            # A problem is an answer: the agent heard the offer and declined it.
            unheard = requeued.unanswered and not requeued.problem
            return requeued.carrier if unheard and requeued.unanswered % UNANSWERED_BEFORE_CUT == 0 else None
        self._stream_handler.advance(result.transfer)
        hop, now = self._store.hop(transfer_id, number), self._clock()
        if hop is None or (hop.due_at and hop.due_at > now):  # an early check leaves the next one as it is
            return None
        if (new := rescheduled(hop, now)) != hop:
            self._store.update_hop(hop, new)
        return None

    def _cut_deaf(self, agent_id: AgentId) -> None:
        """Disconnect an agent that leaves offers unanswered.

        One that is online then connects again, without a session: it subscribes anew, and its Hello brings
        what it has missed. Whatever has made it deaf, its own reports could still arrive.
        """
        logger.warning("agent answers no offers: connection cut", extra={"agent_id": agent_id})
        count("AgentsCut")
        self._cut(agent_id)
