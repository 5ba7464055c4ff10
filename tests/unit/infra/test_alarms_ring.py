"""Each alarm is provoked, by the real functions where they write its metric, and rings; and only then."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from events.reports import Heartbeat, RootState
from infra.alarms import ALARMS, BUDGET, REQUESTS_PER_SECOND, description
from infra.monthly_estimate import ALARM_METRICS, OWN_METRICS
from lambdas import adapters, on_audit, on_report, on_schedule, telemetry, wiring
from lambdas.agents.key_rotation import OVERDUE_AFTER
from lambdas.domain.update import JobStatus
from tests.support.alarms import Values, rings, series_of
from tests.support.control_plane import Context, ControlPlane, control_plane, publish
from tests.support.metrics import data_in
from tests.support.templates import ACCOUNT, Resolver
from tests.unit.infra.conftest import Synthesized, synthesize
from tests.unit.lambdas.agents.test_updates import FakeJobs
from tests.unit.lambdas.templates.test_api_templates import VIDEOS, arrive, created

DOCUMENTED = {
    ("AWS/SQS", "ApproximateNumberOfMessagesVisible"): {"QueueName": "AWS::SQS::Queue"},
    ("AWS/Lambda", "Errors"): {"FunctionName": "AWS::Lambda::Function"},
    ("AWS/Lambda", "Throttles"): {"FunctionName": "AWS::Lambda::Function"},
    ("AWS/Lambda", "IteratorAge"): {"FunctionName": "AWS::Lambda::Function"},
    ("AWS/Lambda", "AsyncEventAge"): {"FunctionName": "AWS::Lambda::Function"},
    ("AWS/Lambda", "AsyncEventsDropped"): {"FunctionName": "AWS::Lambda::Function"},
    ("AWS/Lambda", "DestinationDeliveryFailures"): {"FunctionName": "AWS::Lambda::Function"},
    ("AWS/DynamoDB", "ThrottledRequests"): {"TableName": "AWS::DynamoDB::Table", "Operation": None},
    ("AWS/Events", "FailedInvocations"): {"RuleName": "AWS::Events::Rule"},
    ("AWS/IoT", "Failure"): {"RuleName": "AWS::IoT::TopicRule", "ActionType": None},
    ("AWS/IoT", "RuleMessageThrottled"): {"RuleName": "AWS::IoT::TopicRule"},
    ("AWS/ApiGateway", "5XXError"): {"ApiName": "AWS::ApiGateway::RestApi"},
    ("AWS/ApiGateway", "Count"): {"ApiName": "AWS::ApiGateway::RestApi"},
    ("AWS/CertificateManager", "DaysToExpiry"): {"CertificateArn": None},
}
"""Metrics that AWS writes, with their dimensions, and the type of the resource that each names.

An alarm on a metric with other dimensions never rings.
https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-monitoring.html
https://docs.aws.amazon.com/iot/latest/developerguide/metrics_dimensions.html
https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-metrics-and-dimensions.html
https://docs.aws.amazon.com/acm/latest/userguide/cloudwatch-metrics.html
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
"""
HARMLESS = {
    "5XXError": 2,
    "IteratorAge": 30_000,
    "AsyncEventAge": 30_000,
    "ThrottledRequests": 1,
    "DaysToExpiry": 90,
}
"""Values of AWS's metrics on a good day; 0 of the others."""
ALARMING = {
    "5XXError": 3,
    "IteratorAge": 600_000,
    "AsyncEventAge": 600_000,
    "ThrottledRequests": 10,
    "DaysToExpiry": 20,
}
"""Values of AWS's metrics on a bad day; 1 of the others."""
CERTIFICATE = "arn:aws:acm:eu-central-1:111122223333:certificate/01234567-89ab-cdef-0123-456789abcdef"
FILE = f'[[apiDomains]]\nname = "api.example.com"\ncertificate = "{CERTIFICATE}"\n'


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Synthesized:
    """Return a stage with every alarm, and thresholds of its own."""
    settings = {
        "stage": "prod",
        "monthlyBudget": "500",
        "accessLog": "yes",
        "alarmAbsentPercent": "60",
        "alarmQueuedMinutes": "1440",
        "alarmFreePercent": "2",
    }
    return synthesize(tmp_path_factory.mktemp("whole"), settings, FILE)


def alarms(stage: Synthesized, name: str = "prod") -> dict[str, dict[str, Any]]:
    """Return the properties of each alarm by its name."""
    return {
        one["AlarmName"].removeprefix(f"crosshaul-{name}-"): one
        for one in stage.properties("AWS::CloudWatch::Alarm")
    }


