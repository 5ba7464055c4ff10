"""Validation errors in words for people; Pydantic's own messages speak of tuples and validation."""

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from events.base import LABEL
from events.locations import BUCKET

_TEXTS = {
    "missing": "is missing",
    "extra_forbidden": "is not known here",
    "string_too_short": "has less than {min_length} characters",
    "string_too_long": "has more than {max_length} characters",
    "too_short": "has less than {min_length}",
    "too_long": "has more than {max_length}",
    "greater_than_equal": "is less than {ge}",
    "greater_than": "is not more than {gt}",
    "less_than_equal": "is more than {le}",
    "less_than": "is not less than {lt}",
    "literal_error": "is not one of {expected}",
    "enum": "is not one of {expected}",
    "string_pattern_mismatch": "is not of the form {pattern}",
    "timezone_aware": "is a time without a zone",
}
_FORMS = {
    LABEL: "is not a valid name: use lower-case letters, digits and hyphens, at most 63",
    BUCKET: "is not a valid bucket name",
}


def innermost_errors(error: ValidationError) -> list[ErrorDetails]:
    """Return the errors without those that follow from others: an invalid root makes `roots` too short."""
    found = error.errors(include_url=False)
    return [one for one in found if not any(_contains(one["loc"], other["loc"]) for other in found)]


def _contains(location: tuple[int | str, ...], other: tuple[int | str, ...]) -> bool:
    return len(other) > len(location) and other[: len(location)] == location


def field_path(one: ErrorDetails) -> str:
    """Return where an error is: `options.include.0`; empty for the whole."""
    return ".".join(map(str, one["loc"]))


def describe_error(one: ErrorDetails) -> str:
    """Return the message of one of a ValidationError's `errors()`.

    Rare kinds keep Pydantic's message, and a model's own checks theirs.
    """
    context = one.get("ctx", {})
    if text := _FORMS.get(context.get("pattern", "")) or _TEXTS.get(one["type"]):
        return text.format(**context)
    return one["msg"].removeprefix("Value error, ")
