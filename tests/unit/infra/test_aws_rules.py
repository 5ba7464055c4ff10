"""What AWS would refuse is refused in every test and in every local function, even if the caller hides it."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto import mock_aws

from infra.local.function_hooks import aws_rules
from infra.local.function_hooks.aws_rules import RefusedByAws, models, throttling
from infra.local.function_hooks.aws_rules.limits import (
    LIMITS,
    RESPONSE_BYTES,
    Limit,
    item_bytes,
    response_violation,
    violations,
)
from lambdas.store.base import connection

REGION = "eu-central-1"


@pytest.fixture(autouse=True)
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        yield


@contextmanager
def refused(*said: str) -> Iterator[None]:
    """Expect that a call is refused, kept, and described with each of these texts."""
    with pytest.raises(RefusedByAws) as error:
        yield
    kept = "\n".join(aws_rules.refused)
    aws_rules.refused.clear()
    for text in said:
        assert text in str(error.value)
        assert text in kept


def text(size: int) -> dict[str, str]:
    return {"S": "x" * size}


def put(size: int) -> dict[str, Any]:
    """Return the parameters that put an item of `size` bytes, name of the attribute included."""
    return {"TableName": "t", "Item": {"a": text(size - 1)}}


def transact(size: int) -> dict[str, Any]:
    """Return a transaction of `size` bytes in items that are not too large by themselves."""
    whole, rest = divmod(size, 400_000)
    items = [{"Put": put(400_000)}] * whole + ([{"Put": put(rest)}] if rest else [])
    return {"TransactItems": items}


def batch(size: int) -> dict[str, Any]:
    whole, rest = divmod(size, 400_000)
    items = [{"PutRequest": {"Item": {"a": text(part - 1)}}} for part in [400_000] * whole + [rest]]
    return {"RequestItems": {"t": items}}


CASES: list[tuple[str, str, str, Callable[[int], dict[str, Any]]]] = [
    ("iot-data", "Publish", "bytes", lambda n: {"topic": "t", "payload": b"x" * n}),
    ("iot-data", "Publish", "bytes", lambda n: {"topic": "ü" * (n // 2) + "x" * (n % 2)}),
    ("iot-data", "Publish", "slashes", lambda n: {"topic": "/" * n}),
    (
        "iot",
        "CreateThing",
        "attributes without a thing type",
        lambda n: {"attributePayload": {"attributes": dict.fromkeys(map(str, range(n)), "x")}},
    ),
    ("iot", "CreatePolicy", "characters", lambda n: {"policyDocument": " " * 9999 + "x" * n}),
    ("iot", "CreateJob", "targets", lambda n: {"targets": ["arn"] * n}),
    ("sts", "AssumeRole", "characters", lambda n: {"Policy": "x" * n}),
    ("sts", "AssumeRole", "seconds", lambda n: {"DurationSeconds": n}),
    ("dynamodb", "PutItem", "bytes", put),
    ("dynamodb", "TransactWriteItems", "bytes", transact),
    ("dynamodb", "BatchWriteItem", "bytes", batch),
    ("dynamodb", "GetItem", "bytes", lambda n: {"Key": {"a": text(n)}}),
    ("dynamodb", "GetItem", "empty text as a key", lambda n: {"Key": {"a": text(1 - n)}}),
    ("dynamodb", "Query", "bytes", lambda n: {"KeyConditionExpression": "x" * n}),
    ("dynamodb", "PutItem", "digits", lambda n: {"Item": {"a": {"N": "1" * n}}}),
    ("dynamodb", "PutItem", "digits before or after the point", lambda n: {"Item": {"a": {"N": f"1E{n}"}}}),
    ("events", "PutEvents", "bytes", lambda n: {"Entries": [{"Source": "s", "Detail": "x" * (n - 1)}]}),
    ("sqs", "SendMessage", "bytes", lambda n: {"MessageBody": "x" * n}),
    (
        "kms",
        "Sign",
        "bytes more or less than the digest",
        lambda n: {"MessageType": "DIGEST", "SigningAlgorithm": "ECDSA_SHA_256", "Message": b"x" * (32 - n)},
    ),
    ("s3", "GetObject", "bytes", lambda n: {"Key": "x" * n}),
    ("s3", "ListObjectsV2", "bytes", lambda n: {"Prefix": "x" * n}),
    ("s3", "ListObjectsV2", "bytes", lambda n: {"StartAfter": "x" * n}),
    ("s3", "PutObject", "bytes", lambda n: {"Key": "k", "Metadata": {"x": "x" * (n - 1)}}),
]
"""Calls whose size is given, one for each row of the table, in its order."""


@pytest.mark.parametrize(
    ("limit", "case"), list(zip(LIMITS, CASES, strict=True)), ids=[" ".join(case[:3]) for case in CASES]
)
def test_a_call_at_the_limit_passes_and_one_beyond_it_is_refused(
    limit: Limit, case: tuple[str, str, str, Callable[[int], dict[str, Any]]]
) -> None:
    service, operation, unit, call = case
    assert limit.applies_to(service, operation)
    assert limit.source.startswith("https://docs.aws.amazon.com/")
    largest = int(limit.maximum)
    assert list(violations(service, operation, call(largest))) == []
    [found] = violations(service, operation, call(largest + 1))
    assert f"{largest + 1:,} {unit}, {largest:,} are the limit ({limit.source})" in str(found)
    assert f"AWS would refuse {service} {operation}: {found.parameter} " in str(found)


def test_items_are_measured_as_dynamodb_does() -> None:
    """Sizes from the developer guide's rules for each type, names included."""
    assert item_bytes({"name": {"S": "Köln"}}) == 4 + 5
    assert item_bytes({"n": {"N": "27"}}) == 1 + 2
    assert item_bytes({"n": {"N": "-12.5"}}) == 1 + 4
    assert item_bytes({"b": {"B": b"123"}, "t": {"BOOL": True}, "z": {"NULL": True}}) == 4 + 2 + 2
    assert item_bytes({"l": {"L": [{"S": "ab"}, {"S": "c"}]}}) == 1 + 3 + 2 + 3
    assert item_bytes({"m": {"M": {"key": {"S": "ab"}}}}) == 1 + 3 + 1 + 3 + 2
    assert item_bytes({"s": {"SS": ["ab", "c"]}, "n": {"NS": ["1"]}, "x": {"BS": [b"12"]}}) == 4 + 3 + 3


