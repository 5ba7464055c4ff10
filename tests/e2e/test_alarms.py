"""Every alarm of a deployed stage, once its metric is bad, reaches who has subscribed to the topic."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from infra import REPOSITORY
from infra.local.environment import Environment, until

pytestmark = pytest.mark.e2e


@contextmanager
def subscriber(here: Environment) -> Iterator[dict[str, str]]:
    """Subscribe a queue to the stage's topic; yield descriptions by name of the alarms that arrive."""
    sns, sqs = here.client("sns"), here.client("sqs")
    [topic] = [one["TopicArn"] for one in sns.list_topics()["Topics"] if "Alarms" in one["TopicArn"]]
    queue = sqs.create_queue(QueueName="operator")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": _lets_in(topic, arn)})
    subscription = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)["SubscriptionArn"]
    arrived = _Arrived(sqs, queue)
    try:
        yield arrived
    finally:
        sns.unsubscribe(SubscriptionArn=subscription)
        sqs.delete_queue(QueueUrl=queue)


def _lets_in(topic: str, queue: str) -> str:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


class _Arrived(dict[str, str]):
    def __init__(self, sqs: Any, queue: str) -> None:
        super().__init__()
        self._sqs, self._queue = sqs, queue

    def read(self) -> None:
        while messages := self._sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10).get(
            "Messages"
        ):
            for message in messages:
                told = json.loads(json.loads(message["Body"])["Message"])
                if told["NewStateValue"] == "ALARM":
                    self[told["AlarmName"]] = told["AlarmDescription"]
                self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"])


def test_every_alarm_arrives_and_says_where_to_read_on(here: Environment) -> None:
    """The embedded cloud decides by each alarm's own statistic, period and threshold."""
    cloudwatch = here.client("cloudwatch")
    pages = cloudwatch.get_paginator("describe_alarms").paginate(AlarmNamePrefix="crosshaul-")
    deployed = [alarm for page in pages for alarm in page["MetricAlarms"]]
    with subscriber(here) as arrived:
        for alarm in deployed:
            name = alarm["AlarmName"]
            cloudwatch.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="a good day")
        for alarm in deployed:
            below = alarm["ComparisonOperator"].startswith("Less")
            datum = {
                "MetricName": alarm["MetricName"],
                "Dimensions": alarm["Dimensions"],
                "Value": 0 if below else alarm["Threshold"],
            }
            cloudwatch.put_metric_data(Namespace=alarm["Namespace"], MetricData=[datum])

        def all_have_arrived() -> bool:
            arrived.read()
            return set(arrived) >= {alarm["AlarmName"] for alarm in deployed}

        until("every alarm to arrive", all_have_arrived)
    for name, text in arrived.items():
        assert text.endswith(f"#{section_of(name).lower()}")
    elsewhere = {"CertificatesExpire", "BudgetExceeded"}  # the stage here has no own name, and no budget
    assert {section_of(name) for name in arrived} == sections() - elsewhere


def section_of(alarm: str) -> str:
    """Return the section about an alarm: here each metric of a sum has an alarm, with a suffix."""
    return alarm.split("-")[2]


def sections() -> set[str]:
    _, chapter = (REPOSITORY / "docs/guides/operations.md").read_text().split("\n## Alarms\n")
    return set(re.findall(r"^### (.+)$", chapter, re.MULTILINE))
