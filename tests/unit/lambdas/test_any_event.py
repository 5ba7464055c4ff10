"""No event, however malformed, crashes a function: it is handled or rejected."""

import base64
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from events.topics import Topics
from lambdas import adapters, on_audit, on_change, on_object, on_presence, on_report, wiring
from lambdas.agents.free_room import FreeRoom
from lambdas.api.app import ROUTES
from lambdas.api.routing import Route
from tests.support.control_plane import ControlPlane
from tests.support.fuzzing import altered, fuzzed, samples, scalars, values
from tests.unit.lambdas.test_handlers import LambdaContext, Spy

anyhow = fuzzed(100)
DEEP = "[" * 60_000
THING = "crosshaul:prod:server-b"


REPORTS = [one for one in samples("reports").values() if "kind" in one]
PRESENCES = [one for one in samples("aws").values() if "clientId" in one]


@pytest.fixture
def spies(monkeypatch: pytest.MonkeyPatch) -> dict[str, Spy]:
    names = (
        "agent_service",
        "report_handler",
        "stream_handler",
        "key_rotation",
        "signing_key_rollover",
        "api_relocation",
        "audit_chain",
    )
    made = {name: Spy() for name in names}
    for name, spy in made.items():
        monkeypatch.setattr(wiring, name, lambda spy=spy: spy, raising=False)
    made["audit_store"] = Spy()
    monkeypatch.setattr(adapters, "audit_store", lambda: made["audit_store"])
    monkeypatch.setattr(adapters, "topics", lambda: Topics("prod"))
    monkeypatch.setattr(wiring, "free_room", lambda: FreeRoom(5))
    return made


@anyhow
@given(st.dictionaries(st.sampled_from(["thing", "report", "wire"]) | st.text(), values))
@example({"thing": THING, "report": None})
@example({"thing": [THING], "report": None})
def test_no_report_of_any_shape_brings_on_report_down(spies, event):
    on_report.handler(event, LambdaContext())


@anyhow
@given(altered(REPORTS))
def test_no_altered_report_brings_on_report_down(spies, event):
    on_report.handler({"thing": THING, "report": event}, LambdaContext())


@anyhow
@given(altered(PRESENCES) | st.dictionaries(st.text(), values))
@example({"clientId": THING, "timestamp": 2**60, "eventType": "connected", "versionNumber": 1})
@example(
    {
        "clientId": THING,
        "timestamp": -(2**60),
        "eventType": "connected",
        "versionNumber": 1,
    }
)
def test_no_presence_of_any_shape_brings_on_presence_down(spies, event):
    on_presence.handler(event, LambdaContext())


@anyhow
@given(st.text() | values.map(json.dumps))
@example(DEEP)
@example("")
def test_a_message_of_any_shape_is_given_back_and_the_others_are_not(monkeypatch, body):
    arrivals = Spy(answers={"handle": []})
    monkeypatch.setattr(wiring, "object_events", lambda: arrivals)
    good = next(one for one in samples("aws").values() if "Records" in one)["Records"][0]
    bad = {**good, "messageId": "bad", "body": body}
    answer = on_object.handler({"Records": [bad, good]}, LambdaContext())
    assert answer == {"batchItemFailures": [{"itemIdentifier": "bad"}]}
    [(_, [arrived])] = arrivals.calls
    assert len(arrived) == 1


@anyhow
@given(
    st.dictionaries(st.text(max_size=5), scalars.filter(lambda one: not isinstance(one, float)), max_size=4)
)
def test_no_row_of_any_shape_brings_the_streams_down(spies, row):
    from boto3.dynamodb.types import TypeSerializer

    image = {name: TypeSerializer().serialize(value) for name, value in row.items()}
    record = {
        "eventID": "1",
        "eventName": "MODIFY",
        "eventSource": "aws:dynamodb",
        "dynamodb": {"SequenceNumber": "1", "NewImage": image, "Keys": image},
    }
    assert on_change.handler({"Records": [record]}, LambdaContext()) == {"batchItemFailures": []}
    on_audit.handler({"Records": [record]}, LambdaContext())


NAMES = {
    "agent_id": "server-b",
    "transfer_id": "a" * 20,
    "template_id": "new-videos",
    "policy_id": "mine",
    "bucket": "media-uploads",
}
BODIES = [route for route in ROUTES if "body" in route.parameters]


@fuzzed(200)
@given(
    st.sampled_from(BODIES),
    st.text() | values.map(json.dumps) | altered(list(samples("requests").values())).map(json.dumps),
)
def test_no_body_of_any_bytes_breaks_a_route(here, route, body):
    refused_or_done(here, route, body)


@pytest.mark.parametrize("body", [DEEP, '{"a":' * 20_000, "\ud800", '"\\ud800"', "\x00"])
def test_no_body_of_these_bytes_breaks_a_route(here, body):
    for route in BODIES:
        refused_or_done(here, route, body)


def refused_or_done(here: ControlPlane, route: Route, body: str) -> None:
    answer = here.call(route.method, route.path.format(**NAMES), raw=body)
    assert answer.status < 500, answer.text
    if answer.status >= 400:
        assert answer.body["detail"]
        assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("claims", [{}, {"email": ""}, {"email": "a@b", "cognito:groups": "[admin\x00]"}])
def test_malformed_claims_are_rejected(here, claims):
    from lambdas.api.handler import handler

    event = {
        "httpMethod": "GET",
        "requestContext": {
            "resourcePath": "/agents",
            "httpMethod": "GET",
            "authorizer": {"claims": claims},
        },
        "body": base64.b64encode(b"\xff\xfe").decode(),
        "isBase64Encoded": True,
    }
    assert handler(event, LambdaContext())["statusCode"] in {401, 403}
