"""Tests of the embedded cloud's behavior that Crosshaul relies on."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import jwt
import pytest
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives import hashes

from agent.cloud.messages import LinkError, ReceivedMessage
from agent.cloud.mqtt_link import MqttLink
from events.certificates import fingerprint
from events.updates import JobAnswer, JobDocument, UpdateResult
from infra import buckets
from infra.local import cloud as embedded
from infra.local.cloud import Cloud
from lambdas.aws.signing_key import SigningKey
from tests.contract.embedded_parts import (
    TOPICS,
    allow,
    client,
    new_device,
    new_device_policy,
    new_forwarder,
    new_queue,
    new_role,
    new_rule_queue,
    policy,
    received,
    until,
)
from tests.support.waiting import HANG_TIMEOUT_S

KEY = "new videos/Köln + Bonn 100%.mov"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    running = embedded.start(tmp_path_factory.mktemp("contract"))
    yield running
    embedded.stop(running)


def test_a_function_may_do_only_what_its_role_says(cloud: Cloud) -> None:
    allowed, forbidden = new_queue(cloud, "allowed"), new_queue(cloud, "forbidden")
    new_forwarder(cloud, "obedient", allowed)
    functions = client(cloud, "lambda")
    said = functions.invoke(FunctionName="obedient", Payload=b"{}")
    assert "FunctionError" not in said

    functions.update_function_configuration(
        FunctionName="obedient", Environment={"Variables": {"QUEUE": forbidden[0]}}
    )

    refused = functions.invoke(FunctionName="obedient", Payload=b"{}")
    assert refused["FunctionError"] == "Unhandled"
    assert b"AccessDenied" in refused["Payload"].read()


def test_a_call_that_aws_would_refuse_is_refused_inside_a_function_and_kept(cloud: Cloud) -> None:
    """The cloud itself takes it."""
    queue = new_queue(cloud, "too-small")
    new_forwarder(cloud, "talkative", queue)
    event = json.dumps({"text": "x" * 256 * 1024}).encode()
    answer = client(cloud, "lambda").invoke(FunctionName="talkative", Payload=event)
    assert answer["FunctionError"] == "Unhandled"
    said = f"AWS would refuse sqs SendMessage: MessageBody has {len(event):,} bytes, 262,144 are the limit"
    assert said in json.loads(answer["Payload"].read())["errorMessage"]
    assert said in cloud.refused_calls.read_text()


def test_functions_are_throttled_while_a_test_says_so(cloud: Cloud) -> None:
    queue = new_queue(cloud, "throttled")
    new_forwarder(cloud, "eager", queue)

    def sent() -> bool:
        return "FunctionError" not in client(cloud, "lambda").invoke(FunctionName="eager", Payload=b"{}")

    cloud.throttling.write_text(json.dumps({"share": 1.0, "seed": 1}))
    try:
        until(lambda: not sent())
    finally:
        cloud.throttling.unlink()
    assert sent()
    assert "sqs SendMessage" in cloud.throttling.with_name("throttling.json.log").read_text()


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
    new_forwarder(cloud, "outbox", queue, allow(reads, stream), allow("dynamodb:ListStreams", "*"))
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
        for event in received(cloud, queue[0]):
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
    client(cloud, "sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy(grant)})

    s3.put_object(Bucket="uploads-here", Key=KEY, Body=b"film")

    (event,) = received(cloud, url)
    assert event["detail"]["object"]["key"] == KEY
    assert event["detail"]["object"]["size"] == 4
    assert event["detail"]["object"]["sequencer"]


def test_a_bucket_is_switched_to_eventbridge_and_keeps_its_queue(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The guide's command works even if a notified queue is gone: S3 does not validate destinations."""
    url, queue = new_queue(cloud, "known")
    s3, sqs = client(cloud, "s3"), client(cloud, "sqs")
    grant = allow("sqs:SendMessage", queue) | {"Principal": {"Service": "s3.amazonaws.com"}}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy(grant)})
    s3.create_bucket(Bucket="customers")
    rules = [{"Name": "prefix", "Value": "in/"}]
    known = {"Id": "known", "QueueArn": queue, "Events": ["s3:ObjectCreated:*"]}
    s3.put_bucket_notification_configuration(
        Bucket="customers",
        NotificationConfiguration={
            "QueueConfigurations": [{**known, "Filter": {"Key": {"FilterRules": rules}}}]
        },
    )
    before = s3.get_bucket_notification_configuration(Bucket="customers")["QueueConfigurations"]
    sqs.delete_queue(QueueUrl=url)
    for name, value in embedded.environment(cloud).items():
        monkeypatch.setenv(name, value)

    assert [buckets.main([verb, "customers"]) for verb in ("check", "enable", "enable", "check")] == [
        1,
        0,
        0,
        0,
    ]

    after = s3.get_bucket_notification_configuration(Bucket="customers")
    assert (after["QueueConfigurations"], after["EventBridgeConfiguration"]) == (before, {})
    assert "Other events stay as they are: 1 to SQS." in capsys.readouterr().out