def test_every_alarm_of_the_table_is_deployed_and_says_where_to_read_on(whole: Synthesized) -> None:
    found = alarms(whole)
    assert set(found) == {alarm.name for alarm in ALARMS}
    for alarm in ALARMS:
        properties = found[alarm.name]
        assert properties["AlarmDescription"] == description(alarm)
        assert properties["AlarmActions"] == properties["OKActions"] != []
        assert len(series_of(properties)) <= 10, "CloudWatch adds up no more"


def test_the_embedded_cloud_which_adds_nothing_up_watches_the_same_metrics(
    real: Synthesized, local: Synthesized
) -> None:
    """Its names are the same but for a suffix, so that the runbooks are true there, too."""

    def watched(stage: Synthesized) -> set[tuple[str, str]]:
        return {
            (one.namespace, one.name)
            for alarm in stage.properties("AWS::CloudWatch::Alarm")
            for one in series_of(alarm).values()
        }

    assert watched(local) == watched(real)
    assert all("Metrics" not in one for one in alarms(local, "local").values())
    assert {name.partition("-")[0] for name in alarms(local, "local")} == set(alarms(real))


def test_every_metric_of_aws_has_the_dimensions_that_aws_gives_it(whole: Synthesized) -> None:
    """The resources that they name are this stage's."""
    types = {
        name: resource["Type"]
        for template in whole.templates.values()
        for name, resource in template["Resources"].items()
    }
    for alarm in alarms(whole).values():
        for one in series_of(alarm).values():
            if one.namespace == telemetry.NAMESPACE:
                continue
            wanted = DOCUMENTED[one.namespace, one.name]
            assert {name for name, _ in one.dimensions} == set(wanted)
            for name, value in one.dimensions:
                kind = wanted[name]
                if kind == "AWS::ApiGateway::RestApi" or kind == "AWS::IoT::TopicRule":
                    assert value in {one.get("Name") or one.get("RuleName") for one in whole.properties(kind)}
                elif kind:
                    assert kind in {types.get(part) for part in value.replace("'", '"').split('"')} or (
                        "ExportsOutput" in value and kind == "AWS::DynamoDB::Table"
                    )


AWS_ALARMS = [
    alarm.name
    for alarm in ALARMS
    if alarm.name
    not in {
        "AuditTampered",
        "ScheduleMissed",
        "AuditLags",
        "AgentsAbsent",
        "HopsQueued",
        "DisksFull",
        "KeysOverdue",
        "TemplatesRefused",
        "UpdatesAborted",
        "ArchiveLacked",
    }
]


@pytest.mark.parametrize("name", AWS_ALARMS)
def test_an_alarm_on_a_metric_of_aws_rings_for_each_thing_that_it_watches(
    whole: Synthesized, name: str
) -> None:
    """One bad function is enough; a bad minute is not where AWS itself makes up for it."""
    alarm = alarms(whole)[name]
    everything = list(series_of(alarm).values())
    periods = alarm["EvaluationPeriods"]
    good = {one: [HARMLESS.get(one.name, 0)] for one in everything}
    assert not rings(alarm, [good] * periods)
    assert not rings(alarm, []), "nothing has happened yet"
    for one in everything:
        bad = good | {one: [ALARMING.get(one.name, 1)]}
        assert rings(alarm, [bad] * periods), one
        assert rings(alarm, [{one: bad[one]}] * periods), "the others say nothing"
        assert not rings(alarm, [bad] * periods + [good]), "it is over"
        assert rings(alarm, [good, bad]) is (periods == 1)


Story = Callable[[ControlPlane, Any], None]


def a_minute() -> None:
    on_schedule.handler({}, Context())  # type: ignore[arg-type]


def tampered(_here: ControlPlane, _clock: Any) -> None:
    removed = {"eventName": "REMOVE", "dynamodb": {"Keys": {"day": {"S": "chain#2026-11-24"}}}}
    on_audit.handler({"Records": [removed]}, Context())  # type: ignore[arg-type]


def nobody_chains(here: ControlPlane, clock: Any) -> None:
    here.join("server-b")
    clock.now += timedelta(minutes=11)
    a_minute()


def two_of_three_are_away(here: ControlPlane, _clock: Any) -> None:
    here.join("server-b")
    here.join("server-c", online=False)
    here.join("server-d", online=False)
    a_minute()


