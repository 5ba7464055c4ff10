"""Entry points parse events; a malformed one is counted and not retried."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aws_lambda_powertools.utilities.batch.exceptions import BatchProcessingError

from events.topics import Topics
from lambdas import adapters, on_change, on_presence, on_report, on_retry, on_schedule, wiring
from lambdas.domain.errors import AgentUnknownError, StaleError
from tests.support.fakes import FakeEventPublisher, an_agent

SAMPLES = Path("events/samples/aws")


@dataclass
class LambdaContext:
    """The fields of the Lambda context that Powertools reads."""

    function_name: str = "reactor"
    memory_limit_in_mb: int = 256
    invoked_function_arn: str = "arn:aws:lambda:eu-central-1:111122223333:function:reactor"
    aws_request_id: str = "c6af9ac6"


@dataclass
class Spy:
    """Any use case: records its calls, and returns or raises what a test sets."""

    calls: list[tuple[str, tuple]] = field(default_factory=list)
    answers: dict[str, object] = field(default_factory=dict)

    def __getattr__(self, name: str):
        def called(*arguments):
            self.calls.append((name, arguments))
            answer = self.answers.get(name)
            if isinstance(answer, Exception):
                raise answer
            return answer

        return called


@pytest.fixture
def spies(monkeypatch) -> dict[str, Spy]:
    names = (
        "agent_service",
        "report_handler",
        "stream_handler",
        "lease_sweeper",
        "audit_sealer",
        "refusal_summary",
        "key_rotation",
        "update_stages",
        "signing_key_rollover",
        "api_relocation",
        "free_room",
        "fleet",
        "fleet_metrics",
        "audit_lag",
        "transfer_archive",
    )
    made = {name: Spy() for name in names}
    for name, spy in made.items():
        monkeypatch.setattr(wiring, name, lambda spy=spy: spy, raising=False)
    monkeypatch.setattr(adapters, "topics", lambda: Topics("prod"))
    made["agent_service"].answers["hello"] = an_agent("server-c")
    return made


def sample(name: str) -> dict:
    return json.loads((SAMPLES / f"{name}.json").read_text())


def rule_event(kind: str) -> dict:
    report = json.loads(Path(f"events/samples/reports/{kind}.json").read_text())
    return {"wire": 1, "report": report, "thing": "crosshaul:prod:server-c"}


def test_a_report_reaches_its_use_case(spies):
    on_report.handler(sample("rule_report"), LambdaContext())
    ((name, (agent_id, report)),) = spies["report_handler"].calls
    assert (name, agent_id, report.kind, report.seq) == ("apply", "server-c", "checkpoint", 2)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (
            "Hello",
            {"agent_service": ["hello"], "report_handler": ["reconcile"], "key_rotation": ["record_hello"]},
        ),
        (
            "Heartbeat",
            {
                "agent_service": ["heartbeat"],
                "signing_key_rollover": ["record_hello"],
                "api_relocation": ["record_heartbeat"],
                "free_room": ["check"],
            },
        ),
        ("Browsed", {"agent_service": ["answered"]}),
        ("LogExcerpt", {"agent_service": ["answered"]}),
        ("Refused", {"report_handler": ["record_refusal"]}),
        ("Succeeded", {"report_handler": ["apply"]}),
    ],
)
def test_each_kind_of_report_reaches_its_handler(spies, kind, expected):
    on_report.handler(rule_event(kind), LambdaContext())
    called = {name: [call for call, _ in spy.calls] for name, spy in spies.items() if spy.calls}
    assert called == expected


@pytest.mark.parametrize(
    ("principal", "certificate"), [("9f" * 32, "9f" * 32), ("123456789012", None), (None, None)]
)
def test_a_hello_tells_which_certificate_it_came_over(spies, principal, certificate):
    """The certificate is that of the broker's principal; without one it is None."""
    on_report.handler(rule_event("Hello") | {"principal": principal}, LambdaContext())
    ((_, (_, fingerprint)),) = spies["key_rotation"].calls
    assert fingerprint == certificate


