"""Cursors: where the next page of a list begins, as opaque text in the `next` of an answer."""

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
    """The part of the list (a month, a day), if it has parts, and DynamoDB's key in it."""

    part: str | None = None
    key: dict[str, dict[str, Any]] | None = None


def rest(rows: Any, part: str | None = None) -> Cursor | None:
    """Return where a query goes on that has been read to the end of its page, None if nothing is left."""
    return Cursor(part, rows.last_evaluated_key) if rows.last_evaluated_key else None


def written(cursor: Cursor | None) -> str | None:
    """Return the cursor as text, None at the end of the list."""
    if cursor is None:
        return None
    return base64.urlsafe_b64encode(json.dumps([cursor.part, cursor.key]).encode()).decode()


def read(text: str | None) -> Cursor:
    """Return the cursor that a text holds; raise CursorError if it is invalid."""
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
    """Raise CursorError if DynamoDB rejects the key of the cursor, which was then made up."""
    try:
        yield
    except QueryError as failure:
        if text and failure.cause_response_code == "ValidationException":
            raise CursorError from failure
        raise
