"""Count what code asks of DynamoDB, which decides its time and its price."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from botocore.client import BaseClient


@contextmanager
def reads_counted() -> Iterator[Counter[str]]:
    """Count the calls of each operation and, as `items`, what all of them return."""
    counted: Counter[str] = Counter()
    really = BaseClient._make_api_call

    def counting(self: Any, operation: str, arguments: dict[str, Any]) -> Any:
        answer = really(self, operation, arguments)
        counted[operation] += 1
        counted["items"] += len(answer.get("Items", ())) + sum(map(len, answer.get("Responses", {}).values()))
        return answer

    with patch.object(BaseClient, "_make_api_call", counting):
        yield counted
