"""The OpenAPI document is valid, complete and matches the routes."""

import json
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import StringConstraints, TypeAdapter, ValidationError

from events import forms
from events.requests import TransferRequest
from lambdas.api.app import app, describe
from lambdas.api.problems import details, validation_problem
from lambdas.api.queries import CostsQuery
from lambdas.domain.problems import INVALID_QUERY

ROUTES = """
POST /agents/enrollments
POST /agents/register
GET /agents
GET /fleet
GET /agents/{agent_id}
PATCH /agents/{agent_id}
DELETE /agents/{agent_id}
PUT /agents/{agent_id}/drain
DELETE /agents/{agent_id}/drain
POST /agents/{agent_id}/rotate
POST /agents/{agent_id}/certificates
POST /agents/{agent_id}/browse
POST /agents/{agent_id}/log
POST /agents/{agent_id}/credentials
POST /agents/{agent_id}/manifests
POST /agents/{agent_id}/update
GET /buckets
POST /buckets/{bucket}/browse
GET /updates
POST /updates
GET /updates/{update_id}
POST /updates/{update_id}/cancel
GET /rollouts
POST /rollouts
POST /rollouts/{rollout_id}/end
POST /transfers
POST /transfers/distributed
GET /attention
GET /overview
GET /transfers
GET /transfers/count
GET /transfers/{transfer_id}
GET /transfers/{transfer_id}/manifest
GET /transfers/{transfer_id}/timeline
POST /transfers/{transfer_id}/cancel
POST /transfers/{transfer_id}/acknowledgment
POST /transfers/{transfer_id}/approval
POST /transfers/{transfer_id}/decline
POST /transfers/{transfer_id}/pause
POST /transfers/{transfer_id}/resume
POST /transfers/{transfer_id}/retry
GET /templates
POST /templates
GET /templates/{template_id}
PUT /templates/{template_id}
DELETE /templates/{template_id}
GET /policies
GET /policies/{policy_id}
PUT /policies/{policy_id}
DELETE /policies/{policy_id}
POST /policies/test
POST /policies/{policy_id}/dry-run
GET /audit
GET /audit/chain/{day}
GET /audit/seals
GET /overview
GET /costs
GET /health
GET /openapi.json
GET /live
POST /live/watches
"""


def described() -> set[str]:
    paths = describe()["paths"]
    return {
        f"{method.upper()} {path}"
        for path, item in paths.items()
        for method in item
        if method != "parameters"
    }


def test_it_is_valid_openapi_3_1():
    assert describe()["openapi"].startswith("3.1")
    OpenAPIV31SpecValidator(json.loads(json.dumps(describe()))).validate()


def test_every_route_is_described_and_nothing_else():
    assert described() == set(ROUTES.strip().splitlines())
    assert described() == {f"{method} {path}" for path, methods in app.routes.items() for method in methods}


def test_what_is_validated_is_what_is_described():
    body = describe()["components"]["schemas"]["TransferRequest"]
    assert set(body["properties"]) == set(TransferRequest.model_fields)
    assert body["additionalProperties"] is False


def test_errors_are_described_as_problem_details():
    for path, item in describe()["paths"].items():
        for method, operation in item.items():
            if method == "parameters":
                continue
            failures = [status for status in operation["responses"] if not status.startswith("2")]
            for status in failures:
                content = operation["responses"][status].get("content") or {"application/problem+json": {}}
                assert list(content) == ["application/problem+json"], (path, method, status)


def test_it_is_served(here):
    answer = here.get("/openapi.json", role="viewer")
    assert (answer.status, answer.body["openapi"]) == (200, describe()["openapi"])


def patterns(schema: Any) -> Iterator[str]:
    """Yield each regular expression of a document."""
    if isinstance(schema, dict):
        if isinstance(schema.get("pattern"), str):
            yield schema["pattern"]
        schema = list(schema.values())
    if isinstance(schema, list):
        for part in schema:
            yield from patterns(part)


def test_a_month_that_there_is_not_is_refused_in_words():
    with pytest.raises(ValidationError) as refused:
        CostsQuery.model_validate({"month": "2026-13"})
    answer = details(validation_problem(refused.value, "query", INVALID_QUERY), "1")
    assert "month: is not a month: write one like 2026-11" in answer.detail


@pytest.mark.parametrize("pattern", sorted(set(patterns(describe()))))
def test_no_answer_holds_a_regular_expression(pattern: str):
    """None of the people who read the answer reads these; the console has German for each wording."""
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(Annotated[str, StringConstraints(pattern=pattern)]).validate_python("\0")
    answer = details(validation_problem(refused.value, "query", INVALID_QUERY), "1")
    assert json.dumps(pattern)[1:-1] not in answer.model_dump_json()
    assert answer.errors[0]["wording"] == forms.WORDINGS[pattern]
