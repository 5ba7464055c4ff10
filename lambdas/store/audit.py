"""The audit in DynamoDB. Everything is written once: no update, no delete, and roles may only put.

A day's records share a partition, so the table's stream has them in the order of their writes. Further
partitions: `agent#<name>`, which points to an agent's records; `chain#<day>` and `seal`.
"""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, TypeVar

from pydantic import ValidationError
from pynamodb.attributes import UnicodeAttribute
from pynamodb.exceptions import TransactWriteError
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex
from pynamodb.models import Model
from pynamodb.transactions import TransactWrite

from events.audit import AuditLink, AuditRecord, AuditSeal
from events.base import Message
from lambdas.domain.audit_filter import AuditFilter, Period
from lambdas.domain.errors import StaleError
from lambdas.domain.page_size import MAX_PAGE_BYTES, sent_bytes
from lambdas.store.base import TRANSACTION_LIMIT, JsonOf, Writes, bind, reasons, refusal_is, transaction
from lambdas.store.cursor import Cursor, read, rest, taken, written
from lambdas.telemetry import AUDIT_TAMPERED, count, logger

M = TypeVar("M", bound=Message)

_THREADS = 8
"""Calls that add pointers at the same time."""
_BATCH = 10
"""Records of an agent that are read at a time."""
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


class _ReadableJson(JsonOf[M | None]):
    """JSON text of a message; None if it is not one, so that one bad row does not hide all others."""

    def deserialize(self, value: Any) -> M | None:
        try:
            return super().deserialize(value)
        except ValidationError:
            return None


class AuditRow(Model):
    class Meta:
        table_name = ""

    day = UnicodeAttribute(hash_key=True)
    part = UnicodeAttribute(range_key=True)
    who = UnicodeAttribute(null=True)
    transfer_id = UnicodeAttribute(null=True)
    record: _ReadableJson[AuditRecord] = _ReadableJson(AuditRecord, null=True)
    link: _ReadableJson[AuditLink] = _ReadableJson(AuditLink, null=True)
    seal: _ReadableJson[AuditSeal] = _ReadableJson(AuditSeal, null=True)

    by_person = ByPerson()
    by_transfer = ByTransfer()


Page = tuple[list[AuditRecord], str | None]
Part = tuple[list[AuditRecord], Cursor | None]


class AuditStore:
    """The only reader and writer of the audit."""

    def __init__(self, table: str, region: str) -> None:
        self._region = region
        bind((AuditRow,), table, region)

    def writes_for(self, record: AuditRecord) -> Writes:
        """Return the write of a record, for the transaction of the change that it describes."""

        def write(writes: TransactWrite) -> None:
            writes.save(_row(record), condition=AuditRow.part.does_not_exist())

        return write

    def add_record(self, record: AuditRecord) -> None:
        """Write a record by itself: a refusal changes nothing else."""
        _row(record).save(condition=AuditRow.part.does_not_exist())

    def point(self, records: Iterable[AuditRecord]) -> None:
        """Add each record to the records of its agents; repeating this is harmless.

        100 pointers are one call, and calls run in parallel: one call for each pointer took 0.3 s for a
        record with 51 agents, and the table's stream has one reader.
        """
        pointers = dict.fromkeys(
            (f"{AGENT}{agent_id}", record.record_id) for record in records for agent_id in record.agents
        )
        remaining = iter(pointers)
        batches = iter(lambda: list(islice(remaining, TRANSACTION_LIMIT)), [])
        with ThreadPoolExecutor(_THREADS) as threads:
            for _ in threads.map(self._point, batches):
                pass

    def _point(self, pointers: list[tuple[str, str]]) -> None:
        try:
            with transaction(self._region) as writes:
                for pointer in pointers:
                    writes.save(AuditRow(*pointer), condition=AuditRow.part.does_not_exist())
        except TransactWriteError as failure:
            present = [reason == "ConditionalCheckFailed" for reason in reasons(failure)]
            if not any(present):
                raise
            # The stream has brought some of them again.
            if missing := [one for one, there in zip(pointers, present, strict=True) if not there]:
                self._point(missing)

    def list_records(self, wanted: AuditFilter, period: Period, limit: int, cursor: str | None) -> Page:
        """Return one page, newest first; raise CursorError for an invalid cursor."""
        with taken(cursor):
            records, following = self._page(wanted, period, limit, read(cursor))
        return records, written(following)

    def _page(self, wanted: AuditFilter, period: Period, limit: int, cursor: Cursor) -> Part:
        if wanted.who:
            return _found(AuditRow.by_person, wanted.who, period, limit, cursor.key)
        if wanted.transfer_id:
            return _found(AuditRow.by_transfer, wanted.transfer_id, period, limit, cursor.key)
        if wanted.agent_id:
            return self._of_agent(wanted.agent_id, period, limit, cursor.key)
        return _by_day(period, limit, cursor)

    def _of_agent(self, agent_id: str, period: Period, limit: int, key: Any) -> Part:
        partition = f"{AGENT}{agent_id}"
        rows = _query(AuditRow, partition, period, limit, key)
        pointers = [(row.part[:10], row.part) for row in rows]
        page = _Page()
        remaining = iter(pointers)
        while keys := list(islice(remaining, _BATCH)):
            found = {row.part: row for row in AuditRow.batch_get(keys)}
            for _, part in keys:
                page.add(found.get(part))
                if page.full and part != pointers[-1][1]:
                    return page.records, Cursor(None, {"day": {"S": partition}, "part": {"S": part}})
        return page.records, rest(rows)

    def last_link(self, day: str) -> AuditLink | None:
        rows = AuditRow.query(f"{CHAIN}{day}", scan_index_forward=False, limit=1, consistent_read=True)
        return next((row.link for row in rows), None)

    def newest_links(self, day: str, limit: int) -> list[AuditLink]:
        """Return the last links of a day, newest first."""
        rows = AuditRow.query(f"{CHAIN}{day}", scan_index_forward=False, limit=limit, consistent_read=True)
        return [row.link for row in rows if row.link]

    def record_ids(self, day: str, after: str, limit: int) -> list[str]:
        """Return ids of records of a day, the earliest first, that are greater than `after`."""
        rows = AuditRow.query(day, AuditRow.part > after, limit=limit, attributes_to_get=["day", "part"])
        return [row.part for row in rows]

    def put_link(self, link: AuditLink) -> None:
        """Write a link; raise StaleError if its number is taken."""
        row = AuditRow(f"{CHAIN}{link.day}", f"{link.number:08d}", link=link)
        with refusal_is(StaleError("The audit's chain")):
            row.save(condition=AuditRow.part.does_not_exist())

    def links(
        self, day: str, after: int, limit: int, max_bytes: int = MAX_PAGE_BYTES
    ) -> tuple[list[AuditLink], int | None]:
        """Return a page of links, and the number after which the next page begins; None if it is the last.

        A page ends with the link that reaches `max_bytes` as the API sends it.
        """
        beyond = AuditRow.part > f"{after:08d}"
        rows = AuditRow.query(f"{CHAIN}{day}", beyond, limit=limit, consistent_read=True)
        links, size, last = [], 0, None
        for row in rows:
            last = int(row.part)
            if row.link:
                links.append(row.link)
                size += sent_bytes(row.link)
            if size >= max_bytes:
                break
        return links, last if rows.last_evaluated_key else None

    def seals(self) -> list[AuditSeal]:
        return [row.seal for row in AuditRow.query(SEAL, consistent_read=True) if row.seal]

    def last_seal(self) -> AuditSeal | None:
        rows = AuditRow.query(SEAL, scan_index_forward=False, limit=1, consistent_read=True)
        return next((row.seal for row in rows), None)

    def put_seal(self, seal: AuditSeal) -> None:
        """Write a seal; raise StaleError if the day is sealed already."""
        with refusal_is(StaleError("The audit's seal")):
            AuditRow(SEAL, seal.day, seal=seal).save(condition=AuditRow.part.does_not_exist())

    def record_in(self, image: Mapping[str, Any]) -> AuditRecord | None:
        """Return the record in a row that the stream shows as new, None if it holds none under its own id."""
        try:
            record = AuditRecord.model_validate_json(image.get("record", ""))
        except ValidationError:
            return None
        return record if _is_own(record, image["day"], image["part"]) else None


