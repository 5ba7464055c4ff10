"""Describe the API in OpenAPI 3.1, from the models that parse its requests and build its answers."""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import models_json_schema

from events.base import WIRE
from events.views import ProblemDetails
from lambdas.api.problems import MEDIA_TYPE
from lambdas.api.routing import Route
from lambdas.domain.authorization import MANAGE_POLICY
from lambdas.domain.problems import CATALOGUE

Mode = Literal["validation", "serialization"]
_REF = "#/components/schemas/{model}"
_PROBLEM_REF = "#/components/responses/Problem{status}"

SECURITY_SCHEMES = {
    "person": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "The id token of a Cognito sign-in.",
    },
    "agent": {"type": "apiKey", "in": "header", "name": "X-Agent-Key", "description": "The agent's API key."},
}
_AGENT_KEY_PATHS = {
    f"/agents/{{agent_id}}/{path}" for path in ("certificates", "credentials", "manifests", "update")
}
_PERSON_PATHS = {"/audit", "/policies/test"}
"""Routes whose request may name a person, who may be unknown."""
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    "description": "The same key with the same body runs once; with another body it is rejected.",
}


_SUCCESS_DESCRIPTIONS = {200: "Done", 201: "Created", 202: "Accepted"}


def document(routes: Sequence[Route]) -> dict[str, Any]:
    """Return the OpenAPI document of these routes; needs no AWS."""
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
        "components": {
            "schemas": _schemas(routes),
            "responses": _problems(),
            "securitySchemes": SECURITY_SCHEMES,
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    summary, _, rest = (route.view.__doc__ or "").partition("\n")
    description = {"description": " ".join(rest.split())} if rest.strip() else {}
    body = route.parameters.get("body")
    request_body = {"requestBody": {"required": True, **_json_content(body)}} if body else {}
    return {
        "operationId": route.view.__name__,
        "summary": summary.rstrip("."),
        **description,
        "tags": [route.tag],
        "security": _security(route),
        "parameters": [
            *_path_parameters(route),
            *_query_parameters(route),
            *([_IDEMPOTENCY_KEY] if route.idempotent else []),
        ],
        **request_body,
        "responses": {
            **_success(route),
            **{str(status): {"$ref": _PROBLEM_REF.format(status=status)} for status in _statuses(route)},
        },
    }


def _security(route: Route) -> list[dict[str, list[str]]]:
    if route.action is not None:
        return [{"person": []}]
    return [{"agent": []}] if route.path in _AGENT_KEY_PATHS else []


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": TypeAdapter(type_).json_schema()}
        for name, type_ in route.parameters.items()
        if "{" + name + "}" in route.path
    ]


def _query_parameters(route: Route) -> list[dict[str, Any]]:
    model = route.parameters.get("query")
    if model is None:
        return []
    schema = model.model_json_schema()
    definitions = schema.get("$defs", {})
    return [
        {
            "name": name,
            "in": "query",
            "required": name in schema.get("required", ()),
            "schema": _inlined(property_, definitions),
        }
        for name, property_ in schema["properties"].items()
    ]


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    """Replace references by their definitions: a parameter's schema cannot carry definitions."""
    if isinstance(schema, list):
        return [_inlined(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return definitions[schema["$ref"].rpartition("/")[2]]
    return {name: _inlined(value, definitions) for name, value in schema.items()}


def _success(route: Route) -> dict[str, Any]:
    if route.return_type is None:
        return {"204": {"description": "Done"}}
    answer = (
        _json_content(route.return_type)
        if _is_model(route.return_type)
        else {"content": {"application/json": {}}}
    )
    return {str(route.status): {"description": _SUCCESS_DESCRIPTIONS[route.status], **answer}}


def _statuses(route: Route) -> list[int]:
    """Return the HTTP statuses of the problems that this route may answer with."""
    parameters = route.parameters
    statuses = {500}
    statuses |= {401, 403} if route.action is not None else set()
    statuses |= {401} if route.path in {*_AGENT_KEY_PATHS, "/agents/register"} else set()
    statuses |= {400, 413, 422} if "body" in parameters else set()
    statuses |= {400} if "query" in parameters else set()
    statuses |= (
        {404} if _path_parameters(route) or route.path.startswith(("/transfers", "/updates")) else set()
    )
    statuses |= {404} if route.path in _PERSON_PATHS else set()
    statuses |= {409} if route.method != "GET" else set()
    statuses |= {422} if route.action == MANAGE_POLICY and route.method == "DELETE" else set()  # a lock-out
    statuses |= {400, 422} if route.idempotent else set()
    statuses |= {504} if route.path.endswith(("/browse", "/log")) else set()
    return sorted(statuses)


def _problems() -> dict[str, Any]:
    """Return the answer of each status, with the codes of its problems."""
    titles: dict[int, list[str]] = {}
    for code, kind in sorted(CATALOGUE.items()):
        if kind.status:
            titles.setdefault(kind.status, []).append(f"- `{code}`: {kind.title}")
    return {
        f"Problem{status}": {
            "description": "\n".join(lines),
            "content": {MEDIA_TYPE: {"schema": {"$ref": _REF.format(model="ProblemDetails")}}},
        }
        for status, lines in sorted(titles.items())
    }


def _json_content(model: type[BaseModel]) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": {"$ref": _REF.format(model=model.__name__)}}}}


def _is_model(model: Any) -> bool:
    return isinstance(model, type) and issubclass(model, BaseModel)


def _schemas(routes: Sequence[Route]) -> dict[str, Any]:
    """Return the schemas: requests with optional defaults, answers with every field required."""
    requests: dict[type[BaseModel], Mode] = {
        route.parameters["body"]: "validation" for route in routes if "body" in route.parameters
    }
    answers: dict[type[BaseModel], Mode] = {
        route.return_type: "serialization" for route in routes if _is_model(route.return_type)
    }
    models: list[tuple[type[BaseModel], Mode]] = [
        *requests.items(),
        *answers.items(),
        (ProblemDetails, "serialization"),
    ]
    _, schema = models_json_schema(models, ref_template=_REF)
    schemas: dict[str, Any] = schema["$defs"]
    return schemas
