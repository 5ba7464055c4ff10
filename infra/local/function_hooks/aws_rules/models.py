"""Validate a call against everything that its botocore model holds; botocore itself checks only minimums.

pynamodb switches botocore's validation off, so minimums, types and required members are checked here, too.
"""

import importlib.util
import re
from contextlib import suppress
from functools import cache
from typing import Any

from botocore import validate
from botocore.model import OperationModel, Shape

regex: Any = importlib.import_module("regex") if importlib.util.find_spec("regex") else None
"""Knows `\\p{L}` and its like. Functions do not have it: what needs it is skipped there, and counted."""
_library: Any = validate
"""botocore's validation, whose inner methods have no types."""

_SURROGATES = (r"\uD800\uDC00-\uDBFF\uDFFF", "\U00010000-\U0010ffff")
"""How models write the characters above U+FFFF, and how Python does."""

skipped_patterns: set[str] = set()
"""Patterns met that this Python cannot compile."""


def problems(parameters: dict[str, Any], operation: OperationModel) -> list[str]:
    """Return what is wrong with the parameters: one line each, empty if nothing is."""
    if operation.input_shape is None:
        return []
    found = _VALIDATOR.validate(parameters, operation.input_shape)
    return str(found.generate_report()).splitlines() if found.has_errors() else []


class _Errors(_library.ValidationErrors):  # type: ignore[misc]
    def _format_error(self, error: Any) -> str:
        kind, name, more = error
        if kind == "limit":
            return f"{self._get_name(name)} {more['problem']}"
        return str(super()._format_error(error))


class _StrictValidator(_library.ParamValidator):  # type: ignore[misc]
    """Checks maximums, patterns and enumerations as well."""

    VALIDATED_METADATA_ATTRS = _library.ParamValidator.VALIDATED_METADATA_ATTRS | {"max", "pattern", "enum"}

    def validate(self, params: Any, shape: Shape) -> _Errors:
        errors = _Errors()
        self._validate(params, shape, errors, name="")
        return errors

    def _validate(self, params: Any, shape: Shape, errors: _Errors, name: str) -> None:
        super()._validate(params, shape, errors, name)
        held = shape.metadata
        if "max" in held and (size := _size(params)) is not None and size > held["max"]:
            problem = f"has {size:,} {_unit(params)}, {held['max']:,} are the limit (botocore's model)"
            errors.report(name, "limit", problem=problem)
        if isinstance(params, str):
            if (
                "pattern" in held
                and (pattern := _compiled(held["pattern"]))
                and not pattern.fullmatch(params)
            ):
                problem = f"is {_shown(params)}, which does not match {held['pattern']} (botocore's model)"
                errors.report(name, "limit", problem=problem)
            if "enum" in held and params not in held["enum"]:
                problem = f"is {_shown(params)}, which is none of {held['enum']} (botocore's model)"
                errors.report(name, "limit", problem=problem)


def _size(value: Any) -> float | None:
    """Return what a maximum limits: a number itself, a length of anything else; None for a stream."""
    if isinstance(value, (int, float)):
        return value
    return len(value) if hasattr(value, "__len__") else None


def _unit(value: Any) -> str:
    match value:
        case str():
            return "characters"
        case bytes() | bytearray():
            return "bytes"
        case int() | float():
            return "as its value"
    return "entries"


def _shown(text: str, longest: int = 200) -> str:
    return repr(text if len(text) <= longest else f"{text[:longest]}…")


@cache
def _compiled(pattern: str) -> Any:
    """Return the compiled pattern; None if this Python cannot."""
    ours = pattern.replace(*_SURROGATES)
    for engine in (re, regex):
        with suppress(Exception):  # each engine has its own
            return engine.compile(ours)
    skipped_patterns.add(pattern)
    return None


_VALIDATOR = _StrictValidator()