def test_what_kms_signs_is_the_digest_as_it_is(cloud: Cloud) -> None:
    """A message of any length, signed as a digest, verifies with the published key."""
    kms = client(cloud, "kms")
    arn = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
    key, message = SigningKey(kms, arn), b"as long as a command " * 5000
    signature = key.sign(message)
    assert jwt.algorithms.ECAlgorithm(hashes.SHA256).verify(
        message, jwt.PyJWK(key.jwk()).key, jwt.utils.base64url_decode(signature)
    )


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
        Policy=policy(allow("s3:GetObject", "arn:aws:s3:::narrowed/mine/*")),
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


@pytest.fixture(scope="module")
def devices(cloud: Cloud) -> Cloud:
    """Return a cloud that has our device policy."""
    new_device_policy(cloud, TOPICS)
    return cloud


async def test_a_device_speaks_for_itself_alone(devices: Cloud, tmp_path: Path) -> None:
    cloud = devices
    queue = new_rule_queue(cloud, TOPICS.reports_rule, TOPICS.reports_sql)
    mine, theirs = TOPICS.thing("server-x"), TOPICS.thing("server-y")
    endpoint = new_device(cloud, tmp_path, "server-x")
    async with MqttLink(endpoint, TOPICS.commands(mine)) as link:
        await asyncio.wait_for(link.wait_connected(), HANG_TIMEOUT_S)
        said = {"wire": 1, "report": {"kind": "hello"}}
        lies = {"thing": theirs, "principal": "9f" * 32}
        await link.publish(TOPICS.reports(mine), json.dumps(said | lies).encode())
        (event,) = await asyncio.to_thread(received, cloud, queue)
        assert abs(event.pop("received") / 1000 - time.time()) < HANG_TIMEOUT_S, "the broker's time"
        principal = fingerprint(endpoint.certificate.read_text())
        assert event == {**said, "thing": mine, "principal": principal}

        with pytest.raises(LinkError, match="not authorized"):
            await link.publish(TOPICS.reports(theirs), b"{}")

        orders = client(cloud, "iot-data")
        orders.publish(topic=TOPICS.commands(mine), qos=1, payload=b"mine")
        letter = await asyncio.wait_for(anext(link.messages()), HANG_TIMEOUT_S)
        assert letter.payload == b"mine"
        letter.acknowledge()

    posing_as = replace(endpoint, client_id=theirs)
    async with MqttLink(posing_as, TOPICS.commands(theirs)) as link:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(link.wait_connected(), 3)


async def test_a_device_is_told_of_its_job_and_tells_how_it_has_ended(devices: Cloud, tmp_path: Path) -> None:
    endpoint = new_device(devices, tmp_path, "server-j")
    thing = TOPICS.thing("server-j")
    iot, mine = client(devices, "iot"), (TOPICS.job_notifications(thing), TOPICS.jobs_response(thing))
    arn = iot.describe_thing(thingName=thing)["thingArn"]
    async with MqttLink(endpoint, TOPICS.commands(thing), mine) as link:
        await asyncio.wait_for(link.wait_connected(), HANG_TIMEOUT_S)
        document = JobDocument(update_id="5f0c9a31be42", version="0.2.0")
        iot.create_job(jobId="job-1", targets=[arn], document=document.model_dump_json())
        assert (await _next(link)).topic == TOPICS.job_notifications(thing)
        await link.publish(TOPICS.jobs_request(thing), b"{}")
        answer = JobAnswer.model_validate_json((await _next(link)).payload)
        assert answer.execution
        assert (answer.execution.jobId, answer.execution.jobDocument) == ("job-1", document)

        with pytest.raises(LinkError, match="not authorized"):
            await link.publish(TOPICS.job_result(TOPICS.thing("server-k"), "job-1"), b"{}")

        outcome = UpdateResult(
            status="FAILED", statusDetails={"reason": "the disk is full", "returned": "no"}
        )
        await link.publish(TOPICS.job_result(thing, "job-1"), outcome.model_dump_json().encode())
        assert (await _next(link)).topic == TOPICS.job_notifications(thing)
    told = iot.describe_job_execution(jobId="job-1", thingName=thing)["execution"]
    assert (told["status"], told["statusDetails"]["detailsMap"]) == ("FAILED", outcome.statusDetails)


async def _next(link: MqttLink) -> ReceivedMessage:
    letter = await asyncio.wait_for(anext(link.messages()), HANG_TIMEOUT_S)
    letter.acknowledge()
    return letter


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
