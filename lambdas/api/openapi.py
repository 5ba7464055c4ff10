"""Describe the API in OpenAPI 3.1, from the very models that parse and answer its requests."""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import models_json_schema

from events.base import WIRE
from events.views import ProblemDetails
from lambdas.api.problems import MEDIA_TYPE, TITLES
from lambdas.api.routing import Route

Mode = Literal["validation", "serialization"]
_REF = "#/components/schemas/{model}"

SCHEMES = {
    "person": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "The id token of a Cognito sign-in.",
    },
    "agent": {"type": "apiKey", "in": "header", "name": "X-Agent-Key", "description": "An agent's own key."},
}
_AGENTS_OWN = {
    f"/agents/{{agent_id}}/{what}" for what in ("certificates", "credentials", "manifests", "update")
}
_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    "description": "The same key with the same body does it once; with another body it is refused.",
}


_SAID = {200: "Done", 201: "Created", 202: "Accepted"}


def document(routes: Sequence[Route]) -> dict[str, Any]:
    """Return the description of these routes; needs no AWS."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Crosshaul",
            "version": str(WIRE),
            "description": "Moves files between any two servers of a company, and from S3 to many of them.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {"schemas": _schemas(routes), "securitySchemes": SCHEMES},
    }


def _operation(route: Route) -> dict[str, Any]:
    summary, _, rest = (route.view.__doc__ or "").partition("\n")
    description = {"description": " ".join(rest.split())} if rest.strip() else {}
    body = route.takes.get("body")
    asked = {"requestBody": {"required": True, **_json(body)}} if body else {}
    return {
        "operationId": route.view.__name__,
        "summary": summary.rstrip("."),
        **description,
        "tags": [route.tag],
        "security": _security(route),
        "parameters": [*_in_path(route), *_in_query(route), *([_KEY] if route.keyed else [])],
        **asked,
        "responses": {**_success(route), **{str(status): _problem(status) for status in _statuses(route)}},
    }


def _security(route: Route) -> list[dict[str, list[str]]]:
    if route.may is not None:
        return [{"person": []}]
    return [{"agent": []}] if route.path in _AGENTS_OWN else []


def _in_path(route: Route) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": TypeAdapter(kind).json_schema()}
        for name, kind in route.takes.items()
        if "{" + name + "}" in route.path
    ]


def _in_query(route: Route) -> list[dict[str, Any]]:
    kind = route.takes.get("query")
    if kind is None:
        return []
    schema = kind.model_json_schema()
    definitions = schema.get("$defs", {})
    return [
        {
            "name": name,
            "in": "query",
            "required": name in schema.get("required", ()),
            "schema": _inlined(one, definitions),
        }
        for name, one in schema["properties"].items()
    ]


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    """With definitions in place of references to them: a parameter has no place to define them in."""
    if isinstance(schema, list):
        return [_inlined(one, definitions) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return definitions[schema["$ref"].rpartition("/")[2]]
    return {name: _inlined(value, definitions) for name, value in schema.items()}


def _success(route: Route) -> dict[str, Any]:
    if route.gives is None:
        return {"204": {"description": "Done"}}
    answer = _json(route.gives) if _is_model(route.gives) else {"content": {"application/json": {}}}
    return {str(route.status): {"description": _SAID[route.status], **answer}}


def _statuses(route: Route) -> list[int]:
    """The problems that this route may answer with."""
    takes = route.takes
    found = {500}
    found |= {401, 403} if route.may is not None else set()
    found |= {401} if route.path in {*_AGENTS_OWN, "/agents/register"} else set()
    found |= {400, 413, 422} if "body" in takes else set()
    found |= {400} if "query" in takes else set()
    found |= {404} if _in_path(route) or route.path.startswith(("/transfers", "/updates")) else set()
    found |= {409} if route.method in {"POST", "PUT", "PATCH"} else set()
    found |= {400, 422} if route.keyed else set()
    found |= {504} if route.path.endswith("/browse") else set()
    return sorted(found)


def _problem(status: int) -> dict[str, Any]:
    return {
        "description": TITLES[status],
        "content": {MEDIA_TYPE: {"schema": {"$ref": _REF.format(model="ProblemDetails")}}},
    }


def _json(model: type[BaseModel]) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": {"$ref": _REF.format(model=model.__name__)}}}}


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _schemas(routes: Sequence[Route]) -> dict[str, Any]:
    """Requests as they may be sent (what has a default may be left out), answers as they come (all there)."""
    asked: dict[type[BaseModel], Mode] = {
        route.takes["body"]: "validation" for route in routes if "body" in route.takes
    }
    said: dict[type[BaseModel], Mode] = {
        route.gives: "serialization" for route in routes if _is_model(route.gives)
    }
    models: list[tuple[type[BaseModel], Mode]] = [
        *asked.items(),
        *said.items(),
        (ProblemDetails, "serialization"),
    ]
    _, schema = models_json_schema(models, ref_template=_REF)
    schemas: dict[str, Any] = schema["$defs"]
    return schemas
