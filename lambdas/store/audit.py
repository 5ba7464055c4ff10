"""The audit in DynamoDB. Everything here is written once: no update, no delete, and roles may only put.

A day's records share a partition, so the table's stream brings them in the order in which they were taken.
Besides them: `agent#<name>`, which points at an agent's records; `chain#<day>` and `seal`.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pynamodb.attributes import UnicodeAttribute
from pynamodb.exceptions import QueryError
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex
from pynamodb.models import Model
from pynamodb.transactions import TransactWrite

from events.audit import AuditLink, AuditRecord, AuditSeal
from lambdas.domain.errors import CursorError, StaleError
from lambdas.store.base import JsonOf, Writes, bind, refusal_is

AGENT, CHAIN, SEAL = "agent#", "chain#", "seal"


class ByPerson(GlobalSecondaryIndex["AuditRow"]):
    class Meta:
        index_name = "by_person"
        projection = AllProjection()

    who = UnicodeAttribute(hash_key=True)
    part = UnicodeAttribute(range_key=True)


class ByTransfer(GlobalSecondaryIndex["AuditRow"]):
    class Meta:
        index_name = "by_transfer"
        projection = AllProjection()

    transfer_id = UnicodeAttribute(hash_key=True)
    part = UnicodeAttribute(range_key=True)


class AuditRow(Model):
    class Meta:
        table_name = ""

    day = UnicodeAttribute(hash_key=True)
    part = UnicodeAttribute(range_key=True)
    who = UnicodeAttribute(null=True)
    transfer_id = UnicodeAttribute(null=True)
    record: JsonOf[AuditRecord] = JsonOf(AuditRecord, null=True)
    link: JsonOf[AuditLink] = JsonOf(AuditLink, null=True)
    seal: JsonOf[AuditSeal] = JsonOf(AuditSeal, null=True)

    by_person = ByPerson()
    by_transfer = ByTransfer()


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which records: in [since, until), of one person, or one agent, or one transfer."""

    since: datetime
    until: datetime
    who: str | None = None
    agent_id: str | None = None
    transfer_id: str | None = None
    limit: int = 50


Page = tuple[list[AuditRecord], str | None]


