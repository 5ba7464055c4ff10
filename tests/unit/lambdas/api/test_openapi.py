"""The OpenAPI document is valid, complete and matches the routes."""

import json

from openapi_spec_validator import OpenAPIV31SpecValidator

from events.requests import TransferRequest
from lambdas.api.app import app, describe

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
