"""JSON schemas of the messages that browsers receive from the broker; the API describes everything else.

python -m events.schema    prints them like an OpenAPI document's `components.schemas`
"""

import json
import sys
from typing import Any

from pydantic.json_schema import models_json_schema

from events.progress import ChangeNotice, Live


def schemas() -> dict[str, Any]:
    """Return the JSON schemas of the models by name, in serialization mode."""
    _, described = models_json_schema(
        [(Live, "serialization"), (ChangeNotice, "serialization")],
        ref_template="#/components/schemas/{model}",
    )
    found: dict[str, Any] = described["$defs"]
    return found


if __name__ == "__main__":
    json.dump(schemas(), sys.stdout, indent=1, sort_keys=True)
