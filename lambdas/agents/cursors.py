"""Parse the cursors of lists: each is the id of the last item of the previous page."""

from typing import Any

from pydantic import TypeAdapter, ValidationError

from lambdas.domain.errors import CursorError


def parse_cursor(id_type: Any, after: str | None) -> Any:
    """Return the cursor as an id of this type, None at the first page; raises CursorError."""
    try:
        return None if after is None else TypeAdapter(id_type).validate_python(after)
    except ValidationError:
        raise CursorError from None