def _row(record: AuditRecord) -> AuditRow:
    return AuditRow(
        record.day, record.record_id, who=record.who.id, transfer_id=record.transfer_id, record=record
    )


def _is_own(record: AuditRecord, day: str, part: str) -> bool:
    """Return whether a record is the one of its row's key, with no other time than its id's."""
    return (record.day, record.record_id) == (day, part) and record.is_dated


def _query(index: Any, key: str, period: Period, limit: int, last: Any) -> Any:
    part = AuditRow.part.between(_moment(period.since), _moment(period.until))
    return index.query(key, part, scan_index_forward=False, limit=limit, last_evaluated_key=last)


class _Page:
    """Records of an answer, up to its size."""

    def __init__(self) -> None:
        self.records: list[AuditRecord] = []
        self._bytes = 0

    @property
    def full(self) -> bool:
        return self._bytes >= MAX_PAGE_BYTES

    def add(self, row: AuditRow | None) -> None:
        """Add a row's record, unless it is under another's key or time: that is tampering, and no record."""
        if row is None:
            return
        record = row.record
        if record is None or not _is_own(record, row.day, row.part):
            logger.error("audit row is not its record's", extra={"day": row.day, "part": row.part})
            count(AUDIT_TAMPERED)
            return
        self.records.append(record)
        self._bytes += sent_bytes(record)

    def fill(self, rows: Any) -> None:
        """Add rows until the page is full."""
        for row in rows:
            self.add(row)
            if self.full:
                return


def _found(index: Any, key: str, period: Period, limit: int, last: Any) -> Part:
    rows, page = _query(index, key, period, limit, last), _Page()
    page.fill(rows)
    return page.records, rest(rows)


def _by_day(period: Period, limit: int, cursor: Cursor) -> Part:
    page = _Page()
    days = list(_days(period, cursor.part))
    for number, day in enumerate(days):
        last = cursor.key if day == cursor.part else None
        rows = _query(AuditRow, day, period, limit - len(page.records), last)
        page.fill(rows)
        if following := rest(rows, day):
            return page.records, following
        if (page.full or len(page.records) >= limit) and number + 1 < len(days):
            return page.records, Cursor(days[number + 1])
    return page.records, None


def _days(period: Period, first: str | None) -> Iterator[str]:
    day = period.until.astimezone(UTC).date()
    while (text := day.isoformat()) >= period.since.astimezone(UTC).date().isoformat():
        if first is None or text <= first:
            yield text
        day -= timedelta(days=1)


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"
