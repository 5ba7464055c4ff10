"""Record equal refusals once an hour, with their number when the hour is over.

A console that polls, or a stranger who knocks at an open route, is refused many times a minute. The audit
can be neither changed nor cleared, so each kind of refusal gets a record at once, and one more at the end of
the hour that says how many followed.
"""

import hashlib
import ipaddress
import json
from datetime import UTC, datetime, timedelta

from events.audit import AuditRecord
from lambdas.audit.recorder import ANONYMOUS_ID, RecordStore, new_record_id
from lambdas.domain.errors import StaleError
from lambdas.ports import Clock
from lambdas.store.optimistic import retry_stale
from lambdas.store.refusals import RefusalStore
from lambdas.telemetry import logger

MAX_KINDS = 200
"""Kinds of refusals that have records of their own in one hour, for a person."""
MAX_STRANGERS = 2_000
"""The same for everybody who is not signed in, together."""
END_DELAY = timedelta(minutes=2)
"""How long after its end an hour is summed up, so that a request begun before is counted."""
MAX_HOURS = 26
"""Hours that are looked through after a pause; counts are kept a little longer."""
MAX_RECORDS = 200
"""Records written by one call; the next one goes on."""


class RefusalCounter:
    """Counts refusals, and records the first of each kind in an hour."""

    def __init__(self, refusals: RefusalStore, records: RecordStore) -> None:
        self._refusals = refusals
        self._records = records

    def add(self, record: AuditRecord, request_digest: str) -> None:
        """Count a refusal; the first of its kind writes its record, in one transaction with the count.

        Beyond the limit of an hour, all further kinds of one source are one kind.

        Raises:
            StaleError: concurrent refusals won every retry.
        """
        retry_stale(lambda: self._add(record, request_digest), "The refusals of this hour")

    def _add(self, record: AuditRecord, request_digest: str) -> None:
        kind = _kind(record, request_digest)
        if self._refusals.increment(record.at, kind):
            return
        is_stranger = record.who.id == ANONYMOUS_ID
        limit = MAX_STRANGERS if is_stranger else MAX_KINDS
        if self._refusals.count_kind(record.at, record.who.id) <= limit:
            self._begin(kind, record)
        elif not self._refusals.increment(record.at, others := f"others of {record.who.id}"):
            self._begin(others, _of_others(record, limit))

    def _begin(self, kind: str, record: AuditRecord) -> None:
        self._refusals.begin(kind, record, self._records.writes_for(record))


def _of_others(record: AuditRecord, limit: int) -> AuditRecord:
    """Return the record that stands for all kinds beyond the limit."""
    about = f"requests beyond the first {limit} kinds of this hour"
    return record.model_copy(
        update={"action": "refused.others", "about": about, "why": "", "agents": (), "transfer_id": None}
    )


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
        remaining, all_done = MAX_RECORDS, True
        while hour < ended:
            written, stale = self._write(hour, remaining)
            remaining -= written + stale
            if remaining <= 0:
                return
            hour += timedelta(hours=1)
            all_done = all_done and not stale
            if all_done:
                self._done_until = hour

    def _write(self, hour: datetime, limit: int) -> tuple[int, int]:
        """Return how many records were written, and how many counts changed while that was done."""
        written = stale = 0
        for key, first, times in self._refusals.repeated(hour, limit):
            now = self._clock()
            record = first.model_copy(
                update={"record_id": new_record_id(now), "at": now, "repeats": times - 1}
            )
            try:
                self._refusals.end(hour, key, times, self._records.writes_for(record))
            except StaleError:  # counted once more in the meantime: the next call has it
                stale += 1
            else:
                written += 1
        if written:
            logger.info("repeated refusals recorded", extra={"hour": f"{hour:%Y-%m-%dT%H}", "count": written})
        return written, stale


def _kind(record: AuditRecord, request_digest: str) -> str:
    """Return the same text for refusals that count as equal.

    Those of a person are equal if request, body and reason are. Anonymous ones are equal if route and network
    are: all else is the caller's to choose, and so would be a new record each.
    """
    if record.who.id == ANONYMOUS_ID:
        parts = [ANONYMOUS_ID, _network(record.address), record.action]
    else:
        parts = [record.who.id, record.action, record.about, record.why, request_digest]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _network(address: str | None) -> str:
    """Return the network that an address belongs to: /24 of IPv4, /48 of IPv6."""
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return "unknown"
    return str(ipaddress.ip_network((parsed, 24 if parsed.version == 4 else 48), strict=False))
