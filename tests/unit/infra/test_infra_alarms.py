"""Alarms reach people: publishers may publish to the topics, and an address can be subscribed."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra import failures
from lambdas import on_audit
from tests.support.control_plane import Context
from tests.unit.infra.conftest import Synthesized, stage_in, synthesize
from tests.unit.infra.test_infra_templates import reference

ADDRESS = "ops@example.com"
ACCOUNTS = ({"Ref": "AWS::AccountId"}, "000000000000")
"""Account ids of a real stage and of the embedded cloud."""


def publications(stage: Synthesized) -> Iterator[tuple[str, str]]:
    """Yield service and topic of each alarm action, rule's target and budget's message."""
    topics = stage.of_type("AWS::SNS::Topic")
    for alarm in stage.properties("AWS::CloudWatch::Alarm"):
        for kind in ("AlarmActions", "OKActions", "InsufficientDataActions"):
            for action in alarm.get(kind, []):
                if reference(action) in topics:
                    yield "cloudwatch.amazonaws.com", reference(action)
    yield from _messages_of_budgets(stage)
    for rule in stage.properties("AWS::Events::Rule"):
        for target in rule.get("Targets", []):
            if reference(target["Arn"]) in topics:
                yield "events.amazonaws.com", reference(target["Arn"])


def _messages_of_budgets(stage: Synthesized) -> Iterator[tuple[str, str]]:
    for budget in stage.properties("AWS::Budgets::Budget"):
        for told in budget["NotificationsWithSubscribers"]:
            for subscriber in told["Subscribers"]:
                yield "budgets.amazonaws.com", reference(subscriber["Address"])


def refusals(stage: Synthesized) -> list[str]:
    """Return the publishers whom a topic's policy, or that of its key, would refuse."""
    found = []
    for service, topic in sorted(set(publications(stage))):
        if not any(_lets_publish(one, service, topic) for one in _policies(stage, topic)):
            found.append(f"{service} may not publish to {topic}")
        if not _can_use_key(stage, topic, service):
            found.append(f"{service} may not use the key of {topic}")
    return found


def _policies(stage: Synthesized, topic: str) -> Iterator[dict[str, Any]]:
    for policy in stage.properties("AWS::SNS::TopicPolicy"):
        if topic in map(reference, policy["Topics"]):
            yield from policy["PolicyDocument"]["Statement"]


def _lets_publish(statement: dict[str, Any], service: str, topic: str) -> bool:
    """Return whether a statement lets the service publish for this account only, not for any account."""
    return (
        statement["Effect"] == "Allow"
        and statement["Action"] == "sns:Publish"
        and statement["Principal"] == {"Service": service}
        and reference(statement["Resource"]) == topic
        and statement["Condition"]["StringEquals"]["aws:SourceAccount"] in ACCOUNTS
    )


def _can_use_key(stage: Synthesized, topic: str, service: str) -> bool:
    """Return whether the topic's key allows the service; AWS's `alias/aws/sns` allows none."""
    key = stage.of_type("AWS::SNS::Topic")[topic].get("Properties", {}).get("KmsMasterKeyId")
    if key is None:
        return True
    made = stage.of_type("AWS::KMS::Key").get(reference(key))
    statements = made["Properties"]["KeyPolicy"]["Statement"] if made else []
    return any(
        one["Effect"] == "Allow"
        and one["Principal"] == {"Service": service}
        and {"kms:Decrypt", "kms:GenerateDataKey*"} <= set(one["Action"])
        for one in statements
    )


@pytest.mark.parametrize("name", ["real", "local"])
def test_whoever_publishes_to_a_topic_may(name: str, request: pytest.FixtureRequest) -> None:
    stage = request.getfixturevalue(name)
    alarms = stage.of_type("AWS::CloudWatch::Alarm")
    assert all(one["Properties"]["AlarmActions"] for one in alarms.values())
    assert {service for service, _ in publications(stage)} == {"cloudwatch.amazonaws.com"}
    assert refusals(stage) == []


