"""What was typed, read as the request that the API will read it as, before anything is sent."""

from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, PydanticSerializationError

from agent.cli.errors import CliError
from events.locations import Location, LocationText
from events.validation_messages import field_path, innermost_errors, message

M = TypeVar("M", bound=BaseModel)


def validated(model: type[M], /, **typed: Any) -> M:
    """The request; Trouble that says which part does not fit."""
    try:
        request = model.model_validate(typed)
        request.model_dump_json()
    except ValidationError as error:
        raise CliError(validation_messages(error), "See --help for how to write it.") from None
    except PydanticSerializationError:
        advice = "Name the directory above it instead: files with any name are copied."
        raise CliError("a name that is not UTF-8 cannot be written in a location", advice) from None
    return request


NO_ROOTS = "It names no roots: add --root PATH:ro or PATH:rw, unless the host has an agent.toml already."
"""Of a line that installs an agent."""


def location(text: str) -> Location:
    """`server-b:/data`, `server-b:remote:path` or `s3://bucket/prefix`; Trouble if it is none of them."""
    try:
        found: Location = TypeAdapter(LocationText).validate_python(text)
    except ValidationError as error:
        how = "Write it as AGENT:/PATH, AGENT:REMOTE:PATH or s3://BUCKET/PREFIX/."
        raise CliError(f"{text!r}: {validation_messages(error)}", how) from None
    return found


def tags(texts: list[str]) -> dict[str, str]:
    """What was typed as --tag KEY=VALUE."""
    pairs = [text.partition("=") for text in texts]
    if wrong := next((text for text, (_, equals, _v) in zip(texts, pairs, strict=True) if not equals), None):
        raise CliError(f"{wrong!r} is not a tag", "Write --tag KEY=VALUE.")
    return {key: value for key, _, value in pairs}


def roots(texts: list[str]) -> list[dict[str, str]]:
    """What was typed as --root PATH:ACCESS."""
    parts = [text.rpartition(":") for text in texts]
    if wrong := next((t for t, (path, _, _a) in zip(texts, parts, strict=True) if not path), None):
        raise CliError(f"{wrong!r} is not a root", "Write --root PATH:ro or --root PATH:rw.")
    return [{"path": path, "access": access} for path, _, access in parts]


def validation_messages(error: ValidationError) -> str:
    """Where something does not fit, and why, in one line: `source: write a location as …`."""
    return "; ".join(map(_misfit, innermost_errors(error)))


def _misfit(one: ErrorDetails) -> str:
    why = message(one)
    where = field_path(one)
    value = f" {one['input']!r}" if where and isinstance(one["input"], str) else ""
    return f"{where}{value}: {why}" if where else why
