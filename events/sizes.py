"""Measure values as JSON, the form in which messages and rows are limited."""

import json
from typing import Any

from pydantic_core import to_jsonable_python


def json_bytes(value: Any) -> int:
    """Return the size of a value as compact JSON in bytes.

    A text's quotes count two, a control character six.
    """
    text = json.dumps(to_jsonable_python(value), ensure_ascii=False, separators=(",", ":"))
    return len(text.encode("utf-8", "surrogatepass"))
