"""Parse command-line arguments into the API's request models, so that errors show before anything is sent."""

import re
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, PydanticSerializationError

from agent.cli.errors import CliError
from events.locations import Location, LocationText
from events.validation_messages import describe_error, field_path, innermost_errors

M = TypeVar("M", bound=BaseModel)


def validated(model: type[M], /, **typed: Any) -> M:
    """Return the request built from what was typed.

    Raises:
        CliError: A value is not valid; the message names the field.
    """
    try:
        request = model.model_validate(typed)
        request.model_dump_json()
    except ValidationError as error:
        raise CliError(validation_messages(error), "See --help for how to write it.") from None
    except PydanticSerializationError:
        advice = "Name the directory above it instead: files with any name are copied."
        raise CliError("a name that is not UTF-8 cannot be written in a location", advice) from None
    return request


NO_ROOTS = (
    "The command names no roots: add --root PATH:ro or PATH:rw, unless the host already has an agent.toml."
)
"""Note below an install command without roots."""


_TAG = re.compile(r"((?:\\=|[^=])*)=(.*)", re.DOTALL)


def location(text: str) -> Location:
    """Parse `server-b:/data`, `server-b:remote:path` or `s3://bucket/prefix`.

    Raises:
        CliError: The text is not a location.
    """
    try:
        found: Location = TypeAdapter(LocationText).validate_python(text)
    except ValidationError as error:
        advice = "Write it as AGENT:/PATH, AGENT:REMOTE:PATH or s3://BUCKET/PREFIX/."
        raise CliError(f"{text!r}: {validation_messages(error)}", advice) from None
    return found


def tags(texts: list[str]) -> dict[str, str]:
    """Parse the values of --tag KEY=VALUE; `\\=` is an equals sign within a key.

    Raises:
        CliError: A text is not a tag, or a key has two values.
    """
    found: dict[str, str] = {}
    for text in texts:
        pair = _TAG.fullmatch(text)
        if pair is None:
            raise CliError(f"{text!r} is not a tag", "Write --tag KEY=VALUE.")
        key, value = pair[1].replace(r"\=", "="), pair[2]
        if found.setdefault(key, value) != value:
            raise CliError(f"the tag {key!r} has two values", "Write each key once.")
    return found


def tag_text(key: str, value: str) -> str:
    """Return a tag as --tag takes it, the inverse of `tags`."""
    escaped = key.replace("=", r"\=")
    return f"{escaped}={value}"


def roots(texts: list[str]) -> list[dict[str, str]]:
    """Parse the values of --root PATH:ACCESS."""
    parts = [text.rpartition(":") for text in texts]
    if wrong := next((t for t, (path, _, _a) in zip(texts, parts, strict=True) if not path), None):
        raise CliError(f"{wrong!r} is not a root", "Write --root PATH:ro or --root PATH:rw.")
    return [{"path": path, "access": access} for path, _, access in parts]


def validation_messages(error: ValidationError) -> str:
    """Return all validation errors on one line: `source: write a location as …`."""
    return "; ".join(map(_validation_message, innermost_errors(error)))


def _validation_message(error: ErrorDetails) -> str:
    reason = describe_error(error)
    field = field_path(error)
    value = f" {error['input']!r}" if field and isinstance(error["input"], str) else ""
    return f"{field}{value}: {reason}" if field else reason
