"""What we rely on of the embedded cloud: small proofs of the very behaviours that Crosshaul is built on."""

import io
import json
import os
import signal
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import boto3
import pytest
from botocore.exceptions import ClientError

from infra.local import cloud as embedded
from infra.local.cloud import Cloud

T = TypeVar("T")
KEY = "new videos/Köln + Bonn 100%.mov"

SPEAKER = """
import json, os
from botocore.session import get_session  # ministack's own; boto3 is not there
def handler(event, context):
    sqs = get_session().create_client("sqs")
    sqs.send_message(QueueUrl=os.environ["QUEUE"], MessageBody=json.dumps(event))
"""


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    running = embedded.start(tmp_path_factory.mktemp("contract"))
    yield running
    embedded.stop(running)


def client(cloud: Cloud, service: str, **credentials: str) -> Any:
    return boto3.client(service, **{**embedded.client_settings(cloud), **credentials})


def until(ask: Callable[[], T | None], patience: float = 30) -> T:
    deadline = time.monotonic() + patience
    while not (answer := ask()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
    return answer


def heard(cloud: Cloud, queue: str, count: int = 1) -> list[Any]:
    """The next `count` messages of a queue, parsed."""
    sqs, found = client(cloud, "sqs"), []

    def more() -> bool:
        answer = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
        for message in answer.get("Messages", []):
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            found.append(json.loads(message["Body"]))
        return len(found) >= count

    until(more)
    return found


def new_queue(cloud: Cloud, name: str) -> tuple[str, str]:
    """Its URL and ARN."""
    url = client(cloud, "sqs").create_queue(QueueName=name)["QueueUrl"]
    return url, f"arn:aws:sqs:{cloud.region}:{cloud.account}:{name}"


def new_role(cloud: Cloud, name: str, principal: dict[str, str], *statements: dict[str, Any]) -> str:
    """Its ARN."""
    trust = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    iam = client(cloud, "iam")
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=_policy(trust))
    iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=_policy(*statements))
    return str(role["Role"]["Arn"])


def allow(action: str | list[str], resource: str | list[str]) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource}


def _policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def new_speaker(cloud: Cloud, name: str, queue: tuple[str, str], *more: dict[str, Any]) -> str:
    """A function that puts every event into a queue; its ARN."""
    url, arn = queue
    role = new_role(cloud, name, {"Service": "lambda.amazonaws.com"}, allow("sqs:SendMessage", arn), *more)
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("speaker.py", SPEAKER)
    made = client(cloud, "lambda").create_function(
        FunctionName=name,
        Runtime="python3.11",
        Role=role,
        Handler="speaker.handler",
        Code={"ZipFile": code.getvalue()},
        Environment={"Variables": {"QUEUE": url}},
    )
    return str(made["FunctionArn"])


def test_a_function_may_do_only_what_its_role_says(cloud: Cloud) -> None:
    allowed, forbidden = new_queue(cloud, "allowed"), new_queue(cloud, "forbidden")
    new_speaker(cloud, "obedient", allowed)
    functions = client(cloud, "lambda")
    said = functions.invoke(FunctionName="obedient", Payload=b"{}")
    assert "FunctionError" not in said

    functions.update_function_configuration(
        FunctionName="obedient", Environment={"Variables": {"QUEUE": forbidden[0]}}
    )

    refused = functions.invoke(FunctionName="obedient", Payload=b"{}")
    assert refused["FunctionError"] == "Unhandled"
    assert b"AccessDenied" in refused["Payload"].read()


