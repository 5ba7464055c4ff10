"""Let moto answer a query from the entries that it asks for, as DynamoDB does.

moto looks through all items of a table for each query, which takes a second among 100,000.
"""

import threading
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from moto.dynamodb.models import DynamoDBBackend, Table
from moto.dynamodb.models.dynamo_type import DynamoType, Item

_Entry = tuple[tuple[str, ...], Item]
"""An item by its sort key in an index, the keys of the table behind it."""
_CHANGES = ("put_item", "update_item", "delete_item", "transact_write_items")
_AFTER_ALL = chr(0x10FFFF)


@contextmanager
def indexed_tables() -> Iterator[None]:
    """Keep the entries of each index sorted until the end of the block; each write ends that for now."""
    sorted_entries: dict[tuple[int, str], dict[str, list[_Entry]]] = {}
    asked = threading.local()
    really_query, really_all = Table.query, Table.all_items

    def query(
        self: Table, hash_key: Any, comparison: Any, values: Any, limit: Any, start: Any, forward: Any,
        projection: Any, index_name: str | None, *more: Any, **others: Any,
    ) -> Any:  # fmt: skip
        if index_name is None:
            own = self.items.get(hash_key, {})
            asked.items = list(own.values()) if self.range_key_attr else [own]
        else:
            key = (id(self), index_name)
            if key not in sorted_entries:
                sorted_entries[key] = _sorted(self, index_name)
            ((_, partition),) = others["hash_key_conditions"]
            entries = sorted_entries[key].get(str(partition.value), [])
            first, last = _range(entries, comparison, values)
            asked.items = _page(entries[first:last], limit, start, forward, _order(self, index_name))
        try:
            return really_query(
                self,
                hash_key,
                comparison,
                values,
                limit,
                start,
                forward,
                projection,
                index_name,
                *more,
                **others,
            )
        finally:
            del asked.items

    def all_items(self: Table) -> list[Item]:
        found: list[Item] | None = getattr(asked, "items", None)
        return really_all(self) if found is None else found

    def forgetting(name: str) -> Any:
        really = getattr(DynamoDBBackend, name)

        def change(self: DynamoDBBackend, *arguments: Any, **named: Any) -> Any:
            try:
                return really(self, *arguments, **named)
            finally:
                sorted_entries.clear()

        return change

    changes = {name: forgetting(name) for name in _CHANGES}
    with (
        patch.multiple(Table, query=query, all_items=all_items),
        patch.multiple(DynamoDBBackend, **changes),
    ):
        yield


def _order(table: Table, index_name: str) -> list[str]:
    """Return the attributes by which entries of one partition of an index are sorted."""
    schema = next(index.schema for index in table.all_indexes() if index.name == index_name)
    ranges = [key["AttributeName"] for key in schema if key["KeyType"] == "RANGE"]
    return [*ranges, table.hash_key_attr, *filter(None, [table.range_key_attr])]


def _sorted(table: Table, index_name: str) -> dict[str, list[_Entry]]:
    schema = next(index.schema for index in table.all_indexes() if index.name == index_name)
    [partition] = [key["AttributeName"] for key in schema if key["KeyType"] == "HASH"]
    order = _order(table, index_name)
    found: dict[str, list[_Entry]] = {}
    for own in table.items.values():
        for item in own.values() if table.range_key_attr else [own]:
            if partition in item.attrs and order[0] in item.attrs:
                key = tuple(str(item.attrs[name].value) for name in order)
                found.setdefault(str(item.attrs[partition].value), []).append((key, item))
    for entries in found.values():
        entries.sort(key=lambda entry: entry[0])
    return found


def _range(entries: list[_Entry], comparison: str | None, values: list[DynamoType]) -> tuple[int, int]:
    """Return where the entries begin and end that the condition of the sort key allows; text only."""
    given = [str(value.value) for value in values or ()]

    def before(text: str) -> int:
        return bisect_left(entries, (text,), key=lambda entry: entry[0][:1])

    def after(text: str) -> int:
        return bisect_right(entries, (text,), key=lambda entry: entry[0][:1])

    match (comparison or "").upper():
        case "BETWEEN":
            return before(given[0]), after(given[1])
        case "EQ" | "=":
            return before(given[0]), after(given[0])
        case "LT" | "<":
            return 0, before(given[0])
        case "LE" | "<=":
            return 0, after(given[0])
        case "GT" | ">":
            return after(given[0]), len(entries)
        case "GE" | ">=":
            return before(given[0]), len(entries)
        case "BEGINS_WITH":
            return before(given[0]), before(given[0] + _AFTER_ALL)
    return 0, len(entries)


def _page(
    entries: list[_Entry], limit: int | None, start: Any, forward: bool, order: list[str]
) -> list[Item]:
    """Return the items behind the start key, and one more than the limit: moto sees that there are more."""
    first, last = 0, len(entries)
    if start:
        key = tuple(str(DynamoType(start[name]).value) for name in order)
        if forward:
            first = bisect_right(entries, key, key=lambda entry: entry[0])
        else:
            last = bisect_left(entries, key, key=lambda entry: entry[0])
    chosen = entries[first:last]
    if limit is not None:
        chosen = chosen[: limit + 1] if forward else chosen[max(len(chosen) - limit - 1, 0) :]
    return [item for _, item in chosen]