def a_hop_waits_for_an_agent(here: ControlPlane, clock: Any) -> None:
    here.join("server-b")
    here.join("server-c", online=False)
    here.post("/transfers", {"source": "server-b:/data/raw/", "destinations": ["server-c:/primary/"]})
    clock.now += timedelta(minutes=1441)
    a_minute()


def a_disk_is_full(here: ControlPlane, clock: Any) -> None:
    here.join("server-b")
    roots = (RootState(path="/primary", access="rw", free=1, size=100),)
    beat = Heartbeat(at=clock.now, roots=roots).model_dump(mode="json")
    on_report.handler({"thing": adapters.topics().thing("server-b"), "report": beat}, Context())  # type: ignore[arg-type]


def keys_are_not_renewed(here: ControlPlane, clock: Any) -> None:
    here.join("server-b")
    here.post("/agents/server-b/rotate")
    clock.now += OVERDUE_AFTER + timedelta(hours=1)
    wiring.agent_service().connected("server-b", clock.now, 9)
    a_minute()


def a_template_is_refused(here: ControlPlane, _clock: Any) -> None:
    here.post("/templates", VIDEOS)
    here.people.groups["ana@example.org"] = ()
    assert arrive(created("new-videos/ep1.mov")) == [], "its owner may not; a retry would not help"


def an_update_breaks_its_canary(here: ControlPlane, clock: Any) -> None:
    for name in ("server-b", "server-c", "server-d"):
        here.join(name)
    publish("0.1.0")
    publish("0.2.0")
    here.post("/updates", {"everyone": True})
    a_minute()
    JOBS.status_by_agent = {name: JobStatus("FAILED") for name in ("server-b", "server-c", "server-d")}
    clock.now += timedelta(minutes=1)
    a_minute()


def somebody_empties_the_archive(here: ControlPlane, clock: Any) -> None:
    here.join("server-b")
    here.join("server-c", online=False)
    asked = here.post("/transfers", {"source": "server-b:/data/raw/", "destinations": ["server-c:/primary/"]})
    here.post(f"/transfers/{asked.body['transfer_id']}/cancel")
    clock.now = clock.now.replace(minute=0) + timedelta(hours=1)
    a_minute()
    s3, bucket = adapters.s3(), adapters.settings().archive_bucket
    (file,) = s3.list_objects_v2(Bucket=bucket)["Contents"]
    s3.delete_object(Bucket=bucket, Key=file["Key"])
    clock.now += timedelta(days=adapters.settings().transfer_days + 1)
    a_minute()


JOBS = FakeJobs()
STORIES: dict[str, Story] = {
    "AuditTampered": tampered,
    "AuditLags": nobody_chains,
    "AgentsAbsent": two_of_three_are_away,
    "HopsQueued": a_hop_waits_for_an_agent,
    "DisksFull": a_disk_is_full,
    "KeysOverdue": keys_are_not_renewed,
    "TemplatesRefused": a_template_is_refused,
    "UpdatesAborted": an_update_breaks_its_canary,
    "ArchiveLacked": somebody_empties_the_archive,
}
"""What provokes each alarm on a metric of Crosshaul's own, but for the one that rings when nothing runs."""


def test_every_alarm_has_a_provocation() -> None:
    assert {*STORIES, "ScheduleMissed", *AWS_ALARMS} == {alarm.name for alarm in ALARMS}


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, clock: Any) -> Any:
    with control_plane(monkeypatch) as plane:
        monkeypatch.setattr(adapters, "clock", clock)
        monkeypatch.setattr("lambdas.aws.iot_jobs.IotJobs", lambda *_: JOBS)
        adapters.settings()
        monkeypatch.setenv("CROSSHAUL_STAGE", "prod")
        yield plane
    telemetry.metrics.clear_metrics()


@pytest.fixture
def clock() -> Any:
    class AlarmClock:
        now = datetime.now(UTC).replace(hour=12)

        def __call__(self) -> datetime:
            return self.now

    return AlarmClock()


def recorded(log: str, alarm: dict[str, Any]) -> Values:
    """Return what CloudWatch has of the alarm's metrics from a log."""
    found: Values = {}
    for one in series_of(alarm).values():
        values = [
            value
            for datum in data_in(log)
            if (datum.namespace, datum.name, datum.dimensions) == (one.namespace, one.name, one.dimensions)
            for value in datum.values
        ]
        found[one] = values
    return found


