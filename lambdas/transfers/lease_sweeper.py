"""Once a minute, handle expired leases, due retries, and hops that were not checked for long.

They are found by the sparse index `due`, so an idle table costs one empty query. A retry does not wait for
the minute: its hop is checked when it is due. The sweep finds those whose message was lost.
"""

from collections.abc import Callable
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

BATCH_SIZE = 500
"""Hops per sweep, the longest overdue first; the rest is handled by the next sweep."""
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
    ) -> None:
        """Create a sweeper; `cut` ends an agent's connection and its session at the broker."""
        self._store = store
        self._writer = writer
        self._stream_handler = stream_handler
        self._clock = clock
        self._cut = cut

    def sweep(self) -> int:
        """Handle every overdue hop and return how many; failures do not stop the others.

        Raises:
            ExceptionGroup: the failures of single hops, raised at the end.
        """
        start = self._clock()
        done, failures, deaf = 0, [], set[AgentId]()
        for key in self._store.due(start, BATCH_SIZE):
            if self._clock() - start > MAX_RUN_TIME:
                break
            done += 1
            try:
                deaf |= {agent_id for agent_id in [self.check(*key)] if agent_id}
            except Exception as failure:
                logger.exception("hop not swept", extra={"transfer_id": key[0], "hop": key[1]})
                failures.append(failure)
        if done:  # CloudWatch bills a metric for each hour in which it is written
            count("HopsOverdue", done)
        for agent_id in deaf:
            self._cut_deaf(agent_id)
        if failures:
            raise ExceptionGroup("hops that could not be swept", failures)
        return done

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
