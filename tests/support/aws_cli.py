"""Call AWS as a command of the AWS CLI in a guide would."""

import re
import shlex
from typing import Any


def options(text: str) -> dict[str, Any]:
    """Parse options as the AWS CLI does, as far as the guides use them."""
    given: dict[str, Any] = {}
    for part in re.split(r"(?:^| )--", text)[1:]:
        name, *values = shlex.split(part)
        pairs = [dict(one.split("=", 1) for one in value.split(",")) for value in values if "=" in value]
        key = name.title().replace("-", "")
        if name.endswith("-settings"):
            given[key] = {field: value == "true" for field, value in pairs[0].items()}
        else:
            given[key] = pairs or (values if name.endswith("mediums") else values[0])
    return given


def run(client: Any, verb: str, text: str, **more: Any) -> Any:
    """Call `verb` of a boto3 client with the options of a command line, and `more`."""
    return getattr(client, verb.replace("-", "_"))(**options(text), **more)