def test_an_answer_that_lambda_would_drop_is_named() -> None:
    assert response_violation({"body": "x" * (RESPONSE_BYTES - 12)}) is None
    found = response_violation({"body": "x" * (RESPONSE_BYTES - 11)})
    assert "response has 6,291,457 bytes, 6,291,456 are the limit" in str(found)


def test_longest_lengths_patterns_and_choices_come_from_the_models() -> None:
    iot, kms = boto3.client("iot", REGION), boto3.client("kms", REGION)
    with refused("iot DescribeThing: thingName has 129 characters, 128 are the limit (botocore's model)"):
        iot.describe_thing(thingName="x" * 129)
    with refused("thingName is 'server b', which does not match [a-zA-Z0-9:_-]+"):
        iot.describe_thing(thingName="server b")
    with refused("kms Sign: Message has 4,097 bytes, 4,096 are the limit"):
        kms.sign(KeyId="k", Message=b"x" * 4097, SigningAlgorithm="ECDSA_SHA_256")
    with refused("SigningAlgorithm is 'ECDSA', which is none of"):
        kms.sign(KeyId="k", Message=b"x", SigningAlgorithm="ECDSA")  # type: ignore[arg-type]
    with refused("iot-data Publish: qos has 2 as its value, 1 are the limit"):
        boto3.client("iot-data", REGION).publish(topic="t", qos=2)
    writes = [{"Delete": {"TableName": "t", "Key": {"a": {"S": str(n)}}}} for n in range(101)]
    with refused("dynamodb TransactWriteItems: TransactItems has 101 entries, 100 are the limit"):
        boto3.client("dynamodb", REGION).transact_write_items(TransactItems=writes)  # type: ignore[arg-type]


def test_clients_that_validate_nothing_themselves_are_checked_as_well() -> None:
    """Such is pynamodb's."""
    with refused("dynamodb GetItem: TableName has 1,025 characters, 1,024 are the limit"):
        connection(REGION).client._make_api_call("GetItem", {"TableName": "t" * 1025, "Key": {"a": text(1)}})
    with refused('Missing required parameter in input: "Key"'):
        connection(REGION).client._make_api_call("GetItem", {"TableName": "t"})
    unchecked = boto3.client("iot", REGION, config=Config(parameter_validation=False))
    with refused("valid min length: 1"):
        unchecked.describe_thing(thingName="")


