"""What does not fit a model, in words that people read: Pydantic's own speak of tuples and validation."""

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from events.base import LABEL
from events.locations import BUCKET

_WORDS = {
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
    "literal_error": "is none of {expected}",
    "enum": "is none of {expected}",
    "string_pattern_mismatch": "is not of the form {pattern}",
    "timezone_aware": "is a time without a zone",
}
_FORMS = {
    LABEL: "is no name: small letters, digits and hyphens, 63 at most",
    BUCKET: "is no bucket's name",
}


def innermost_errors(error: ValidationError) -> list[ErrorDetails]:
    """What is wrong, without what follows from it: `roots` has too few if its only one does not fit."""
    found = error.errors(include_url=False)
    return [one for one in found if not any(_contains(one["loc"], other["loc"]) for other in found)]


def _contains(place: tuple[int | str, ...], other: tuple[int | str, ...]) -> bool:
    return len(other) > len(place) and other[: len(place)] == place


def field_path(one: ErrorDetails) -> str:
    """Where it is: `options.include.0`; empty for the whole."""
    return ".".join(map(str, one["loc"]))


def message(one: ErrorDetails) -> str:
    """What is wrong with what is there, one of a ValidationError's `errors()`. Rare kinds, and what a model's
    own checks say, stay as they are."""
    about = one.get("ctx", {})
    if words := _FORMS.get(about.get("pattern", "")) or _WORDS.get(one["type"]):
        return words.format(**about)
    return one["msg"].removeprefix("Value error, ")
