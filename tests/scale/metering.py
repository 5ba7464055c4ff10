"""Meter what the real handlers ask of AWS: each call, with the units that DynamoDB would bill, key by key.

moto answers the calls, and its tables give the items before and after each of them. Units follow from sizes
as AWS documents them; moto's own figures are made up.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from boto3.dynamodb.types import TypeDeserializer
from botocore.client import BaseClient
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends

WRITE_UNIT, READ_UNIT = 1024, 4096
"""Bytes of an item that one unit writes or reads."""

Item = dict[str, Any]


@dataclass(frozen=True)
class Use:
    """Units that one partition key of a table or an index gives for a call."""

    place: str
    """The table's name, or `table/index`."""
    key: str
    units: float
    writes: bool
    item: str = ""
    """The sort key of an item of a table that is written; of an index ''."""


@dataclass(frozen=True)
class MeteredCall:
    """One call of AWS."""

    service: str
    operation: str
    uses: tuple[Use, ...] = ()
    size: int = 0
    """Bytes of a message that is published."""
    refused: bool = False

    @property
    def is_transaction(self) -> bool:
        return self.operation == "TransactWriteItems"


@dataclass(frozen=True)
class Inserted:
    """An item that a call has put where none was: what a table's stream would show."""

    table: str
    item: Item


class CallMeter:
    """Records calls and inserted items until they are taken."""

    def __init__(self) -> None:
        self.calls: list[MeteredCall] = []
        self.inserted: list[Inserted] = []

    def take(self) -> tuple[MeteredCall, ...]:
        """Return the calls since the last time."""
        taken, self.calls = tuple(self.calls), []
        return taken

    def take_inserted(self, table: str) -> list[Item]:
        """Return the items inserted into this table since the last time, in their order."""
        taken = [one.item for one in self.inserted if one.table == table]
        self.inserted = [one for one in self.inserted if one.table != table]
        return taken


@contextmanager
def metered(region: str) -> Iterator[CallMeter]:
    """Meter all calls until the end of the block."""
    meter = CallMeter()
    really = BaseClient._make_api_call

    def metering(client: Any, operation: str, arguments: dict[str, Any]) -> Any:
        service = client.meta.service_model.service_name
        if service != "dynamodb" or operation in {"DescribeTable", "CreateTable"}:
            # moto does not close connections.
            answer = {} if operation == "DeleteConnection" else really(client, operation, arguments)
            if service != "dynamodb":
                meter.calls.append(MeteredCall(service, operation, size=_payload(arguments)))
            return answer
        tables = _Tables(region)
        assert operation != "Scan"
        written = [(change, tables.item(*change)) for change in _changes(operation, arguments)]
        refused = True
        try:
            answer = really(client, operation, arguments)
            refused = False
        finally:
            factor = 2 if operation == "TransactWriteItems" else 1
            uses = [
                use for change, before in written for use in tables.written(*change, before, factor, refused)
            ]
            if not refused:
                uses += _reads(tables, operation, arguments, answer)
                for (table, key), before in written:
                    after = tables.item(table, key)
                    if before is None and after is not None:
                        meter.inserted.append(Inserted(table, after))
            meter.calls.append(MeteredCall(service, operation, tuple(uses), refused=refused))
        return answer

    with patch.object(BaseClient, "_make_api_call", metering):
        yield meter


class _Tables:
    """The tables in moto."""

    def __init__(self, region: str) -> None:
        self._tables = dynamodb_backends[DEFAULT_ACCOUNT_ID][region].tables

    def keys(self, table: str) -> tuple[str, str | None]:
        found = self._tables[table]
        return found.hash_key_attr, found.range_key_attr

    def item(self, table: str, key: Item) -> Item | None:
        """Return the item as DynamoDB's JSON, None if it does not exist."""
        found = self._tables[table]
        hash_key, range_key = key[found.hash_key_attr], key.get(found.range_key_attr or "")
        held = found.items.get(_value(hash_key))
        if held is None:
            return None
        item = held.get(_value(range_key)) if range_key is not None and isinstance(held, dict) else held
        return None if item is None else {name: one.to_json() for name, one in item.attrs.items()}

    def written(
        self, table: str, key: Item, before: Item | None, factor: int, refused: bool
    ) -> Iterator[Use]:
        """Yield the units of a write, of the table and of each index that it changes.

        A refused write costs those of the item that is there.
        """
        hash_name, range_name = self.keys(table)
        after = before if refused else self.item(table, key)
        size = max(size_of(before), size_of(after), 1)
        item = _text(key.get(range_name or "", {"S": ""}))
        yield Use(table, _text(key[hash_name]), factor * math.ceil(size / WRITE_UNIT), True, item)
        if refused:
            return
        for index in self._tables[table].global_indexes:
            names = [one["AttributeName"] for one in index.schema]
            old, new = self._projected(table, index, before), self._projected(table, index, after)
            if old == new:
                continue
            moved = old and new and any(old[name] != new[name] for name in names)
            for projected in [old, new] if moved else [new or old]:
                units = max(math.ceil(size_of(projected) / WRITE_UNIT), 1)
                yield Use(f"{table}/{index.name}", _text((projected or {})[names[0]]), units, True)

    def _projected(self, table: str, index: Any, item: Item | None) -> Item | None:
        """Return what an index holds of an item, None if the item is not in it."""
        names = [one["AttributeName"] for one in index.schema]
        if item is None or any(name not in item for name in names):
            return None
        if index.projection.get("ProjectionType") == "ALL":
            return item
        kept = {*names, *filter(None, self.keys(table)), *(index.projection.get("NonKeyAttributes") or ())}
        return {name: value for name, value in item.items() if name in kept}


