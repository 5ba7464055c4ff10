"""Existing buckets are checked before transfers use them, and their notifications are kept."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any
from xml.etree import ElementTree

import boto3
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moto import mock_aws
from moto.s3.responses import S3Response

from infra import REPOSITORY, buckets
from infra.buckets import EVENTBRIDGE, BucketExit
from infra.settings import read

REGION, ACCOUNT = "eu-central-1", "123456789012"
NAME = "my-media"
ARN = "arn:aws:{service}:eu-central-1:123456789012:{name}"
THUMBNAILS = {
    "Id": "thumbnails",
    "LambdaFunctionArn": ARN.format(service="lambda", name="function:thumbnails"),
    "Events": ["s3:ObjectCreated:*"],
    "Filter": {
        "Key": {"FilterRules": [{"Name": "prefix", "Value": "in/"}, {"Name": "suffix", "Value": ".mov"}]}
    },
}
ACCOUNTING = {
    "Id": "accounting",
    "QueueArn": ARN.format(service="sqs", name="accounting"),
    "Events": ["s3:ObjectRemoved:*", "s3:ObjectCreated:Put"],
}
TOPIC_NOTIFICATION = {
    "Id": "news",
    "TopicArn": ARN.format(service="sns", name="news"),
    "Events": ["s3:ObjectCreated:*"],
    "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": "öffentlich & schön/"}]}},
}
LATE = {"Id": "late", "QueueArn": ARN.format(service="sqs", name="late"), "Events": ["s3:ObjectCreated:*"]}
EXISTING = {
    "LambdaFunctionConfigurations": [THUMBNAILS],
    "QueueConfigurations": [ACCOUNTING],
    "TopicConfigurations": [TOPIC_NOTIFICATION],
}

Call = Callable[[str, dict[str, Any]], Any]


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Yield S3 with a bucket that notifies a function, a queue and a topic of its uploads."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setenv("MOTO_S3_ALLOW_CROSSACCOUNT_ACCESS", "false")
    monkeypatch.setattr(S3Response, "get_bucket_notification", _with_eventbridge)
    with mock_aws():
        client = boto3.client("s3", REGION)
        make(client, NAME)
        notify(client, EXISTING)
        yield client


_without = S3Response.get_bucket_notification


def _with_eventbridge(response: Any) -> Any:
    """Add EventBridge to the response: moto stores it but does not return it."""
    status, headers, body = _without(response)
    found = response.backend.get_bucket_notification_configuration(response.bucket_name)
    if found is None or found.event_bridge is None:
        return status, headers, body
    root = ElementTree.fromstring(body)
    ElementTree.SubElement(root, f"{root.tag.partition('}')[0]}}}{EVENTBRIDGE}")
    return status, headers, ElementTree.tostring(root)


def make(client: Any, name: str, region: str = REGION) -> None:
    client.create_bucket(
        Bucket=name,
        CreateBucketConfiguration={"LocationConstraint": region},
        ObjectOwnership="BucketOwnerEnforced",
    )


def notify(client: Any, configuration: dict[str, Any], name: str = NAME) -> None:
    client.put_bucket_notification_configuration(Bucket=name, NotificationConfiguration=configuration)


def notifications(client: Any, name: str = NAME) -> dict[str, Any]:
    found = client.get_bucket_notification_configuration(Bucket=name)
    return {part: value for part, value in found.items() if part != "ResponseMetadata"}


@pytest.fixture
def calls(s3: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, dict[str, Any]]]]:
    """Yield the calls to AWS, in order."""
    seen: list[tuple[str, dict[str, Any]]] = []
    really = BaseClient._make_api_call

    def counted(client: Any, operation: str, arguments: dict[str, Any]) -> Any:
        seen.append((operation, arguments))
        return really(client, operation, arguments)

    with monkeypatch.context() as patch:
        patch.setattr(BaseClient, "_make_api_call", counted)
        yield seen


@pytest.fixture
def meddle(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Call], None]]:
    """Yield a way to run something right before a call of ours."""
    really = BaseClient._make_api_call
    with monkeypatch.context() as patch:

        def by(other: Call) -> None:
            def call(client: Any, operation: str, arguments: dict[str, Any]) -> Any:
                with monkeypatch.context() as undone:
                    undone.setattr(BaseClient, "_make_api_call", really)
                    answer = other(operation, arguments)
                return answer if answer is not None else really(client, operation, arguments)

            patch.setattr(BaseClient, "_make_api_call", call)

        yield by


def run(*arguments: str) -> int:
    return buckets.main(arguments, wait=lambda seconds: None)


class TestCheck:
    def test_it_tells_what_matters_and_what_to_do_next(self, s3, capsys):
        assert run("check", NAME) == BucketExit.NOT_READY
        assert capsys.readouterr().out.splitlines() == [
            "my-media",
            "  region        eu-central-1",
            "  owner         123456789012 (this account)",
            "  encryption    SSE-S3",
            "  versioning    off",
            "  ownership     all objects belong to the bucket's owner (BucketOwnerEnforced)",
            "  unfinished    uploads stay until they are aborted",
            "  EventBridge   off",
            "  other events  1 to Lambda, 1 to SQS, 1 to SNS",
            "  Note: Uploads that a removed agent had begun stay, and are paid for. "
            "Add a life cycle rule for the whole bucket: AbortIncompleteMultipartUpload after 7 days.",
            "  Not ready: templates do not start on its uploads. Turn EventBridge on:",
            "    python -m infra.buckets enable my-media",
        ]

    @pytest.mark.parametrize(
        ("status", "condition", "expected"),
        [
            ("Enabled", {"Prefix": ""}, "uploads are aborted after 7 days"),
            ("Enabled", {"Prefix": "in/"}, "uploads stay until they are aborted"),
            ("Disabled", {"Prefix": ""}, "uploads stay until they are aborted"),
        ],
    )
    def test_it_tells_whether_unfinished_uploads_end_by_themselves(
        self, s3, capsys, status, condition, expected
    ):
        rule = {
            "ID": "unfinished",
            "Status": status,
            "Filter": condition,
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
        }
        s3.put_bucket_lifecycle_configuration(Bucket=NAME, LifecycleConfiguration={"Rules": [rule]})
        run("check", NAME)
        out = capsys.readouterr().out
        assert f"unfinished    {expected}" in out
        assert ("Note:" in out) is ("stay" in expected)

    def test_it_only_reads_and_only_this_accounts_buckets(self, s3, calls):
        run("check", NAME, "not-there")
        assert {
            operation for operation, _ in calls if not operation.startswith(("Get", "Head", "List"))
        } == set()
        named = [arguments for _, arguments in calls if "Bucket" in arguments]
        assert named
        assert all(arguments["ExpectedBucketOwner"] == ACCOUNT for arguments in named)

    def test_a_bucket_that_is_ready_says_so(self, s3, capsys):
        notify(s3, {EVENTBRIDGE: {}})
        s3.put_bucket_versioning(Bucket=NAME, VersioningConfiguration={"Status": "Enabled"})
        assert run("check", f"s3://{NAME}/") == BucketExit.READY
        told = capsys.readouterr().out
        assert "versioning    on" in told
        assert "other events  none" in told
        assert told.endswith("  Ready: templates start on its uploads.\n")

    def test_several_are_told_apart_and_the_worst_counts(self, s3, capsys):
        notify(s3, {EVENTBRIDGE: {}})
        assert run("check", NAME, "not-there", NAME) == BucketExit.NOT_USABLE
        told = capsys.readouterr().out
        assert told.count("my-media\n") == 1
        assert "\nnot-there\n  Not usable: there is no bucket of this name.\n" in told

    def test_an_encryption_rule_may_name_no_default(self, s3, monkeypatch, capsys):
        """Such a rule only switches bucket keys on, which moto does not store: S3 encrypts as without it."""
        rule = "<Rule><BucketKeyEnabled>true</BucketKeyEnabled></Rule>"
        stored = f"<ServerSideEncryptionConfiguration>{rule}</ServerSideEncryptionConfiguration>"
        monkeypatch.setattr(S3Response, "get_bucket_encryption", lambda _: (200, {}, stored))
        assert run("check", NAME) == BucketExit.NOT_READY, "usable; EventBridge is off"
        assert "Not usable" not in capsys.readouterr().out

    def test_a_bucket_without_owner_enforced_gets_a_note(self, s3, capsys):
        s3.delete_bucket_ownership_controls(Bucket=NAME)
        assert run("check", NAME) == BucketExit.NOT_READY
        assert "Note: What another account uploads may be unreadable" in capsys.readouterr().out

    def test_without_a_region_or_credentials_it_says_what_is_missing(self, s3, monkeypatch, capsys):
        monkeypatch.delenv("AWS_DEFAULT_REGION")
        monkeypatch.setenv("AWS_REGION", REGION)
        assert run("check", NAME) == BucketExit.NOT_READY
        monkeypatch.delenv("AWS_REGION")
        assert run("check", NAME) == BucketExit.QUERY_FAILED
        assert "set AWS_REGION" in capsys.readouterr().err
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        assert run("check", "--region", REGION, NAME) == BucketExit.QUERY_FAILED
        assert "AWS could not be queried: Unable to locate credentials" in capsys.readouterr().err

    @pytest.mark.parametrize(
        "name", ["My Media", "a", "-x", "arn:aws:s3:::my-media", "my-media/in", "express--x-s3"]
    )
    def test_what_is_not_a_buckets_name_is_not_asked_for(self, s3, calls, name):
        with pytest.raises(SystemExit) as usage:
            run("check", f"s3://{name}")
        assert usage.value.code == 2
        assert calls == []


def _encrypt(client: Any, algorithm: str, **key: str) -> None:
    default = {"SSEAlgorithm": algorithm, **key}
    rules = {"Rules": [{"ApplyServerSideEncryptionByDefault": default}]}
    client.put_bucket_encryption(Bucket=NAME, ServerSideEncryptionConfiguration=rules)


class TestWhatCannotWork:
    """`check` and `enable` give the reason, and `enable` changes nothing."""

    @pytest.fixture(params=["check", "enable"])
    def refused(self, request, s3, calls, capsys) -> Callable[..., str]:
        def refused(name: str = NAME) -> str:
            calls.clear()
            assert run(request.param, name) == BucketExit.NOT_USABLE
            assert "PutBucketNotificationConfiguration" not in [operation for operation, _ in calls]
            told: str = capsys.readouterr().out
            assert ("Nothing was changed." in told) is (request.param == "enable")
            return told

        return refused

    def test_another_region(self, refused):
        make(boto3.client("s3", "eu-west-1"), "in-dublin", "eu-west-1")
        told = refused("in-dublin")
        assert "it is in eu-west-1, and the stage in eu-central-1" in told
        assert 'Write region = "eu-west-1" for it' in told
        assert "Or deploy a stage in eu-west-1" in told

    def test_another_account(self, refused):
        make(other_account(), "theirs")
        assert "Not usable: it belongs to another account than 123456789012." in refused("theirs")

    def test_a_key_of_kms(self, s3, refused):
        key = "arn:aws:kms:eu-central-1:123456789012:key/0d4a"
        _encrypt(s3, "aws:kms", KMSMasterKeyID=key)
        told = refused()
        assert f"encryption    SSE-KMS with {key}" in told
        assert f'Write key = "{key}" for it in the stage\'s file.' in told

    def test_no_right_to_look_at_it(self, refused, meddle):
        meddle(_denying("HeadBucket", "403"))
        assert "lack the right s3:ListBucket" in refused()

    def test_no_right_to_look_at_anything(self, refused, meddle):
        meddle(_denying("HeadBucket", "403", "ListBuckets"))
        told = refused()
        assert "another account than 123456789012, or these credentials lack the right s3:ListBucket" in told

    def test_no_right_to_read_its_notifications(self, refused, meddle):
        meddle(_denying("GetBucketNotificationConfiguration"))
        assert "Grant s3:GetBucketNotification on the bucket." in refused()

    def test_notifications_that_boto3_does_not_know_and_would_lose(self, s3, refused, monkeypatch):
        """For example a kind of notification that S3 adds later."""

        def of_next_year(response: Any) -> Any:
            status, headers, body = _with_eventbridge(response)
            text = body if isinstance(body, str) else body.decode()
            return status, headers, re.sub(r"(</\w+>)\s*$", r"<PigeonConfiguration/>\1", text)

        monkeypatch.setattr(S3Response, "get_bucket_notification", of_next_year)
        assert "something that this version of boto3 does not know, and would lose" in refused()


def _denying(*denied: str) -> Call:
    code = "403" if "403" in denied else "AccessDenied"

    def call(operation: str, arguments: dict[str, Any]) -> None:
        if operation in denied:
            raise ClientError({"Error": {"Code": code, "Message": "Forbidden"}}, operation)

    return call


@pytest.mark.parametrize(
    ("operation", "right"),
    [
        ("GetBucketEncryption", "s3:GetEncryptionConfiguration"),
        ("GetBucketVersioning", "s3:GetBucketVersioning"),
        ("GetBucketOwnershipControls", "s3:GetBucketOwnershipControls"),
        ("GetBucketLifecycleConfiguration", "s3:GetLifecycleConfiguration"),
    ],
)
def test_what_may_not_be_read_is_unknown_and_keeps_nothing_from_working(s3, meddle, capsys, operation, right):
    meddle(_denying(operation))
    assert run("enable", NAME) == BucketExit.READY
    assert f"unknown: these credentials lack the right {right}" in capsys.readouterr().out


@pytest.mark.parametrize("key", [{}, {"KMSMasterKeyID": "alias/aws/s3"}])
def test_the_accounts_own_key_of_s3_gets_a_note(s3, capsys, key):
    _encrypt(s3, "aws:kms", **key)
    assert run("check", NAME) == BucketExit.NOT_READY
    told = capsys.readouterr().out
    assert "SSE-KMS with aws/s3" in told
    assert "Note: Encrypted with the account's own KMS key for S3." in told


DUBLIN_KEY = "arn:aws:kms:eu-west-1:123456789012:key/01234567-89ab-cdef-0123-456789abcdef"
OTHERS = "999999999999"


def other_account() -> Any:
    """Return S3 of another account."""
    role = boto3.client("sts").assume_role(
        RoleArn=f"arn:aws:iam::{OTHERS}:role/other", RoleSessionName="other"
    )["Credentials"]
    return boto3.client(
        "s3",
        REGION,
        aws_access_key_id=role["AccessKeyId"],
        aws_secret_access_key=role["SecretAccessKey"],
        aws_session_token=role["SessionToken"],
    )


class TestWhatTheStageSFileSays:
    """A bucket in another region or account, or with a key of its own, is usable once the file says so."""

    @pytest.fixture
    def stage(self, tmp_path, monkeypatch) -> Callable[..., None]:
        monkeypatch.setattr(buckets, "read_settings", lambda name, context: read(name, context, tmp_path))

        def write(*tables: dict[str, str]) -> None:
            lines = [
                line
                for table in tables
                for line in ("[[buckets]]", *(f'{key} = "{value}"' for key, value in table.items()))
            ]
            (tmp_path / "prod.toml").write_text("\n".join(lines))

        return write

    def test_another_region_and_a_key_there(self, s3, stage, capsys):
        dublin = boto3.client("s3", "eu-west-1")
        make(dublin, "in-dublin", "eu-west-1")
        default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": DUBLIN_KEY}
        dublin.put_bucket_encryption(
            Bucket="in-dublin",
            ServerSideEncryptionConfiguration={"Rules": [{"ApplyServerSideEncryptionByDefault": default}]},
        )
        stage({"name": "in-dublin", "region": "eu-west-1", "key": DUBLIN_KEY}, {"name": NAME})
        assert run("check", "--stage", "prod") == BucketExit.NOT_READY, "usable; EventBridge is off"
        told = capsys.readouterr().out
        assert f"SSE-KMS with {DUBLIN_KEY}" in told
        assert "only if a rule there forwards its events" in told
        assert told.count("Not usable") == 0
        assert f"\n{NAME}\n" in told, "all buckets of the stage"

    @pytest.mark.parametrize(
        ("said", "expected"),
        [
            ({"region": "us-east-1"}, "it is in eu-central-1, and its stage expects it in us-east-1"),
            ({"key": DUBLIN_KEY.replace("eu-west-1", REGION)}, "which transfers have no right to use"),
        ],
    )
    def test_a_file_that_is_wrong(self, s3, stage, capsys, said, expected):
        _encrypt(s3, "aws:kms", KMSMasterKeyID=f"arn:aws:kms:{REGION}:123456789012:key/{'a' * 32}")
        stage({"name": NAME, **said})
        assert run("check", "--stage", "prod") == BucketExit.NOT_USABLE
        assert expected in capsys.readouterr().out

    def test_a_bucket_of_another_account_is_not_taken_for_a_foreign_one(self, s3, stage, calls, capsys):
        make(other_account(), "theirs")
        stage({"name": "theirs", "account": OTHERS})
        assert run("check", "--stage", "prod") == BucketExit.NOT_READY
        told = capsys.readouterr().out
        assert f"owner   {OTHERS} (another account)" in told
        assert "python -m infra.buckets policy" in told
        assert {given["ExpectedBucketOwner"] for _, given in calls if "ExpectedBucketOwner" in given} == {
            OTHERS
        }

    def test_the_owner_gets_the_statements_that_the_roles_need(self, s3, stage, capsys, monkeypatch):
        stage({"name": "theirs", "account": OTHERS, "region": "eu-west-1", "key": DUBLIN_KEY}, {"name": NAME})
        roles = {name: f"arn:aws:iam::{ACCOUNT}:role/{name}" for name in ("ObjectRole", "ApiRole")}
        monkeypatch.setattr(buckets, "stage_outputs", lambda cloudformation, name: roles)
        assert run("policy", "--stage", "prod") == BucketExit.READY
        told = capsys.readouterr().out
        statements = [
            statement
            for text in re.findall(r"^\[$.*?^\]$", told, re.MULTILINE | re.DOTALL)
            for statement in json.loads(text)
        ]
        allowed = {
            (action, statement["Resource"])
            for statement in statements
            for action in statement["Action"]
            if roles["ObjectRole"] in statement["Principal"]["AWS"]
        }
        assert {
            ("s3:ListBucket", "arn:aws:s3:::theirs"),
            ("s3:GetObject", "arn:aws:s3:::theirs/*"),
            ("s3:PutObject", "arn:aws:s3:::theirs/*"),
            ("kms:GenerateDataKey", "*"),
        } <= allowed
        assert statements[-1]["Condition"] == {
            "StringEquals": {"kms:ViaService": "s3.eu-west-1.amazonaws.com"}
        }
        assert f"{NAME} is in the stage's own account" in told

    def test_a_bucket_that_the_file_lacks_is_refused(self, s3, stage, capsys):
        stage({"name": NAME})
        with pytest.raises(SystemExit):
            run("check", "--stage", "prod", "my-archive")
        assert "stages/prod.toml has no bucket my-archive" in capsys.readouterr().err


class TestEnable:
    def test_what_was_there_stays_as_it_is(self, s3, capsys):
        before = notifications(s3)
        assert run("enable", NAME) == BucketExit.READY
        assert notifications(s3) == {**before, EVENTBRIDGE: {}}
        told = capsys.readouterr().out
        assert "EventBridge   on" in told
        assert told.endswith(
            "  EventBridge is on. Other events stay as they are: 1 to Lambda, 1 to SQS, 1 to SNS.\n"
        )

    def test_the_second_time_it_writes_nothing(self, s3, calls, capsys):
        run("enable", NAME)
        calls.clear()
        assert run("enable", NAME) == BucketExit.READY
        assert "PutBucketNotificationConfiguration" not in [operation for operation, _ in calls]
        assert "EventBridge was on already." in capsys.readouterr().out

    def test_a_bucket_that_tells_nobody_anything(self, s3):
        make(s3, "quiet")
        assert run("enable", "quiet") == BucketExit.READY
        assert notifications(s3, "quiet") == {EVENTBRIDGE: {}}

    def test_it_writes_as_this_account_and_does_not_wake_the_destinations(self, s3, calls):
        run("enable", NAME)
        (written,) = [given for operation, given in calls if operation.startswith("Put")]
        assert (written["ExpectedBucketOwner"], written["SkipDestinationValidation"]) == (ACCOUNT, True)

    def test_no_right_to_write_is_told_with_the_right(self, s3, meddle, capsys):
        before = notifications(s3)
        meddle(_denying("PutBucketNotificationConfiguration"))
        assert run("enable", NAME) == BucketExit.NOT_USABLE
        told = capsys.readouterr().out
        assert "Grant s3:PutBucketNotification on the bucket." in told
        assert "Nothing was changed." in told
        assert notifications(s3) == before

    def test_what_is_added_while_it_reads_is_kept(self, s3, meddle, capsys):
        reads, is_added = 0, False

        def another_queue(operation: str, arguments: dict[str, Any]) -> None:
            """Add a queue between the read whose result is written back and whatever comes next."""
            nonlocal reads, is_added
            is_read = operation == "GetBucketNotificationConfiguration"
            if reads == 2 and not is_added and (is_read or operation.startswith("Put")):
                is_added = True
                notify(s3, {**EXISTING, "QueueConfigurations": [ACCOUNTING, LATE]})
            reads += is_read  # the first is check's

        meddle(another_queue)
        assert run("enable", NAME) == BucketExit.READY
        assert notifications(s3) == {**EXISTING, "QueueConfigurations": [ACCOUNTING, LATE], EVENTBRIDGE: {}}
        assert "Something else changed the notifications at the same time" in capsys.readouterr().out

    def test_when_another_writes_over_it_both_are_there_in_the_end(self, s3, meddle, capsys):
        """For example a deployment that had read the earlier notifications."""
        written = False

        def over_it(operation: str, arguments: dict[str, Any]) -> None:
            nonlocal written
            if operation == "GetBucketNotificationConfiguration" and EVENTBRIDGE in notifications(s3):
                if not written:
                    notify(s3, {**EXISTING, "QueueConfigurations": [ACCOUNTING, LATE]})
                written = True

        meddle(over_it)
        assert run("enable", NAME) == BucketExit.READY
        assert notifications(s3) == {**EXISTING, "QueueConfigurations": [ACCOUNTING, LATE], EVENTBRIDGE: {}}
        assert "Something else changed the notifications at the same time" in capsys.readouterr().out

    def test_where_something_keeps_changing_them_it_gives_up_and_writes_nothing(self, s3, meddle, capsys):
        count = 0

        def restless(operation: str, arguments: dict[str, Any]) -> None:
            nonlocal count
            if operation == "GetBucketNotificationConfiguration":
                count += 1
                notify(s3, {**EXISTING, "QueueConfigurations": [{**LATE, "Id": f"queue-{count}"}]})

        meddle(restless)
        assert run("enable", NAME) == BucketExit.NOT_READY
        assert "Failed: something else keeps changing its notifications." in capsys.readouterr().out
        assert EVENTBRIDGE not in notifications(s3)

    def test_s3_that_shows_the_old_ones_for_a_while_is_waited_for(self, s3, stale):
        stale(readings=2)
        waited: list[float] = []
        assert buckets.main(["enable", NAME], wait=waited.append) == BucketExit.READY
        assert waited == [0, 1, 2]
        assert notifications(s3) == {**EXISTING, EVENTBRIDGE: {}}

    def test_s3_that_does_not_show_it_at_all_is_told(self, s3, stale, capsys):
        stale(readings=len(buckets.RETRY_DELAYS_S))
        assert run("enable", NAME) == BucketExit.NOT_READY
        assert "Run python -m infra.buckets check my-media in some minutes." in capsys.readouterr().out
        assert notifications(s3) == {**EXISTING, EVENTBRIDGE: {}}


def test_no_guide_tells_anyone_to_replace_them():
    """The plain AWS command would delete the bucket's other notifications."""
    guides = [REPOSITORY / "README.md", *(REPOSITORY / "docs").rglob("*.md")]
    assert len(guides) > 10
    assert [one.name for one in guides if "put-bucket-notification" in one.read_text()] == []


