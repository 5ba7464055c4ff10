"""The wire as an OpenAPI document of schemas only: what the console's types are generated from.

python -m events.schema    prints it
"""

import json
import sys
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from events import progress, requests, views
from events.base import Message, Request

Mode = Literal["validation", "serialization"]


def document() -> dict[str, Any]:
    """Requests as they may be sent, answers and live progress as they come."""
    asked: list[tuple[type[BaseModel], Mode]] = [(one, "validation") for one in _models(requests, Request)]
    said: list[tuple[type[BaseModel], Mode]] = [
        (one, "serialization") for one in (*_models(views, Message), progress.Live)
    ]
    _, schema = models_json_schema(asked + said, ref_template="#/components/schemas/{model}")
    return {
        "openapi": "3.1.0",
        "info": {"title": "Crosshaul: the wire", "version": "1"},
        "paths": {},
        "components": {"schemas": schema["$defs"]},
    }


def _models(module: object, base: type[BaseModel]) -> list[type[BaseModel]]:
    """The models that this module itself defines, in its order."""
    own = [one for one in vars(module).values() if isinstance(one, type) and issubclass(one, base)]
    return [one for one in own if one.__module__ == getattr(module, "__name__", "")]


if __name__ == "__main__":
    json.dump(document(), sys.stdout, indent=1, sort_keys=True)