class AuditStore:
    def __init__(self, table: str, region: str) -> None:
        bind((AuditRow,), table, region)

    def adding(self, record: AuditRecord) -> Writes:
        """The record, in the transaction of what it tells of."""

        def write(writes: TransactWrite) -> None:
            writes.save(_row(record), condition=AuditRow.part.does_not_exist())

        return write

    def add(self, record: AuditRecord) -> None:
        """By itself: a refusal changes nothing else."""
        _row(record).save(condition=AuditRow.part.does_not_exist())

    def point(self, agent_id: str, record_id: str) -> None:
        """So that the agent's records can be found. To do it again is harmless."""
        AuditRow(f"{AGENT}{agent_id}", record_id).save()

    def page(self, wanted: Wanted, cursor: str | None) -> Page:
        """The newest first; raises CursorError."""
        try:
            return self._page(wanted, _read(cursor))
        except QueryError as failure:
            if cursor and failure.cause_response_code == "ValidationException":
                raise CursorError from failure
            raise

    def _page(self, wanted: Wanted, cursor: tuple[str | None, Any]) -> Page:
        if wanted.who:
            return _found(AuditRow.by_person, wanted.who, wanted, cursor[1])
        if wanted.transfer_id:
            return _found(AuditRow.by_transfer, wanted.transfer_id, wanted, cursor[1])
        if wanted.agent_id:
            return self._of_agent(wanted, cursor[1])
        return _by_day(wanted, *cursor)

    def _of_agent(self, wanted: Wanted, key: Any) -> Page:
        rows = _query(AuditRow, f"{AGENT}{wanted.agent_id}", wanted, key, wanted.limit)
        keys = [(row.part[:10], row.part) for row in rows]
        found = {row.part: row.record for row in AuditRow.batch_get(keys)} if keys else {}
        records = [record for _, part in keys if (record := found.get(part))]
        return records, _written(None, rows.last_evaluated_key)

    def last_link(self, day: str) -> AuditLink | None:
        rows = AuditRow.query(f"{CHAIN}{day}", scan_index_forward=False, limit=1, consistent_read=True)
        return next((row.link for row in rows), None)

    def put_link(self, link: AuditLink) -> None:
        """Raises StaleError if another has this number."""
        row = AuditRow(f"{CHAIN}{link.day}", f"{link.number:08d}", link=link)
        with refusal_is(StaleError("The audit's chain")):
            row.save(condition=AuditRow.part.does_not_exist())

    def links(self, day: str, after: int, limit: int) -> list[AuditLink]:
        beyond = AuditRow.part > f"{after:08d}"
        return [
            row.link for row in AuditRow.query(f"{CHAIN}{day}", beyond, limit=limit, consistent_read=True)
        ]

    def seals(self) -> list[AuditSeal]:
        return [row.seal for row in AuditRow.query(SEAL, consistent_read=True)]

    def last_seal(self) -> AuditSeal | None:
        rows = AuditRow.query(SEAL, scan_index_forward=False, limit=1, consistent_read=True)
        return next((row.seal for row in rows), None)

    def put_seal(self, seal: AuditSeal) -> None:
        """Raises StaleError if the day is sealed."""
        with refusal_is(StaleError("The audit's seal")):
            AuditRow(SEAL, seal.day, seal=seal).save(condition=AuditRow.part.does_not_exist())

    def record(self, image: Mapping[str, Any]) -> AuditRecord | None:
        """What a row that the stream shows as new says, if it is a record."""
        return AuditRecord.model_validate_json(image["record"]) if "record" in image else None


def _row(record: AuditRecord) -> AuditRow:
    return AuditRow(
        record.day, record.record_id, who=record.who, transfer_id=record.transfer_id, record=record
    )


def _query(index: Any, key: str, wanted: Wanted, last: Any, limit: int) -> Any:
    part = AuditRow.part.between(_moment(wanted.since), _moment(wanted.until))
    return index.query(key, part, scan_index_forward=False, limit=limit, last_evaluated_key=last)


def _found(index: Any, key: str, wanted: Wanted, last: Any) -> Page:
    rows = _query(index, key, wanted, last, wanted.limit)
    records = [row.record for row in rows]
    return records, _written(None, rows.last_evaluated_key)


def _by_day(wanted: Wanted, first: str | None, last: Any) -> Page:
    records: list[AuditRecord] = []
    days = list(_days(wanted, first))
    for number, day in enumerate(days):
        rows = _query(AuditRow, day, wanted, last if day == first else None, wanted.limit - len(records))
        records += [row.record for row in rows]
        if rows.last_evaluated_key:
            return records, _written(day, rows.last_evaluated_key)
        if len(records) >= wanted.limit and number + 1 < len(days):
            return records, _written(days[number + 1], None)
    return records, None


def _days(wanted: Wanted, first: str | None) -> Iterator[str]:
    day = wanted.until.astimezone(UTC).date()
    while (text := day.isoformat()) >= wanted.since.astimezone(UTC).date().isoformat():
        if first is None or text <= first:
            yield text
        day -= timedelta(days=1)


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"


def _written(day: str | None, key: Any) -> str | None:
    if day is None and key is None:
        return None
    return base64.urlsafe_b64encode(json.dumps([day, key]).encode()).decode()


def _read(cursor: str | None) -> tuple[str | None, Any]:
    if cursor is None:
        return None, None
    try:
        day, key = json.loads(base64.urlsafe_b64decode(cursor.encode()))
    except ValueError as failure:
        raise CursorError from failure
    if not (isinstance(day, str | None) and isinstance(key, dict | None)):
        raise CursorError
    return day, key
