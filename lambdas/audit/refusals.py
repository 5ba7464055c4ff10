"""Record equal refusals once an hour, with their number when the hour is over.

A console that polls, or a stranger who knocks at an open route, is refused many times a minute. The audit
can be neither changed nor cleared, so each kind of refusal gets a record at once, and one more at the end of
the hour that says how many followed.
"""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

from lambdas.audit.recorder import RecordStore, new_record_id
from lambdas.domain.errors import StaleError
from lambdas.ports import Clock
from lambdas.store.refusals import RefusalStore
from lambdas.telemetry import logger

END_DELAY = timedelta(minutes=2)
"""How long after its end an hour is summed up, so that a request begun before is counted."""
MAX_HOURS = 26
"""Hours that are looked through after a pause; counts are kept a little longer."""
MAX_RECORDS = 200
"""Records written by one call; the next one goes on."""


class RefusalSummary:
    """Records how often each refusal was repeated, once its hour is over."""

    def __init__(self, refusals: RefusalStore, records: RecordStore, clock: Clock) -> None:
        self._refusals = refusals
        self._records = records
        self._clock = clock
        self._done_until: datetime | None = None

    def write(self) -> None:
        """Write the records of every ended hour; a warm function that has done so reads nothing."""
        now = self._clock().astimezone(UTC)
        ended = (now - END_DELAY).replace(minute=0, second=0, microsecond=0)
        hour = max(self._done_until or ended - timedelta(hours=MAX_HOURS), ended - timedelta(hours=MAX_HOURS))
        remaining = MAX_RECORDS
        while hour < ended:
            written = self._write(hour, remaining)
            remaining -= written
            if remaining <= 0:
                return
            hour += timedelta(hours=1)
            self._done_until = hour

    def _write(self, hour: datetime, limit: int) -> int:
        written = 0
        for key, first, times in self._refusals.repeated(hour, limit):
            now = self._clock()
            record = first.model_copy(
                update={"record_id": new_record_id(now), "at": now, "repeats": times - 1}
            )
            with suppress(StaleError):  # counted once more in the meantime: the next call has it
                self._refusals.end(hour, key, times, self._records.writes_for(record))
            written += 1
        if written:
            logger.info("repeated refusals recorded", extra={"hour": f"{hour:%Y-%m-%dT%H}", "count": written})
        return written
