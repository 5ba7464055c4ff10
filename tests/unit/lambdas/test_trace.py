"""One id leads from a request through the commands to the reports, in each log line about them."""

import io
import json
import time

import boto3
import pytest

from events.reports import Started
from events.topics import Topics
from lambdas import on_change, on_report, on_retry, wiring
from lambdas.telemetry import logger
from tests.support.control_plane import Context
from tests.unit.infra.test_restore import inserts
from tests.unit.lambdas.agents.test_drain import BODY, timeline


@pytest.fixture
def lines():
    """Return a function that returns the log lines since it was last called."""
    stream, handler = io.StringIO(), logger.registered_handler
    before = handler.setStream(stream)

    def since():
        found = [json.loads(line) for line in stream.getvalue().splitlines()]
        stream.seek(0)
        stream.truncate()
        return found

    yield since
    handler.setStream(before)


def test_a_transfer_is_followed_from_its_request_to_its_reports(here, lines):
    here.join("server-b")
    here.join("server-c")
    lines()
    transfer_id = here.post("/transfers", BODY).body["transfer_id"]
    [answered] = [line for line in lines() if line["message"] == "answered"]
    assert answered["transfer_id"] == transfer_id
    assert answered["request_id"]

    rows = timeline(boto3)
    on_change.handler(inserts(rows, time.time()), Context())
    seen = lines()
    assert {"transfer requested", "hop offered"} <= {line["message"] for line in seen}
    assert {line.get("transfer_id") for line in seen} == {transfer_id}

    hop_id = f"{transfer_id}-0"
    with pytest.MonkeyPatch.context() as failing:
        failing.setattr(wiring.report_handler(), "apply", lambda *_: wiring.agent_service().view("server-x"))
        at = json.loads(rows[0]["moment"]["S"])["at"]
        started = Started(transfer_id=transfer_id, hop_id=hop_id, attempt=1, seq=1, via="direct", at=at)
        message = {"thing": Topics("test").thing("server-c"), "report": started.model_dump(mode="json")}
        on_report.handler(message, Context())
    [failed] = lines()
    assert (failed["transfer_id"], failed["hop_id"]) == (transfer_id, hop_id)
    on_retry.handler({"Records": [{"messageId": "1", "body": json.dumps({"hop_id": hop_id})}]}, Context())
    [due] = [line for line in lines() if line["message"] == "retry was due"]
    assert (due["transfer_id"], due["hop_id"]) == (transfer_id, hop_id)

    here.get("/agents")
    [other] = [line for line in lines() if line["message"] == "answered"]
    assert "transfer_id" not in other, "the next request is about something else"
