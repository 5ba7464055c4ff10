"""Keys of handled events in DynamoDB, so that a repeated event does nothing."""

import hashlib
from collections.abc import Iterable
from datetime import datetime, timedelta

from pynamodb.attributes import TTLAttribute, UnicodeAttribute
from pynamodb.models import Model
from pynamodb.transactions import TransactWrite

from lambdas.store.base import Writes, bind

RETENTION = timedelta(days=30)
"""Longer than an event can wait in a queue, and then in a dead-letter queue, 14 days each."""


class DedupeRow(Model):
    class Meta:
        table_name = ""

    mark = UnicodeAttribute(hash_key=True)
    expires_at = TTLAttribute()


class DedupeStore:
    """Marks events as handled."""

    def __init__(self, table: str, region: str) -> None:
        bind((DedupeRow,), table, region)

    def writes_for(self, marks: Iterable[str], now: datetime) -> Writes:
        """Return the writes that mark these keys as handled; refused if one is marked already."""
        rows = [DedupeRow(_digest(mark), expires_at=now + RETENTION) for mark in marks]

        def write(writes: TransactWrite) -> None:
            for row in rows:
                writes.save(row, condition=DedupeRow.mark.does_not_exist())

        return write

    def seen(self, marks: Iterable[str]) -> set[str]:
        """Return those of the keys that were handled already."""
        digests = {_digest(mark): mark for mark in marks}
        found = DedupeRow.batch_get(list(digests), consistent_read=True)
        return {digests[row.mark] for row in found}


def _digest(mark: str) -> str:
    return hashlib.sha256(mark.encode("utf-8", "surrogateescape")).hexdigest()