@pytest.mark.parametrize("name", STORIES)
def test_an_alarm_on_a_metric_of_crosshaul_rings_for_what_really_happens(
    whole: Synthesized, here: ControlPlane, clock: Any, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    alarm = alarms(whole)[name]
    periods = alarm["EvaluationPeriods"]
    a_minute()
    on_a_good_day = recorded(capsys.readouterr().out, alarm)
    assert not rings(alarm, [on_a_good_day] * periods)
    STORIES[name](here, clock)
    happened = recorded(capsys.readouterr().out, alarm)
    assert rings(alarm, [happened] * periods)
    assert not rings(alarm, [happened] * periods + [on_a_good_day]), "it is over"


def test_an_alarm_rings_when_the_work_of_each_minute_does_not_run(
    whole: Synthesized, here: ControlPlane, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing counts then; a minute whose tasks fail has run, and rings as an error of its function."""
    alarm = alarms(whole)["ScheduleMissed"]
    a_minute()
    ran = recorded(capsys.readouterr().out, alarm)
    assert not rings(alarm, [ran, ran])
    assert not rings(alarm, [ran, {}]), "a deployment may take a minute or two"
    assert rings(alarm, [ran, {}, {}])


def test_thresholds_that_depend_on_the_company_are_settings(whole: Synthesized, real: Synthesized) -> None:
    found, default = alarms(whole), alarms(real)
    assert (found["AgentsAbsent"]["Threshold"], found["HopsQueued"]["Threshold"]) == (60, 86_400)
    assert (default["AgentsAbsent"]["Threshold"], default["HopsQueued"]["Threshold"]) == (20, 3600)
    [report] = [
        one
        for one in whole.properties("AWS::Lambda::Function")
        if one["Handler"] == "lambdas.on_report.handler"
    ]
    assert report["Environment"]["Variables"]["CROSSHAUL_FREE_PERCENT"] == "2"


def test_refused_requests_are_counted_in_the_access_log_or_else_guessed_from_their_number(
    whole: Synthesized, real: Synthesized
) -> None:
    """API Gateway has no metric of its 429s."""
    [logged] = series_of(alarms(whole)["ApiThrottled"]).values()
    [counting] = whole.properties("AWS::Logs::MetricFilter")
    [transformation] = counting["MetricTransformations"]
    assert counting["FilterPattern"] == '{ $.status = "429" }'
    assert (logged.namespace, logged.name) == (
        transformation["MetricNamespace"],
        transformation["MetricName"],
    )
    guessed = alarms(real)["ApiThrottled"]
    [one] = series_of(guessed).values()
    assert (one.namespace, one.name) == ("AWS/ApiGateway", "Count")
    assert not rings(guessed, [{one: [0.5 * REQUESTS_PER_SECOND * 60]}])
    assert rings(guessed, [{one: [0.9 * REQUESTS_PER_SECOND * 60]}])
    assert real.properties("AWS::Logs::MetricFilter") == []


def test_a_month_that_costs_more_than_planned_is_told_to_the_same_people(
    whole: Synthesized, real: Synthesized
) -> None:
    [budget] = whole.properties("AWS::Budgets::Budget")
    (topic,) = whole.of_type("AWS::SNS::Topic")
    assert budget["Budget"]["BudgetName"].endswith(BUDGET)
    assert budget["Budget"]["BudgetLimit"] == {"Amount": 500, "Unit": "USD"}
    assert budget["Budget"]["CostFilters"] == {"TagKeyValue": ["user:crosshaul$prod"]}
    for one in budget["NotificationsWithSubscribers"]:
        assert one["Subscribers"] == [{"Address": {"Ref": topic}, "SubscriptionType": "SNS"}]
    [(_, _, policy)] = Resolver(whole.templates).resources("AWS::SNS::TopicPolicy")
    [grant] = [one for one in policy["PolicyDocument"]["Statement"] if "budgets" in json.dumps(one)]
    assert grant["Principal"] == {"Service": "budgets.amazonaws.com"}
    # As AWS Budgets demands it: an ARN has six parts, and each is compared for itself.
    assert grant["Condition"] == {
        "StringEquals": {"aws:SourceAccount": ACCOUNT},
        "ArnLike": {"aws:SourceArn": f"arn:aws:budgets::{ACCOUNT}:*"},
    }
    assert real.properties("AWS::Budgets::Budget") == []
    assert "budgets" not in json.dumps(real.properties("AWS::SNS::TopicPolicy"))


def test_the_estimate_of_a_month_counts_what_cloudwatch_bills(
    real: Synthesized, here: ControlPlane, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sum(len(series_of(one)) for one in alarms(real).values()) == ALARM_METRICS
    capsys.readouterr()
    a_minute()
    assert len({datum.name for datum in data_in(capsys.readouterr().out)}) == OWN_METRICS