@pytest.mark.parametrize("rows", [1, 100, 130])
def test_tampering_with_the_audit_is_counted_where_the_alarm_looks(
    real: Synthesized, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    """In a full batch of 100 rows, too, at which Powertools writes metrics by itself."""
    monkeypatch.setenv("CROSSHAUL_STAGE", "prod")
    removed = {"eventName": "REMOVE", "dynamodb": {"Keys": {"day": {"S": "chain#2026-11-24"}}}}
    on_audit.handler({"Records": [removed] * rows}, Context())  # type: ignore[arg-type]
    lines = [line for line in capsys.readouterr().out.splitlines() if "CloudWatchMetrics" in line]
    [alarm] = [
        one for one in real.properties("AWS::CloudWatch::Alarm") if one.get("MetricName") == "AuditTampered"
    ]
    watched = {one["Name"]: one["Value"] for one in alarm["Dimensions"]}
    seen = 0
    for counted in map(json.loads, lines):
        [entry] = counted["_aws"]["CloudWatchMetrics"]
        assert (alarm["Namespace"], alarm["MetricName"]) == (entry["Namespace"], entry["Metrics"][0]["Name"])
        assert watched == {name: counted[name] for name in entry["Dimensions"][0]}
        seen += sum(counted[alarm["MetricName"]])
    assert seen == rows >= alarm["Threshold"]
    assert alarm["AlarmActions"], "and its topic takes it: see above"


def test_a_policy_that_only_denies_or_a_key_that_lets_no_service_in_would_be_found(real: Synthesized) -> None:
    without, encrypted = copy.deepcopy(real), copy.deepcopy(real)
    for policy in without.properties("AWS::SNS::TopicPolicy"):
        statements = policy["PolicyDocument"]["Statement"]
        statements[:] = [one for one in statements if one["Effect"] == "Deny"]
    assert ["may not publish" in one for one in refusals(without)] == [True]
    for topic in encrypted.of_type("AWS::SNS::Topic").values():
        topic.setdefault("Properties", {})["KmsMasterKeyId"] = "alias/aws/sns"
    assert ["may not use the key" in one for one in refusals(encrypted)] == [True]


def test_the_topic_refuses_plain_http_and_is_named_in_the_outputs(real: Synthesized) -> None:
    (topic,) = real.of_type("AWS::SNS::Topic")
    assert any("aws:SecureTransport" in json.dumps(one) for one in _policies(real, topic))
    outputs = real.templates["Crosshaul-prod"]["Outputs"]
    assert outputs["AlarmTopic"]["Value"] == {"Ref": topic}


def test_who_is_told_of_alarms_is_a_setting(real: Synthesized, tmp_path: Path) -> None:
    told = synthesize(tmp_path, {"stage": "prod", "alarmEmail": f" {ADDRESS} ", "monthlyBudget": "500"})
    assert {service for service, _ in publications(told)} == {
        "budgets.amazonaws.com",
        "cloudwatch.amazonaws.com",
    }
    assert refusals(told) == []
    (budget,) = told.of_type("AWS::Budgets::Budget").values()
    assert set(told.of_type("AWS::SNS::TopicPolicy")) <= set(budget["DependsOn"]), (
        "it may publish from then on"
    )
    (subscription,) = told.properties("AWS::SNS::Subscription")
    assert (subscription["Protocol"], subscription["Endpoint"]) == ("email", ADDRESS)
    assert reference(subscription["TopicArn"]) in told.of_type("AWS::SNS::Topic")
    assert warnings_of_alarms(tmp_path) == []
    assert real.properties("AWS::SNS::Subscription") == []
    assert ["write alarmEmail into stages/prod.toml" in one for one in warnings_of_alarms(real.folder)] == [
        True
    ]


def warnings_of_alarms(folder: Path) -> list[str]:
    """Return the deployment warnings about alarms."""
    return [
        str(entry["data"])
        for file in folder.glob("*.metadata.json")
        for entries in json.loads(file.read_text()).values()
        for entry in entries
        if entry["type"] == "aws:cdk:warning" and "alarms" in entry["data"]
    ]


@pytest.mark.parametrize(
    "address",
    [
        "ops",
        "ops@",
        "@example.com",
        "ops@example",
        "a b@example.com",
        "ops@example.com,x@example.com",
        "ops@ä.de",
        "Ops <ops@example.com>",
        f"{'o' * 65}@example.com",
        f"ops@{'e' * 60}.{'.'.join(['x' * 60] * 4)}.com",
    ],
)
def test_what_is_not_an_address_is_refused_before_anything_is_deployed(address: str, tmp_path: Path) -> None:
    import aws_cdk as cdk

    with pytest.raises(ValueError, match="not an e-mail address"):
        stage_in(cdk.App(context={"stage": "prod", "alarmEmail": address}), tmp_path)


def test_every_dead_letter_queue_can_be_shown_and_done_again(real: Synthesized) -> None:
    queues = real.of_type("AWS::SQS::Queue")
    fed = {
        reference(queue["Properties"]["RedrivePolicy"]["deadLetterTargetArn"])
        for queue in queues.values()
        if "RedrivePolicy" in queue.get("Properties", {})
    }
    fed |= {
        reference(mapping["DestinationConfig"]["OnFailure"]["Destination"])
        for mapping in real.properties("AWS::Lambda::EventSourceMapping")
        if "DestinationConfig" in mapping
    }
    fed |= {
        reference(config["DestinationConfig"]["OnFailure"]["Destination"])
        for config in real.properties("AWS::Lambda::EventInvokeConfig")
    }
    fed |= {
        reference(rule["TopicRulePayload"]["ErrorAction"]["Sqs"]["QueueUrl"])
        for rule in real.properties("AWS::IoT::TopicRule")
    }
    assert {name[:-8] for name in fed} == set(failures.QUEUES.values())