@pytest.fixture
def stale(s3: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make S3 return the old notifications for some reads after EventBridge was added."""

    def stale(readings: int) -> None:
        before: list[Any] = []
        left = readings

        def show(response: Any) -> Any:
            nonlocal left
            answer = _with_eventbridge(response)
            if EVENTBRIDGE not in str(answer[2]):
                before.append(answer)
            elif left:
                left -= 1
                return before[-1]
            return answer

        monkeypatch.setattr(S3Response, "get_bucket_notification", show)

    return stale


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=20)
RULES = st.fixed_dictionaries({"Name": st.sampled_from(["prefix", "suffix"]), "Value": WORDS})
FILTERS = st.lists(RULES, min_size=1, max_size=2, unique_by=lambda rule: rule["Name"])
KINDS = {
    "LambdaFunctionConfigurations": ("LambdaFunctionArn", "lambda"),
    "QueueConfigurations": ("QueueArn", "sqs"),
    "TopicConfigurations": ("TopicArn", "sns"),
}


def some(kind: str) -> st.SearchStrategy[Any]:
    arn, service = KINDS[kind]
    events = st.sampled_from(["s3:ObjectCreated:*", "s3:ObjectRemoved:*", "s3:ObjectRestore:Post"])
    needed = {
        "Id": WORDS,
        arn: st.integers(0, 99).map(lambda number: ARN.format(service=service, name=f"n{number}")),
        "Events": st.lists(events, min_size=1, max_size=3, unique=True),
    }
    optional = {"Filter": FILTERS.map(lambda rules: {"Key": {"FilterRules": rules}})}
    return st.lists(st.fixed_dictionaries(needed, optional=optional), min_size=1, max_size=3)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(existing=st.fixed_dictionaries({}, optional={kind: some(kind) for kind in KINDS}))
def test_whatever_was_there_is_there_afterwards(s3, existing):
    notify(s3, existing)
    assert run("enable", NAME) == BucketExit.READY
    assert notifications(s3) == {**existing, EVENTBRIDGE: {}}
