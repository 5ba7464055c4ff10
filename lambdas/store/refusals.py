"""Counts of refusals in DynamoDB: a row for each kind of refusal in an hour, and one for each source.

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

RETENTION = timedelta(days=2)
"""How long a count is kept if nothing recorded it."""


_KIND, _SOURCE = "kind#", "source#"


class RefusalRow(Model):
    class Meta:
        table_name = ""

    hour = UnicodeAttribute(hash_key=True)
    key = UnicodeAttribute(range_key=True)
    times = NumberAttribute()
    first: JsonOf[AuditRecord] = JsonOf(AuditRecord, null=True)
    expires_at = TTLAttribute()


class RefusalStore:
    """Counts refusals by hour and kind, and kinds by hour and source."""

    def __init__(self, table: str, region: str) -> None:
        bind((RefusalRow,), table, region)
        self._region = region

    def increment(self, at: datetime, kind: str) -> bool:
        """Count one more of this kind in the hour; return False if none was counted yet."""
        row = RefusalRow(_hour(at), f"{_KIND}{kind}")
        try:
            row.update([RefusalRow.times.add(1)], condition=RefusalRow.key.exists())
        except UpdateError as failure:
            if not refused(failure):
                raise
            return False
        return True

    def count_kind(self, at: datetime, source: str) -> int:
        """Return how many kinds there are of this source in the hour, with this one."""
        row = RefusalRow(_hour(at), f"{_SOURCE}{source}")
        row.update([RefusalRow.times.add(1), RefusalRow.expires_at.set(at + RETENTION)])
        return int(row.times)

    def begin(self, kind: str, record: AuditRecord, record_writes: Writes) -> None:
        """Write the first record of a kind, and begin to count; raise StaleError if it is counted already."""
        row = RefusalRow(
            _hour(record.at), f"{_KIND}{kind}", times=1, first=record, expires_at=record.at + RETENTION
        )

        def save(writes: TransactWrite) -> None:
            writes.save(row, condition=RefusalRow.key.does_not_exist())

        with refusal_is(StaleError("The refusals of this hour")), transaction(self._region) as writes:
            combined(save, record_writes)(writes)

    def repeated(self, hour: datetime, limit: int) -> Iterator[tuple[str, AuditRecord, int]]:
        """Yield what was refused more than once in an hour: kind, first record, and number of refusals."""
        kinds, often = RefusalRow.key.startswith(_KIND), RefusalRow.times > 1
        for row in RefusalRow.query(
            _hour(hour), kinds, filter_condition=often, limit=limit, consistent_read=True
        ):
            yield row.key.removeprefix(_KIND), row.first, int(row.times)

    def end(self, hour: datetime, kind: str, times: int, record_writes: Writes) -> None:
        """Remove a count and write its record, in one transaction; raise StaleError if it has changed."""
        row = RefusalRow(_hour(hour), f"{_KIND}{kind}")

        def delete(writes: TransactWrite) -> None:
            writes.delete(row, condition=RefusalRow.times == times)

        with refusal_is(StaleError("The refusals of this hour")), transaction(self._region) as writes:
            combined(delete, record_writes)(writes)


def _hour(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H}"
