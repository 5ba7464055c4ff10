"""Once a minute: leases that ran out, retries whose time has come, hops that nobody looked at for long.

Found by the sparse index `due`, so an idle table costs one query that answers nothing.
"""

from datetime import timedelta

from lambdas.domain.errors import StaleError, TransferUnknownError
from lambdas.domain.hop_changes import lease_expired, rescheduled
from lambdas.domain.timeline import CROSSHAUL
from lambdas.ports import Clock
from lambdas.store.transfers import HopKey, TransferStore
from lambdas.telemetry import count, logger
from lambdas.transfers.stream_handler import StreamHandler
from lambdas.transfers.writer import TransferWriter, one_hop

BATCH_SIZE = 500
"""Hops a minute; the rest has its turn in the next one, the longest overdue first."""
MAX_RUN_TIME = timedelta(seconds=40)
"""Then the rest waits as well: the next minute's sweep is due."""


class LeaseSweeper:
    def __init__(
        self, store: TransferStore, changing: TransferWriter, reactions: StreamHandler, clock: Clock
    ) -> None:
        self._store = store
        self._changing = changing
        self._reactions = reactions
        self._clock = clock

    def sweep(self) -> int:
        """Look after every overdue hop; returns how many. One that fails does not keep the others waiting:
        what went wrong is raised at the end, all together."""
        start = self._clock()
        done, failures = 0, []
        for key in self._store.due(start, BATCH_SIZE):
            if self._clock() - start > MAX_RUN_TIME:
                break
            done += 1
            if failure := self._try(key):
                failures.append(failure)
        count("HopsOverdue", done)
        if failures:
            raise ExceptionGroup("hops that could not be swept", failures)
        return done

    def _try(self, key: HopKey) -> Exception | None:
        try:
            self._look_after(*key)
        except (StaleError, TransferUnknownError):
            # Someone else is at it, or it is gone and the index has not noticed.
            return None
        except Exception as failure:
            logger.exception("hop not swept", extra={"transfer_id": key[0], "hop": key[1]})
            return failure
        return None

    def _look_after(self, transfer_id: str, number: int) -> None:
        outcome = self._changing.change(transfer_id, one_hop(number, lease_expired, CROSSHAUL))
        if outcome.changed:
            logger.info("lease ran out", extra={"transfer_id": transfer_id, "hop": number})
            return
        self._reactions.advance(outcome.transfer)
        hop = self._store.hop(transfer_id, number)
        new = rescheduled(hop, self._clock()) if hop else None
        if hop and new and new != hop:
            self._store.update_hop(hop, new)
