"""Validation errors in words for people; Pydantic's own messages speak of tuples and validation."""

import json
import sys

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from events import forms
from events.input_errors import MESSAGES

_TYPE_TEXTS = {
    **dict.fromkeys(("int-type", "int-parsing", "int-from-float", "int-parsing-size"), "is not an integer"),
    **dict.fromkeys(("float-type", "float-parsing", "finite-number"), "is not a number"),
    **dict.fromkeys(("bool-type", "bool-parsing"), "is neither true nor false"),
    **dict.fromkeys(("string-type", "string-unicode"), "is not a text"),
    **dict.fromkeys(("tuple-type", "list-type"), "is not a list"),
    **dict.fromkeys(("dict-type", "model-type", "model-attributes-type"), "is not an object with fields"),
    **dict.fromkeys(
        ("datetime-type", "datetime-parsing", "datetime-from-date-parsing", "datetime-object-invalid"),
        "is not a time: write one like 2026-11-30T08:00:00Z",
    ),
    **dict.fromkeys(("time-type", "time-parsing"), "is not a time of day: write one like 08:00"),
}
"""Message by Pydantic's kind of a value of another type."""
_TEXTS = {
    "missing": "is missing",
    "extra-forbidden": "is not known here",
    "string-too-short": "has fewer than {min_length} characters",
    "string-too-long": "has more than {max_length} characters",
    "too-short": "has fewer than {min_length} entries",
    "too-long": "has more than {max_length} entries",
    "greater-than-equal": "is less than {ge}",
    "greater-than": "is not more than {gt}",
    "less-than-equal": "is more than {le}",
    "less-than": "is not less than {lt}",
    "literal-error": "is not one of {expected}",
    "enum": "is not one of {expected}",
    "string-pattern-mismatch": "has a form that is not valid here",
    "timezone-aware": "is a time without a zone",
    **_TYPE_TEXTS,
    **forms.MESSAGES,
    **MESSAGES,
}
"""Message by kind of error: Pydantic's own kinds, with hyphens, and ours."""


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
    wording, parameters = error_wording(one)
    return _TEXTS[wording].format(**parameters) if wording else one["msg"].removeprefix("Value error, ")


def error_wording(one: ErrorDetails) -> tuple[str, dict[str, str]]:
    """Return the name of the message, and what fills it; an empty name for a kind that has no words here."""
    context = {name: str(value) for name, value in one.get("ctx", {}).items()}
    kind = forms.WORDINGS.get(context.pop("pattern", "")) or one["type"].replace("_", "-")
    if kind not in _TEXTS:
        return "", {}
    return kind, {name: value for name, value in context.items() if f"{{{name}}}" in _TEXTS[kind]}


if __name__ == "__main__":
    json.dump(_TEXTS, sys.stdout)