def _changes(operation: str, arguments: dict[str, Any]) -> Iterator[tuple[str, Item]]:
    """Yield table and key, or item, of each write that a call asks for; conditions that only check, too."""
    match operation:
        case "PutItem":
            yield arguments["TableName"], arguments["Item"]
        case "UpdateItem" | "DeleteItem":
            yield arguments["TableName"], arguments["Key"]
        case "TransactWriteItems":
            for one in arguments["TransactItems"]:
                ((_, what),) = one.items()
                yield what["TableName"], what.get("Item") or what["Key"]
        case "BatchWriteItem":
            for table, requests in arguments["RequestItems"].items():
                for request in requests:
                    ((_, what),) = request.items()
                    yield table, what.get("Item") or what["Key"]


def _reads(tables: _Tables, operation: str, arguments: dict[str, Any], answer: Any) -> Iterator[Use]:
    """Yield the units of a read; half of them if it is not consistent."""
    factor = 1.0 if arguments.get("ConsistentRead") else 0.5
    match operation:
        case "GetItem":
            table = arguments["TableName"]
            yield _read(table, _text(arguments["Key"][tables.keys(table)[0]]), answer.get("Item"), factor)
        case "Query":
            place = "/".join(filter(None, (arguments["TableName"], arguments.get("IndexName"))))
            key = _partition(arguments)
            size = sum(map(size_of, answer.get("Items", ())))
            if arguments.get("Select") == "COUNT":
                size = 100 * answer["Count"]  # the keys of an entry
            yield Use(place, key, factor * max(math.ceil(size / READ_UNIT), 1), False)
        case "BatchGetItem":
            for table, wanted in arguments["RequestItems"].items():
                name, factor = tables.keys(table)[0], 1.0 if wanted.get("ConsistentRead") else 0.5
                for key in wanted["Keys"]:
                    yield _read(table, _text(key[name]), tables.item(table, key), factor)
        case "TransactGetItems":
            for one in arguments["TransactItems"]:
                table, key = one["Get"]["TableName"], one["Get"]["Key"]
                yield _read(table, _text(key[tables.keys(table)[0]]), tables.item(table, key), 2.0)


def _read(place: str, key: str, item: Item | None, factor: float) -> Use:
    return Use(place, key, factor * max(math.ceil(size_of(item) / READ_UNIT), 1), False)


def _partition(arguments: dict[str, Any]) -> str:
    """Return the partition key of a query: the first value of its condition, which pynamodb numbers."""
    values = arguments["ExpressionAttributeValues"]
    name = arguments["KeyConditionExpression"].replace("(", " ").replace(")", " ").split()[2]
    return _text(values[name])


def size_of(item: Item | None) -> int:
    """Return the bytes of an item in DynamoDB's JSON, as they count for units.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
    """
    return sum(len(name.encode()) + _size(value) for name, value in (item or {}).items())


def _size(value: dict[str, Any]) -> int:
    ((kind, held),) = value.items()
    match kind:
        case "S":
            return len(held.encode())
        case "N":
            return math.ceil(len(held.lstrip("-").replace(".", "").strip("0")) / 2) + 1 + held.startswith("-")
        case "BOOL" | "NULL":
            return 1
        case "B":
            return len(held)
        case "L":
            return 3 + sum(1 + _size(one) for one in held)
        case "M":
            return 3 + sum(1 + len(name.encode()) + _size(one) for name, one in held.items())
        case _:
            return sum(len(str(one).encode()) for one in held)


def _value(typed: Any) -> Any:
    """Return how moto holds a key."""
    from moto.dynamodb.models.dynamo_type import DynamoType

    return DynamoType(typed)


def _text(typed: dict[str, Any]) -> str:
    return str(TypeDeserializer().deserialize(typed))


def _payload(arguments: dict[str, Any]) -> int:
    payload = arguments.get("payload", arguments.get("MessageBody", b""))
    return len(payload if isinstance(payload, bytes) else payload.encode())
