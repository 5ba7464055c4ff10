"""The schema of what browsers hear from the broker; the API describes everything else that they read.

python -m events.schema    prints it, as an OpenAPI document's `components.schemas`
"""

import json
import sys
from typing import Any

from pydantic.json_schema import models_json_schema

from events.progress import ChangeNotice, Live


def schemas() -> dict[str, Any]:
    """JSON schemas by name, as the models are written to JSON."""
    _, described = models_json_schema(
        [(Live, "serialization"), (ChangeNotice, "serialization")],
        ref_template="#/components/schemas/{model}",
    )
    found: dict[str, Any] = described["$defs"]
    return found


if __name__ == "__main__":
    json.dump(schemas(), sys.stdout, indent=1, sort_keys=True)