def test_a_report_counts_from_when_the_broker_received_it(spies):
    on_report.handler(rule_event("Heartbeat") | {"received": 1_795_483_805_300}, LambdaContext())
    ((_, arguments),) = spies["agent_service"].calls
    assert arguments[2].isoformat() == "2026-11-24T01:30:05.300000+00:00"


def test_a_hello_that_was_overtaken_by_a_later_one_corrects_nothing(spies):
    """It would have hops given up that the agent got since, and its newer certificate revoked."""
    spies["agent_service"].answers["hello"] = None
    on_report.handler(rule_event("Hello"), LambdaContext())
    assert spies["report_handler"].calls == spies["key_rotation"].calls == []


def test_an_agent_that_is_online_again_gets_its_waiting_hops(spies):
    spies["agent_service"].answers["heartbeat"] = True
    on_report.handler(rule_event("Heartbeat"), LambdaContext())
    assert spies["stream_handler"].calls == [("agent_online", ("server-c",))]


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"thing": "crosshaul:prod:server-c"},
        {"thing": "crosshaul:prod:server-c", "report": {"kind": "gossip"}},
        {"thing": "crosshaul:prod:Not A Name", "report": rule_event("Heartbeat")["report"]},
        {"thing": "crosshaul:test:server-c", "report": rule_event("Heartbeat")["report"]},
        {"thing": "server-c", "report": rule_event("Heartbeat")["report"]},
        {"agent_id": "server-c", "report": rule_event("Heartbeat")["report"]},
        {"thing": "crosshaul:prod:server-c", "report": {"kind": "heartbeat", "at": "now"}},
    ],
)
def test_a_malformed_report_is_counted_and_not_tried_again(spies, capsys, event):
    on_report.handler(event, LambdaContext())
    assert "ReportsMalformed" in capsys.readouterr().out
    assert not any(spy.calls for spy in spies.values())


def test_a_report_of_a_removed_agent_is_not_tried_again(spies):
    spies["agent_service"].answers["hello"] = AgentUnknownError("server-c")
    on_report.handler(rule_event("Hello"), LambdaContext())
    assert spies["report_handler"].calls == []


def test_a_report_that_met_another_is_tried_again(spies):
    spies["report_handler"].answers["apply"] = StaleError("Hop 0")
    with pytest.raises(StaleError):
        on_report.handler(rule_event("Succeeded"), LambdaContext())


def test_presence_is_noted_and_nothing_is_sent_before_the_hello(spies):
    on_presence.handler(sample("presence_connected"), LambdaContext())
    ((name, (agent_id, at, version)),) = spies["agent_service"].calls
    assert (name, agent_id, version) == ("connected", "server-b", 3)
    assert at.isoformat() == "2026-11-24T01:30:00.250000+00:00"
    assert spies["stream_handler"].calls == []


def test_absence_dispatches_nothing(spies):
    on_presence.handler(sample("presence_disconnected"), LambdaContext())
    assert [name for name, _ in spies["agent_service"].calls] == ["disconnected"]
    assert spies["stream_handler"].calls == []


@pytest.mark.parametrize(
    "client",
    [
        "server-b",
        "crosshaul:test:server-b",
        "crosshaul:prod:",
        "crosshaul:prod:server-b:2",
        "crosshaul:prod:server-b\n",
        "crosshaul:pro:d:server-b",
        "Crosshaul:prod:server-b",
        "crosshaul-console:prod:0123456789abcdef0123",
        "A Browser",
    ],
)
@pytest.mark.parametrize("event", ["connected", "disconnected"])
def test_clients_that_are_not_agents_of_this_stage_change_nothing(spies, client, event):
    """The broker sends events of every client of the account to every stage."""
    on_presence.handler(sample(f"presence_{event}") | {"clientId": client}, LambdaContext())
    assert not any(spy.calls for spy in spies.values())


def test_an_agent_that_has_left_may_still_disconnect(spies):
    spies["agent_service"].answers["disconnected"] = AgentUnknownError("server-b")
    on_presence.handler(sample("presence_disconnected"), LambdaContext())
    assert spies["stream_handler"].calls == []