def test_a_presigned_url_is_checked_as_well() -> None:
    with refused("s3 PutObject: Key has 1,025 bytes, 1,024 are the limit"):
        boto3.client("s3", REGION).generate_presigned_url("put_object", {"Bucket": "b", "Key": "k" * 1025})


def test_a_caller_that_hides_the_refusal_fails_its_test_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(aws_rules.FILE_VARIABLE, str(tmp_path / "refused.log"))
    with pytest.raises(RefusedByAws):
        boto3.client("iot", REGION).describe_thing(thingName="server b")
    line = (
        "AWS would refuse iot DescribeThing: thingName is 'server b', "
        "which does not match [a-zA-Z0-9:_-]+ (botocore's model)"
    )
    assert aws_rules.refused == [line]
    assert (tmp_path / "refused.log").read_text() == f"{line}\n"
    aws_rules.refused.clear()


def test_patterns_with_unicode_classes_are_enforced_here_and_counted_where_they_cannot_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cognito = boto3.client("cognito-idp", REGION)
    user = {"UserPoolId": "eu-central-1_a", "Username": "an\x00a"}
    with refused("cognito-idp AdminGetUser: Username is 'an\\x00a', which does not match"):
        cognito.admin_get_user(**user)
    assert models.skipped_patterns == set()

    monkeypatch.setattr(models, "regex", None)  # as in a function
    models._compiled.cache_clear()
    try:
        with pytest.raises(ClientError):
            cognito.admin_get_user(**user)
        assert models.skipped_patterns == {r"[\p{L}\p{M}\p{S}\p{N}\p{P}]+"}
    finally:
        models.skipped_patterns.clear()
        models._compiled.cache_clear()


CALLS: list[tuple[str, str, dict[str, Any], str]] = [
    ("dynamodb", "get_item", {"TableName": "t", "Key": {"a": {"S": "x"}}}, "ThrottlingException"),
    ("iot", "describe_thing", {"thingName": "server-b"}, "ThrottlingException"),
    ("iot-data", "publish", {"topic": "t"}, "ThrottlingException"),
    ("kms", "get_public_key", {"KeyId": "k"}, "ThrottlingException"),
    ("cognito-idp", "admin_get_user", {"UserPoolId": "eu_1", "Username": "a"}, "ThrottlingException"),
    ("events", "put_events", {"Entries": [{"Source": "s"}]}, "ThrottlingException"),
    ("sqs", "list_queues", {}, "ThrottlingException"),
    ("sts", "get_caller_identity", {}, "Throttling"),
    ("s3", "list_objects_v2", {"Bucket": "media"}, "SlowDown"),
]


@pytest.mark.parametrize(("service", "operation", "parameters", "code"), CALLS, ids=lambda one: str(one)[:20])
def test_throttled_calls_look_like_aws_s_and_botocore_repeats_them(
    service: str,
    operation: str,
    parameters: dict[str, Any],
    code: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The client gives up after two attempts, as those of the control plane do."""
    file = tmp_path / "throttling.json"
    monkeypatch.setenv(throttling.FILE_VARIABLE, str(file))
    monkeypatch.setattr("time.sleep", lambda _: None)
    twice = Config(retries={"total_max_attempts": 2, "mode": "standard"})
    client = boto3.client(service, REGION, config=twice)  # type: ignore[call-overload]
    file.write_text(json.dumps({"share": 1.0, "seed": 7}))
    codes = {code_of(lambda: getattr(client, operation)(**parameters)) for _ in range(20)}
    assert code in codes
    assert len(codes) == 2, "some get through the second time"
    log = (tmp_path / "throttling.json.log").read_text().splitlines()
    assert log[0].startswith(f"{service} ")
    file.unlink()
    assert code_of(lambda: getattr(client, operation)(**parameters)) in codes - {code}
    assert (tmp_path / "throttling.json.log").read_text().splitlines() == log


def code_of(call: Callable[[], object]) -> str:
    """Return with which error AWS, or moto, answers; "" for success."""
    try:
        call()
    except ClientError as error:
        return error.response["Error"]["Code"]
    return ""


def test_the_share_of_throttled_calls_is_that_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "throttling.json"
    monkeypatch.setenv(throttling.FILE_VARIABLE, str(file))
    client = boto3.client("iot", REGION)
    one = throttling.Throttling(file, client)
    file.write_text(json.dumps({"share": 0.02, "seed": 7}))
    model = client.meta.service_model.operation_model("DescribeThing")
    chosen = 0
    for _ in range(5000):
        one.choose(model)
        chosen += one._of_thread.left > 0
    assert 50 < chosen < 150
