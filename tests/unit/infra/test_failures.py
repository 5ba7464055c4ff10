"""What a stage could not do is shown with its reason, done again once, and otherwise stays where it is."""

import base64
import io
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from agent.cli.proof import Audit, flaws_of
from events.audit import AuditRecord
from events.topics import Topics
from infra import failures
from infra.failed_work import FailuresError
from lambdas import adapters, on_audit, on_change, on_object, on_presence, on_report, on_retry, wiring
from lambdas.domain.object_batch import ObjectCreated
from tests.support.control_plane import REGION, Context, ControlPlane, control_plane, hello
from tests.unit.lambdas.templates.test_api_templates import VIDEOS

STAGE = "test"
HANDLERS: dict[str, Any] = {
    "OnAudit": on_audit.handler,
    "OnChange": on_change.handler,
    "OnObject": on_object.handler,
    "OnPresence": on_presence.handler,
    "OnReport": on_report.handler,
    "OnRetry": on_retry.handler,
}


class Lambda:
    """Runs the real handlers; an error is answered as Lambda does."""

    def invoke(self, FunctionName: str, Payload: str) -> dict[str, Any]:  # noqa: N803
        try:
            result = HANDLERS[FunctionName.removeprefix("prod-")](json.loads(Payload), Context())
        except Exception as error:
            told = {"errorType": type(error).__name__, "errorMessage": str(error)}
            return {"FunctionError": "Unhandled", "Payload": io.BytesIO(json.dumps(told).encode())}
        return {"Payload": io.BytesIO(json.dumps(result).encode())}


class FakeSession:
    """An account with one stage: real tables and queues of moto, and the functions of this process."""

    def __init__(self) -> None:
        self.sqs = boto3.client("sqs", REGION)
        self.sqs.meta.events.register("before-parameter-build.sqs.ReceiveMessage", _do_not_wait)
        self.urls = {
            name: self.sqs.create_queue(QueueName=name)["QueueUrl"] for name in failures.QUEUES.values()
        }

    def client(self, service: str, **_: Any) -> Any:
        own = {"lambda": Lambda(), "cloudformation": self, "sqs": self.sqs}
        return own.get(service) or boto3.client(service, REGION)  # type: ignore[call-overload]

    def get_paginator(self, _: str) -> Any:
        return self

    def paginate(self, StackName: str) -> Iterator[dict[str, Any]]:  # noqa: N803
        if StackName.endswith("-State"):
            yield from _page("AWS::DynamoDB::Table", {"TablesTransfers": "transfers-table"})
            yield from _page("AWS::DynamoDB::Table", {"TablesAudit": "audit-table"})
            return
        yield from _page("AWS::SQS::Queue", self.urls)
        yield from _page("AWS::Lambda::Function", {f"Functions{name}": f"prod-{name}" for name in HANDLERS})

    def fail(self, queue: str, body: Any) -> None:
        """Put a message into a dead-letter queue."""
        url = self.urls[failures.QUEUES[queue]]
        self.sqs.send_message(QueueUrl=url, MessageBody=body if isinstance(body, str) else json.dumps(body))


def _do_not_wait(params: dict[str, Any], **_: Any) -> None:
    """Moto has one server, so nothing arrives while it waits."""
    params["WaitTimeSeconds"] = 0


def _page(kind: str, names: dict[str, str]) -> Iterator[dict[str, Any]]:
    summaries = [
        {"ResourceType": kind, "LogicalResourceId": f"{logical}12345678", "PhysicalResourceId": physical}
        for logical, physical in names.items()
    ]
    yield {"StackResourceSummaries": summaries}


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Iterator[ControlPlane]:
    with control_plane(monkeypatch) as found:
        found.join("server-b")
        found.join("server-c")
        yield found


@pytest.fixture
def session(here: ControlPlane) -> FakeSession:
    return FakeSession()


