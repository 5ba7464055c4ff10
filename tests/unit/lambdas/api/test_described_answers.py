"""Every answer of the API is one that its OpenAPI document describes, whatever a request contains.

The handlers run in this process, on tables that have one of everything. Schemathesis makes requests from the
document, and parts of the samples are replaced by hostile values, since few generated bodies name things that
exist. At the end everything is read again: what was accepted must not break a list for everybody.

`tests/e2e/test_served_api.py` sends fewer requests to the deployed API, through the gateway.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import boto3
import pytest
import requests
import schemathesis
from hypothesis import given
from hypothesis import strategies as st
from schemathesis import APIOperation, Case
from schemathesis.checks import not_a_server_error
from schemathesis.core.transport import Response
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)
from urllib3 import HTTPResponse

from events.commands import Browse, Command, ReadLog
from events.reports import Browsed, LogExcerpt
from lambdas import adapters, wiring
from lambdas.api.app import describe
from tests.support.control_plane import REGION, ControlPlane, control_plane, hello, publish
from tests.support.fuzzing import altered, fuzzed, samples

ADDRESS = "http://127.0.0.1:1"
SCHEMA = schemathesis.openapi.from_dict(describe())
SCHEMA.config.update(base_url=ADDRESS)
SCHEMA.config.generation.update(with_security_parameters=False)
OPERATIONS = [result.ok() for result in SCHEMA.get_all_operations()]
LISTS = [
    operation
    for operation in OPERATIONS
    if operation.label.startswith("GET ")
    and not operation.path_parameters
    and operation.path != "/openapi.json"
]
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
ROOTS = tuple({"path": path, "access": "rw"} for path in ("/data", "/archive", "/backup", "/primary"))
BODIES = {
    **samples("requests"),
    **samples("policies"),
    **samples("rollouts"),
    **samples("updates"),
}
BODIES["TemplateRequest"]["trigger"]["bucket"] = "media"
BODIES["UpdateRequest"] |= {"version": "0.1.1", "tags": {}, "agents": ["server-b"]}
CHAIN = {
    "source": "s3://media/a/",
    "destinations": ["server-b:/data/a/", "server-c:/archive/"],
    "shape": "chain",
}


class Served:
    """A control plane that has one of everything, and the names of what it has."""

    def __init__(self, plane: ControlPlane) -> None:
        self.plane = plane
        self.keys: dict[str, str] = {}
        self.names: dict[str, list[str]] = {
            "agent_id": ["server-b", "server-c", "server-d"],
            "bucket": ["media", "uploads"],
            "template_id": ["new-videos"],
            "policy_id": ["admin", "mine"],
        }
        plane.fleet.on_command = self._answer
        publish("0.1.1")
        for bucket in self.names["bucket"]:
            s3 = boto3.client("s3", REGION)
            s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
            s3.put_object(Bucket=bucket, Key="a/odd \n é\x1b.txt", Body=b"x")
        self.fill()
        transfers = [
            self._created("/transfers", body, "transfer_id") for body in (BODIES["TransferRequest"], CHAIN)
        ]
        for transfer in transfers:
            wiring.stream_handler().advance(adapters.transfer_store().get(transfer))
        self.names["transfer_id"] = [*transfers, self._created("/transfers", CHAIN, "transfer_id")]
        self.names["rollout_id"] = [self._created("/rollouts", BODIES["RolloutRequest"], "rollout_id")]
        self.names["update_id"] = [self._created("/updates", BODIES["UpdateRequest"], "update_id")]

    def fill(self) -> None:
        """Create the agents, the template and the policy that are missing."""
        there = {agent["agent_id"] for agent in self.plane.get("/agents").body["agents"]}
        for agent in {"server-b", "server-c", "server-d"} - there:
            self.keys[agent] = self.plane.join(agent, online=False, roots=ROOTS)["api_key"]
            if agent != "server-d":
                wiring.agent_service().hello(agent, hello(roots=ROOTS))
        self.plane.post("/templates", BODIES["TemplateRequest"])
        self.plane.call("PUT", "/policies/mine", BODIES["PolicyRequest"])

    def _created(self, path: str, body: Any, key: str) -> str:
        answer = self.plane.post(path, body)
        assert answer.status in {201, 202}, answer.text
        return str(answer.body[key])

    def _answer(self, agent_id: str, command: Command) -> None:
        if isinstance(command, Browse):
            listing = {**samples("reports")["Browsed"], "request_id": command.request_id}
            wiring.agent_service().answered(agent_id, Browsed.model_validate(listing))
        if isinstance(command, ReadLog):
            excerpt = {**samples("reports")["LogExcerpt"], "request_id": command.request_id}
            wiring.agent_service().answered(agent_id, LogExcerpt.model_validate(excerpt))

    def send(self, case: Case, role: str) -> Response:
        """Send the request as API Gateway does, with the key of the agent in its path."""
        given = case.as_transport_kwargs(base_url=ADDRESS)
        prepared = requests.Request(
            **{
                key: given[key]
                for key in ("method", "url", "headers", "params", "json", "data")
                if key in given
            }
        ).prepare()
        url, body = urlsplit(str(prepared.url)), prepared.body
        answer = self.plane.call(
            str(prepared.method),
            unquote(str(url.path)),
            raw=body.decode(errors="surrogateescape") if isinstance(body, bytes) else body,
            headers={
                **prepared.headers,
                "X-Agent-Key": self.keys.get(str(case.path_parameters.get("agent_id")), ""),
            },
            role=role,
            who=f"{role}@example.org",
            **dict(parse_qsl(str(url.query), keep_blank_values=True)),
        )
        return as_response(prepared, answer)


def as_response(prepared: requests.PreparedRequest, answer: Any) -> Response:
    response = requests.Response()
    response.request, response.url, response.elapsed = prepared, str(prepared.url), timedelta()
    response.status_code, response._content = answer.status, answer.text.encode()
    response.headers.update({name: str(value) for name, value in answer.headers.items()})
    response.raw = HTTPResponse(headers=response.headers, status=answer.status)
    return Response.from_requests(response, verify=False)


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with pytest.MonkeyPatch.context() as patch, control_plane(patch) as plane:
        yield Served(plane)


def body_of(operation: APIOperation) -> list[Any]:
    """Return the sample of the operation's body; an empty list if it has none."""
    content = operation.definition.raw.get("requestBody", {}).get("content", {})
    name = content.get("application/json", {}).get("schema", {}).get("$ref", "").rpartition("/")[2]
    return [BODIES[name]] if name else []


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_every_answer_is_described(operation: APIOperation, served: Served) -> None:
    body = body_of(operation)

    @fuzzed(10, shrink=False)
    @given(operation.as_strategy(), st.sampled_from(["admin", "admin", "operator", "viewer"]), st.data())
    def is_described(case: Case, role: str, data: st.DataObject) -> None:
        checks = [*CHECKS, negative_data_rejection]
        for name in set(case.path_parameters) & set(served.names):
            if number := data.draw(st.integers(0, 30)):
                case.path_parameters[name] = served.names[name][number % len(served.names[name])]
        if body and data.draw(st.booleans()):
            case.body, checks = data.draw(st.sampled_from(body) | altered(body)), CHECKS
        response = served.send(case, role)
        if response.status_code == 504 and b"bucket-silent" in response.content:
            return  # moto answers 500 where a name has control characters, and S3 does not
        case.validate_response(response, checks=checks)
        if case.method == "DELETE":
            served.fill()

    is_described()
    for listed in LISTS:
        case = listed.Case()
        response = served.send(case, "admin")
        assert response.status_code == 200, response.content
        case.validate_response(response, checks=CHECKS)
