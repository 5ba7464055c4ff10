"""Where the next page of a list begins, as people carry it: the `next` of an answer."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pynamodb.exceptions import QueryError

from lambdas.domain.errors import CursorError


@dataclass(frozen=True)
class Cursor:
    """A part of the list (a month, a day), where it has parts, and DynamoDB's key in it."""

    part: str | None = None
    key: dict[str, dict[str, Any]] | None = None


def written(cursor: Cursor | None) -> str | None:
    """None at the end."""
    if cursor is None:
        return None
    return base64.urlsafe_b64encode(json.dumps([cursor.part, cursor.key]).encode()).decode()


def read(text: str | None) -> Cursor:
    """Raises CursorError."""
    if text is None:
        return Cursor()
    try:
        part, key = json.loads(base64.urlsafe_b64decode(text.encode()))
    except ValueError as failure:
        raise CursorError from failure
    if not (isinstance(part, str | None) and isinstance(key, dict | None)):
        raise CursorError
    return Cursor(part, key)


@contextmanager
def taken(text: str | None) -> Iterator[None]:
    """A key that DynamoDB does not take is a cursor that was made up: CursorError."""
    try:
        yield
    except QueryError as failure:
        if text and failure.cause_response_code == "ValidationException":
            raise CursorError from failure
        raise