@pytest.fixture
def run(session: FakeSession, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run the command; return what it prints. It must exit with `exits`."""

    def command(*given: str, exits: int = 0) -> str:
        assert failures.main(given, lambda **_: session) == exits
        printed = capsys.readouterr()
        return printed.out + printed.err

    return command


def of_function(name: str, **what: Any) -> dict[str, Any]:
    """Return what Lambda writes into the queue when a function has failed for good."""
    arn = f"arn:aws:lambda:{REGION}:123456789012:function:prod-{name}:$LATEST"
    context = {"functionArn": arn, "condition": "RetriesExhausted", "approximateInvokeCount": 3}
    return {"version": "1.0", "requestContext": context, **what}


def of_stream(name: str, first: datetime, last: datetime) -> dict[str, Any]:
    """Return what Lambda writes into the queue when it gives up rows of a stream: no rows."""
    batch = {
        "shardId": "shardId-1",
        "startSequenceNumber": "1",
        "endSequenceNumber": "9",
        "approximateArrivalOfFirstRecord": first.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "approximateArrivalOfLastRecord": last.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "batchSize": 2,
        "streamArn": f"arn:aws:dynamodb:{REGION}:123456789012:table/any/stream/2026-11-30T00:00:00.000",
    }
    return of_function(name, DDBStreamBatchInfo=batch)


def report(kind: Any) -> dict[str, Any]:
    """Return the message that an agent publishes."""
    return {"wire": 1, "report": kind.model_dump(mode="json")}


def transfer(here: ControlPlane) -> str:
    body = {"source": "server-b:/data/", "destinations": ["server-c:/primary/"]}
    name: str = here.post("/transfers", body).body["transfer_id"]
    return name


class TestRedrive:
    def test_a_report_that_failed_is_told_stays_as_long_as_it_fails_and_is_handled_then(
        self,
        here: ControlPlane,
        session: FakeSession,
        run: Callable[..., str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        event = report(hello(version="9.9.9")) | {"thing": Topics(STAGE).thing("server-b")}
        error = {"errorType": "RuntimeError", "errorMessage": "the disk of the cloud is full"}
        session.fail("failures", of_function("OnReport", requestPayload=event, responsePayload=error))

        for _ in range(2):  # what is shown is not taken away
            shown = run("show", STAGE)
            assert f"report hello of {Topics(STAGE).thing('server-b')}" in shown
            assert "RetriesExhausted after 3 attempts: RuntimeError: the disk of the cloud is full" in shown

        with monkeypatch.context() as broken:
            broken.setattr(wiring, "agent_service", lambda: 1 / 0)
            answer = run("redrive", STAGE, exits=1)
        assert "stays: OnReport failed again: ZeroDivisionError: division by zero" in answer

        assert "1 done again, 0 stay" in run("redrive", STAGE)
        assert here.get("/agents/server-b").body["version"] == "9.9.9"
        assert "Nothing waits." in run("show", STAGE)

    def test_a_report_that_iot_core_could_not_hand_on_is_handled(
        self, here: ControlPlane, session: FakeSession, run: Callable[..., str]
    ) -> None:
        topics = Topics(STAGE)
        payload = json.dumps(report(hello(version="9.9.9"))).encode()
        undelivered = {
            "ruleName": topics.reports_rule,
            "topic": topics.reports(topics.thing("server-c")),
            "base64OriginalPayload": base64.b64encode(payload).decode(),
            "failures": [{"failedAction": "LambdaAction", "errorMessage": "TooManyRequestsException"}],
        }
        session.fail("failures", undelivered)
        presence = {"clientId": topics.thing("server-b"), "eventType": "disconnected", "versionNumber": 7}
        presence["timestamp"] = int((datetime.now(UTC) + timedelta(seconds=1)).timestamp() * 1000)
        packed = base64.b64encode(json.dumps(presence).encode()).decode()
        session.fail(
            "failures",
            undelivered | {"ruleName": topics.presence_rule, "topic": "x", "base64OriginalPayload": packed},
        )
        assert "TooManyRequestsException" in run("show", STAGE, "failures")
        assert "2 done again, 0 stay" in run("redrive", STAGE, "failures")
        assert here.get("/agents/server-c").body["version"] == "9.9.9"
        assert here.get("/agents/server-b").body["status"] == "offline"

    def test_changes_that_the_stream_gave_up_reach_their_agents(
        self, here: ControlPlane, session: FakeSession, run: Callable[..., str]
    ) -> None:
        """The message has only sequence numbers and times, and the rows are not asked of the stream."""
        asked_for = datetime.now(UTC)
        transfer_id = transfer(here)
        assert here.fleet.sent == []
        for _ in range(2):
            session.fail("failures", of_stream("OnChange", asked_for, asked_for + timedelta(seconds=2)))
            assert "transfers: 2 rows of" in run("show", STAGE)
            assert "1 done again, 0 stay" in run("redrive", STAGE)
            assert here.get(f"/transfers/{transfer_id}").body["hops"][0]["state"] == "offered"
            assert len(here.fleet.sent) == 2, "to serve and to move; the second time nothing"

    def test_an_object_that_no_template_has_seen_is_moved_once(
        self, here: ControlPlane, session: FakeSession, run: Callable[..., str]
    ) -> None:
        here.join("server-d")
        assert here.post("/templates", VIDEOS).status == 201
        written = {"key": "new-videos/ep1.mov", "size": 9, "sequencer": "1"}
        detail = {"bucket": {"name": "media"}, "object": written}
        event = {"id": "e-1", "detail-type": "Object Created", "source": "aws.s3", "detail": detail}
        for _ in range(2):
            session.fail("uploads", event)
            assert "ep1.mov was written" in run("show", STAGE)
            assert "1 done again, 0 stay" in run("redrive", STAGE, "uploads")
            assert len(here.get("/transfers").body["transfers"]) == 1

    def test_what_a_template_has_gathered_is_moved_once(
        self, here: ControlPlane, session: FakeSession, run: Callable[..., str]
    ) -> None:
        here.join("server-d")
        assert here.post("/templates", VIDEOS).status == 201
        gathered = [ObjectCreated("media", "new-videos/ep1.mov", "1", 9)]
        adapters.gathered_store().add(VIDEOS["name"], gathered)
        for _ in range(2):
            session.fail("uploads", {"gathered_for": VIDEOS["name"]})
            assert "what template new-videos has gathered was due" in run("show", STAGE)
            assert "1 done again, 0 stay" in run("redrive", STAGE, "uploads")
            assert len(here.get("/transfers").body["transfers"]) == 1

    def test_a_retry_that_was_due_is_checked_and_what_is_not_understood_stays(
        self, here: ControlPlane, session: FakeSession, run: Callable[..., str]
    ) -> None:
        transfer_id = transfer(here)
        session.fail("retries", {"hop_id": f"{transfer_id}-0"})
        session.fail("retries", "{not JSON")
        session.fail("failures", of_function("OnNothing", requestPayload={}))
        answer = run("redrive", STAGE, exits=1)
        assert f"the retry of hop {transfer_id}-0 was due" in answer
        assert "1 done again, 2 stay" in answer
        assert run("show", STAGE).count("not understood") == 2


class TestAuditGaps:
    def proof(self, here: ControlPlane, now: datetime) -> list[str]:
        """Return what `crosshaul audit verify` finds wrong with the records."""
        records = [AuditRecord.model_validate(one) for one in here.get("/audit").body["records"]]
        days = {now.date().isoformat(), *(record.day for record in records)}
        links = {day: tuple(adapters.audit_store().links(day, 0, 1000)[0]) for day in days}
        return [flaw.kind for flaw in flaws_of(Audit(tuple(records), links, (), ()), now)]

    def test_records_that_no_chain_holds_are_found_without_any_message_and_chained(
        self, here: ControlPlane, session: FakeSession
    ) -> None:
        transfer(here)
        soon = datetime.now(UTC) + timedelta(minutes=10)
        assert set(self.proof(here, soon)) == {"inserted"}
        found = failures.StageFailures(session, STAGE)
        assert found.waiting("audit", datetime.now(UTC)) == [], "their link may be on its way"
        [gap] = found.waiting("audit", soon)
        assert "audit records are in no chain" in gap.lines(soon)
        found.redo(gap)
        found.redo(gap)
        assert self.proof(here, soon) == []
        assert found.waiting("audit", soon) == []

    def test_records_that_the_stream_gave_up_are_chained_once(
        self, here: ControlPlane, session: FakeSession, run: Callable[..., str]
    ) -> None:
        before = datetime.now(UTC) - timedelta(minutes=1)
        transfer(here)
        for _ in range(2):
            session.fail("failures", of_stream("OnAudit", before, datetime.now(UTC) + timedelta(seconds=1)))
            assert "1 done again, 0 stay" in run("redrive", STAGE)
        day = datetime.now(UTC).date().isoformat()
        entries = [
            entry.record_id
            for link in adapters.audit_store().links(day, 0, 1000)[0]
            for entry in link.entries
        ]
        assert len(entries) == len(set(entries)) > 0
        assert self.proof(here, datetime.now(UTC) + timedelta(minutes=10)) == []


def test_a_stage_that_is_not_there_is_said(run: Callable[..., str], session: FakeSession) -> None:
    session.urls.clear()
    assert "has no queue failures" in run("show", STAGE, exits=1)
    with pytest.raises(FailuresError):
        failures.StageFailures(session, STAGE)
