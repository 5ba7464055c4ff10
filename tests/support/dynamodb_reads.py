"""Count what code asks of DynamoDB, which decides its time and its price."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil
from typing import Any
from unittest.mock import patch

from botocore.client import BaseClient

HALF_UNITS = "half read units"
"""An eventually consistent read costs half a unit for each 4 KB."""
BLOCK = 4096


@contextmanager
def reads_counted() -> Iterator[Counter[str]]:
    """Count the calls of each operation and, as `items` and `HALF_UNITS`, what all of them return and cost.

    The cost is right of queries without filter expressions, which return all that they read.
    """
    counted: Counter[str] = Counter()
    really = BaseClient._make_api_call

    def counting(self: Any, operation: str, arguments: dict[str, Any]) -> Any:
        answer = really(self, operation, arguments)
        counted[operation] += 1
        counted["items"] += len(answer.get("Items", ())) + sum(map(len, answer.get("Responses", {}).values()))
        counted[HALF_UNITS] += _half_units(arguments, answer)
        return answer

    with patch.object(BaseClient, "_make_api_call", counting):
        yield counted


def _half_units(arguments: dict[str, Any], answer: dict[str, Any]) -> int:
    """Return what a read costs: a query for all items together, a batch for each, even a missing one."""
    if "Items" in answer:
        return max(1, ceil(sum(map(_size, answer["Items"])) / BLOCK)) * _factor(arguments)
    if "Responses" in answer and "RequestItems" in arguments:
        return sum(
            (len(asked["Keys"]) - len(answer["Responses"].get(table, ()))) * _factor(asked)
            + sum(ceil(_size(item) / BLOCK) for item in answer["Responses"].get(table, ())) * _factor(asked)
            for table, asked in arguments["RequestItems"].items()
        )
    return ceil(_size(answer["Item"]) / BLOCK) * _factor(arguments) if "Item" in answer else 0


def _factor(asked: dict[str, Any]) -> int:
    return 2 if asked.get("ConsistentRead") else 1


def _size(item: dict[str, dict[str, Any]]) -> int:
    """Return the size of an item as DynamoDB reckons it: the bytes of names and of values."""
    return sum(len(name) + len(str(next(iter(value.values())))) for name, value in item.items())
