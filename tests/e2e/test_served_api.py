"""The deployed API keeps to its OpenAPI description, as checked by schemathesis."""

from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from pydantic import TypeAdapter, ValidationError
from schemathesis import APIOperation, Case
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from events.base import AgentId, TransferId
from lambdas.api.app import describe
from tests.e2e.api import SignedInApi
from tests.e2e.conftest import Fleet

pytestmark = pytest.mark.e2e

CONFORMING = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
SCHEMA = schemathesis.openapi.from_dict(describe())
SCHEMA.config.update(base_url="http://127.0.0.1:1")
SCHEMA.config.generation.update(with_security_parameters=False)
NAMES = {"agent_id": AgentId, "transfer_id": TransferId}


OPERATIONS = [result.ok() for result in SCHEMA.get_all_operations()]
each_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)


def tried(operation: APIOperation, examples: int, keeps: Callable[[Case], None]) -> None:
    """Return a test that sends the same generated requests in every run."""
    bounds = settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    bounds(given(operation.as_strategy())(keeps))()


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    with requests.Session() as opened:
        yield opened


@pytest.fixture(scope="module")
def names(enrolled: Fleet) -> Iterator[dict[str, str]]:
    """Yield names of existing items, so that requests get past the lookup; undo what they have done."""
    api = enrolled.api
    before = {one["template_id"] for one in api.get("/templates")["templates"]}
    yield {"agent_id": "server-b", "transfer_id": enrolled.copy("server-b:/data/x", "server-c:/archive/x")}
    api.delete("/agents/server-b/drain")
    for template in api.get("/templates")["templates"]:
        if template["template_id"] not in before:
            api.delete(f"/templates/{template['template_id']}")


def name_what_there_is(case: Case, names: dict[str, str]) -> None:
    """Replace generated names by existing ones, except where that would remove an agent."""
    for name, kind in NAMES.items():
        with suppress(KeyError, ValidationError):
            TypeAdapter(kind).validate_python(case.path_parameters[name])
            case.path_parameters[name] = "server-of-nobody" if case.method == "DELETE" else names[name]


def test_what_is_served_is_what_is_asked_about(api: SignedInApi) -> None:
    assert api.get("/openapi.json") == describe()


@each_operation
def test_an_administrator_gets_what_was_promised(operation, api, session, names) -> None:
    def keeps(case: Case) -> None:
        name_what_there_is(case, names)
        headers = {"Authorization": f"Bearer {api.token}"}
        case.call_and_validate(base_url=api.url, session=session, headers=headers, checks=CONFORMING)

    tried(operation, 12, keeps)


@each_operation
def test_nobody_gets_what_was_promised_to_others(operation, api, session) -> None:
    def keeps(case: Case) -> None:
        answer = case.call_and_validate(
            base_url=api.url, session=session, headers={"Authorization": ""}, checks=CONFORMING
        )
        if {"person": []} in operation.definition.raw["security"]:
            assert answer.status_code == 401

    tried(operation, 3, keeps)