def record(number: int, name: str = "INSERT") -> dict:
    image = {"transfer_id": {"S": "x" * 20}, "part": {"S": f"at#{number}"}}
    change = {"SequenceNumber": str(number), "NewImage": image, "Keys": {}, "StreamViewType": "NEW_IMAGE"}
    return {"eventID": str(number), "eventName": name, "dynamodb": change, "eventSource": "aws:dynamodb"}


def test_the_stream_is_reacted_to_line_by_line(spies):
    answer = on_change.handler(
        {"Records": [record(1), record(2, "MODIFY"), record(3, "REMOVE")]}, LambdaContext()
    )
    assert answer == {"batchItemFailures": []}
    assert [arguments[0]["part"] for _, arguments in spies["stream_handler"].calls] == ["at#1"]


def test_a_line_that_fails_is_given_back_and_the_others_are_not(spies, monkeypatch):
    def react(image, written):
        if image["part"] == "at#2":
            raise StaleError("Transfer")

    monkeypatch.setattr(spies["stream_handler"], "handle", react, raising=False)
    answer = on_change.handler({"Records": [record(1), record(2)]}, LambdaContext())
    assert answer == {"batchItemFailures": [{"itemIdentifier": "2"}]}
    with pytest.raises(BatchProcessingError):
        on_change.handler({"Records": [record(2)]}, LambdaContext())


def message(name: str, body: str) -> dict:
    return {"messageId": name, "body": body, "eventSource": "aws:sqs"}


def test_a_retry_that_is_due_is_looked_at(spies):
    hop_id = f"{'x' * 20}-12"
    answer = on_retry.handler({"Records": [message("1", json.dumps({"hop_id": hop_id}))]}, LambdaContext())
    assert answer == {"batchItemFailures": []}
    assert spies["lease_sweeper"].calls == [("check", ("x" * 20, 12))]


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"hop_id": "x"}', '{"hop_id": 7}', "[" * 60_000])
def test_a_message_that_names_no_hop_is_given_back_and_the_others_are_not(spies, body):
    good = message("good", json.dumps({"hop_id": f"{'x' * 20}-0"}))
    answer = on_retry.handler({"Records": [message("bad", body), good]}, LambdaContext())
    assert answer == {"batchItemFailures": [{"itemIdentifier": "bad"}]}
    assert len(spies["lease_sweeper"].calls) == 1


MINUTE = {
    "lease_sweeper": "sweep",
    "agent_service": "mark_silent_agents",
    "audit_sealer": "seal",
    "key_rotation": "rotate_aging_keys",
    "refusal_summary": "write",
    "update_stages": "advance_updates",
    "fleet": "recount",
    "fleet_metrics": "measure",
    "audit_lag": "measure",
    "transfer_archive": "work",
}


@pytest.fixture
def minute(spies, monkeypatch) -> list[str]:
    """Return what the minute's work has called, in order."""
    order: list[str] = []
    for name, spy in spies.items():
        monkeypatch.setattr(wiring, name, lambda name=name, spy=spy: order.append(name) or spy)
    monkeypatch.setattr(adapters, "event_bus", FakeEventPublisher)
    return order


def test_each_minute_continues_hops_first_and_then_the_rest(spies, minute):
    on_schedule.handler(sample("schedule"), LambdaContext())
    assert minute == list(MINUTE)
    assert {name: spies[name].calls[0][0] for name in MINUTE} == MINUTE


@pytest.mark.parametrize("broken", MINUTE)
def test_a_part_of_the_minutes_work_that_fails_stops_no_other(spies, minute, broken):
    """A key that KMS has disabled must not keep hops waiting, nor the other way round."""
    spies[broken].answers[MINUTE[broken]] = RuntimeError(f"{broken} is broken")
    with pytest.raises(ExceptionGroup) as failures:
        on_schedule.handler(sample("schedule"), LambdaContext())
    assert [str(one) for one in failures.value.exceptions] == [f"{broken} is broken"]
    assert all(spies[name].calls for name in MINUTE)
