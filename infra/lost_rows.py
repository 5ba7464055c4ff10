"""Read rows that a table's stream has not delivered, as the events that its function would have got."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from pydantic import ValidationError

from events.audit import AuditLink
from lambdas.store.audit import CHAIN
from lambdas.store.transfer_rows import TIMELINE

WRITE_DELAY = timedelta(minutes=5)
"""How much earlier than its row is in the stream something may have happened."""
BATCH_SIZE = 100
"""Rows of one event, as of the streams."""
Row = dict[str, Any]
Event = dict[str, Any]


class LostRows:
    """Reads the tables `transfers` and `audit`."""

    def __init__(self, dynamodb: Any, tables: Mapping[str, str]) -> None:
        """`dynamodb` is boto3's client, `tables` maps settings to names of tables."""
        self._dynamodb = dynamodb
        self._tables = tables

    def timeline(self, first: datetime, last: datetime) -> Iterator[Event]:
        """Yield events of the timeline rows that were written between these two times.

        No index has them by time, so the whole table is read.
        """
        since, until = _moment(first - WRITE_DELAY), _moment(last + timedelta(seconds=1))
        pages = self._dynamodb.get_paginator("scan").paginate(
            TableName=self._tables["transfers_table"],
            ConsistentRead=True,
            FilterExpression="#part BETWEEN :since AND :until",
            ExpressionAttributeNames={"#part": "part"},
            ExpressionAttributeValues={
                ":since": {"S": f"{TIMELINE}{since}"},
                ":until": {"S": f"{TIMELINE}{until}"},
            },
        )
        rows = [row for page in pages for row in page["Items"]]
        yield from _events(sorted(rows, key=lambda row: row["part"]["S"]), ("transfer_id", "part"))

    def unchained(self, since: datetime, until: datetime) -> list[Row]:
        """Return the audit records of this time that no chain holds, oldest first."""
        first, last = since.astimezone(UTC).date(), until.astimezone(UTC).date()
        days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
        chained = {record_id for day in (*days, last + timedelta(days=1)) for record_id in self._chained(day)}
        return [
            row
            for day in days
            for row in self._partition(day.isoformat())
            if _moment(since) <= row["part"]["S"] < _moment(until) and row["part"]["S"] not in chained
        ]

    def chain_events(self, rows: Sequence[Row]) -> Iterator[Event]:
        """Yield events that have these audit records chained."""
        yield from _events(rows, ("day", "part"))

    def _chained(self, day: date) -> Iterator[str]:
        for row in self._partition(f"{CHAIN}{day.isoformat()}"):
            try:
                link = AuditLink.model_validate_json(row["link"]["S"])
            except (KeyError, ValidationError):  # changed: `crosshaul audit verify` says so
                continue
            yield from (entry.record_id for entry in link.entries)

    def _partition(self, key: str) -> Iterator[Row]:
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self._tables["audit_table"],
            ConsistentRead=True,
            KeyConditionExpression="#day = :day",
            ExpressionAttributeNames={"#day": "day"},
            ExpressionAttributeValues={":day": {"S": key}},
        )
        for page in pages:
            yield from page["Items"]


def _events(rows: Sequence[Row], keys: tuple[str, ...]) -> Iterator[Event]:
    """Yield the rows as a stream's new ones; without a time of writing, so that none counts as restored."""
    for begin in range(0, len(rows), BATCH_SIZE):
        records = [
            {
                "eventID": str(number),
                "eventName": "INSERT",
                "eventSource": "aws:dynamodb",
                "dynamodb": {
                    "Keys": {name: row[name] for name in keys},
                    "NewImage": row,
                    "SequenceNumber": str(number),
                },
            }
            for number, row in enumerate(rows[begin : begin + BATCH_SIZE], 1)
        ]
        yield {"Records": records}


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}"
