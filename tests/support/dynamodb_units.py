"""Count the units of DynamoDB that calls use, as AWS bills them."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil
from typing import Any
from unittest.mock import patch

from botocore.client import BaseClient

_WRITES = {"PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"}


@contextmanager
def units_counted() -> Iterator[Counter[str]]:
    """Count units as `write` and `read`, by the size of requests and answers in JSON: more than AWS counts.

    Indexes are left out.
    """
    used: Counter[str] = Counter()
    really = BaseClient._make_api_call

    def counting(self: Any, operation: str, arguments: dict[str, Any]) -> Any:
        answer = really(self, operation, arguments)
        if operation in _WRITES:
            used["write"] += sum(_write_units(operation, arguments))
        elif operation in {"GetItem", "Query", "BatchGetItem"}:
            size = len(
                json.dumps({name: answer.get(name) for name in ("Item", "Items", "Responses")}, default=str)
            )
            consistent = arguments.get("ConsistentRead") or operation == "BatchGetItem"
            used["read"] += ceil(size / 4096) / (1 if consistent else 2)
        return answer

    with patch.object(BaseClient, "_make_api_call", counting):
        yield used


def _write_units(operation: str, arguments: dict[str, Any]) -> Iterator[int]:
    match operation:
        case "BatchWriteItem":
            items = [one for some in arguments["RequestItems"].values() for one in some]
        case "TransactWriteItems":
            items = arguments["TransactItems"]
        case _:
            items = [arguments]
    for item in items:
        units = ceil(len(json.dumps(item, default=str)) / 1024)
        yield units * (2 if operation == "TransactWriteItems" else 1)