def test_a_stream_starts_a_function_only_for_what_its_filter_lets_through(cloud: Cloud) -> None:
    queue = new_queue(cloud, "changes")
    table = client(cloud, "dynamodb").create_table(
        TableName="outbox",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    )["TableDescription"]
    stream = table["LatestStreamArn"]
    reads = ["dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:DescribeStream"]
    new_speaker(cloud, "outbox", queue, allow(reads, stream), allow("dynamodb:ListStreams", "*"))
    pattern = {"eventName": ["INSERT"], "dynamodb": {"Keys": {"sk": {"S": [{"prefix": "at#"}]}}}}
    client(cloud, "lambda").create_event_source_mapping(
        EventSourceArn=stream,
        FunctionName="outbox",
        StartingPosition="TRIM_HORIZON",
        FilterCriteria={"Filters": [{"Pattern": json.dumps(pattern)}]},
    )
    put = client(cloud, "dynamodb").put_item
    for sk in ("hop#0000", "at#1", "transfer", "at#1", "at#2"):  # the second at#1 is a MODIFY
        put(TableName="outbox", Item={"pk": {"S": "t"}, "sk": {"S": sk}, "n": {"N": str(time.time_ns())}})

    seen: list[str] = []
    while "at#2" not in seen:
        for event in heard(cloud, queue[0]):
            seen += [record["dynamodb"]["Keys"]["sk"]["S"] for record in event["Records"]]

    assert seen == ["at#1", "at#2"]


def test_an_upload_reaches_a_queue_under_its_own_name(cloud: Cloud) -> None:
    url, arn = new_queue(cloud, "uploads")
    s3, events = client(cloud, "s3"), client(cloud, "events")
    s3.create_bucket(Bucket="uploads-here")
    s3.put_bucket_notification_configuration(
        Bucket="uploads-here", NotificationConfiguration={"EventBridgeConfiguration": {}}
    )
    pattern = {
        "source": ["aws.s3"],
        "detail-type": ["Object Created"],
        "detail": {"bucket": {"name": ["uploads-here"]}},
    }
    rule = events.put_rule(Name="uploads", EventPattern=json.dumps(pattern))["RuleArn"]
    events.put_targets(Rule="uploads", Targets=[{"Id": "queue", "Arn": arn}])
    grant = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": rule}},
    }
    client(cloud, "sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": _policy(grant)})

    s3.put_object(Bucket="uploads-here", Key=KEY, Body=b"film")

    (event,) = heard(cloud, url)
    assert event["detail"]["object"]["key"] == KEY
    assert event["detail"]["object"]["size"] == 4
    assert event["detail"]["object"]["sequencer"]


def test_a_session_policy_narrows_a_role(cloud: Cloud) -> None:
    s3 = client(cloud, "s3")
    s3.create_bucket(Bucket="narrowed")
    for key in ("mine/a", "yours/a"):
        s3.put_object(Bucket="narrowed", Key=key, Body=b"x")
    role = new_role(
        cloud,
        "wide",
        {"AWS": f"arn:aws:iam::{cloud.account}:root"},
        allow("s3:GetObject", "arn:aws:s3:::narrowed/*"),
    )
    lent = client(cloud, "sts").assume_role(
        RoleArn=role,
        RoleSessionName="hop",
        Policy=_policy(allow("s3:GetObject", "arn:aws:s3:::narrowed/mine/*")),
    )["Credentials"]
    narrow = client(
        cloud,
        "s3",
        aws_access_key_id=lent["AccessKeyId"],
        aws_secret_access_key=lent["SecretAccessKey"],
        aws_session_token=lent["SessionToken"],
    )

    assert narrow.get_object(Bucket="narrowed", Key="mine/a")["Body"].read() == b"x"
    with pytest.raises(ClientError, match="AccessDenied"):
        narrow.get_object(Bucket="narrowed", Key="yours/a")


def test_state_survives_a_stop_and_a_kill_is_noticed(tmp_path: Path) -> None:
    first = embedded.start(tmp_path)
    client(first, "sqs").create_queue(QueueName="kept")
    embedded.stop(first)

    second = embedded.start(tmp_path)
    assert (second.born, second.port, second.mqtt_port) == (first.born, first.port, first.mqtt_port)
    assert client(second, "sqs").list_queues()["QueueUrls"]
    os.kill(second.pid, signal.SIGKILL)
    until(lambda: embedded.status(tmp_path) is None)

    third = embedded.start(tmp_path)
    assert third.born != second.born
    assert not client(third, "sqs").list_queues().get("QueueUrls")
    assert embedded.start(tmp_path) == third, "a running one is adopted"
    embedded.stop(third)
    assert embedded.status(tmp_path) is None
