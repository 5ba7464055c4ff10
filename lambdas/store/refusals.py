"""Counts of equal refusals in DynamoDB, one row for an hour and a kind of refusal.

The audit is append-only and cannot count; these rows can, and go once the hour is over and recorded.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from pynamodb.attributes import NumberAttribute, TTLAttribute, UnicodeAttribute
from pynamodb.exceptions import UpdateError
from pynamodb.models import Model
from pynamodb.transactions import TransactWrite

from events.audit import AuditRecord
from lambdas.domain.errors import StaleError
from lambdas.store.base import JsonOf, Writes, bind, combined, refusal_is, refused, transaction
from lambdas.store.optimistic import retry_stale

RETENTION = timedelta(days=2)
"""How long a count is kept if nothing recorded it."""


class RefusalRow(Model):
    class Meta:
        table_name = ""

    hour = UnicodeAttribute(hash_key=True)
    key = UnicodeAttribute(range_key=True)
    times = NumberAttribute()
    first: JsonOf[AuditRecord] = JsonOf(AuditRecord)
    expires_at = TTLAttribute()


class RefusalStore:
    """Counts refusals by hour and key."""

    def __init__(self, table: str, region: str) -> None:
        bind((RefusalRow,), table, region)
        self._region = region

    def add(self, key: str, record: AuditRecord, record_writes: Writes) -> None:
        """Count a refusal; the first one of its hour writes its record, in one transaction with the count.

        Raises:
            StaleError: concurrent refusals won every retry.
        """
        hour = _hour(record.at)

        def step() -> None:
            if not _incremented(hour, key):
                self._begin(RefusalRow(hour, key, times=1, first=record), record, record_writes)

        retry_stale(step, "The refusals of this hour")

    def _begin(self, row: RefusalRow, record: AuditRecord, record_writes: Writes) -> None:
        row.expires_at = record.at + RETENTION

        def save(writes: TransactWrite) -> None:
            writes.save(row, condition=RefusalRow.key.does_not_exist())

        with refusal_is(StaleError("The refusals of this hour")), transaction(self._region) as writes:
            combined(save, record_writes)(writes)

    def repeated(self, hour: datetime, limit: int) -> Iterator[tuple[str, AuditRecord, int]]:
        """Yield what was refused more than once in an hour: key, first record, and number of refusals."""
        rows = RefusalRow.query(
            _hour(hour), filter_condition=RefusalRow.times > 1, limit=limit, consistent_read=True
        )
        for row in rows:
            yield row.key, row.first, int(row.times)

    def end(self, hour: datetime, key: str, times: int, record_writes: Writes) -> None:
        """Remove a count and write its record, in one transaction; raise StaleError if it has changed."""
        row = RefusalRow(_hour(hour), key)

        def delete(writes: TransactWrite) -> None:
            writes.delete(row, condition=RefusalRow.times == times)

        with refusal_is(StaleError("The refusals of this hour")), transaction(self._region) as writes:
            combined(delete, record_writes)(writes)


def _incremented(hour: str, key: str) -> bool:
    """Count one more; return False if nothing is counted yet."""
    try:
        RefusalRow(hour, key).update([RefusalRow.times.add(1)], condition=RefusalRow.key.exists())
    except UpdateError as failure:
        if not refused(failure):
            raise
        return False
    return True


def _hour(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H}"
