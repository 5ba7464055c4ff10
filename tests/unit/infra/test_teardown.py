"""A stage is removed to nothing, and what belongs to others stays."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.iot.exceptions import DeleteConflictException
from moto.iot.models import IoTBackend

from events.topics import Topics
from infra import teardown

REGION = "eu-central-1"
TABLE = {
    "Type": "AWS::DynamoDB::Table",
    "DeletionPolicy": "Retain",
    "Properties": {
        "BillingMode": "PAY_PER_REQUEST",
        "DeletionProtectionEnabled": True,
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    },
}


class TwoStages:
    """An account in moto with two stages; the name of one begins with the other's."""

    def __init__(self) -> None:
        for stage in ("prod", "prod-eu"):
            self.deploy(stage)

    def client(self, service: str) -> Any:
        return boto3.client(service, REGION)

    def deploy(self, stage: str) -> None:
        tags = [{"Key": teardown.TAG, "Value": stage}]
        bucket = {"Type": "AWS::S3::Bucket", "Properties": {"Tags": tags}}
        table = {**TABLE, "Properties": {**TABLE["Properties"], "Tags": tags}}  # type: ignore[dict-item]
        log = {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": f"/crosshaul/{stage}"}}
        self.stack(f"Crosshaul-{stage}-State", {"Table": table, "Media": bucket, "Log": log})
        self.stack(f"Crosshaul-{stage}", {"Console": bucket})
        for name in self.buckets(stage):
            self.client("s3").put_bucket_versioning(
                Bucket=name, VersioningConfiguration={"Status": "Enabled"}
            )
            for _ in range(2):
                self.client("s3").put_object(Bucket=name, Key="index.html", Body=b"x")
            self.client("s3").delete_object(Bucket=name, Key="index.html")
        iot = self.client("iot")
        iot.create_policy(policyName=f"crosshaul-{stage}-device", policyDocument="{}")
        thing = Topics(stage).thing("server-b")
        iot.create_thing(thingName=thing, attributePayload={"attributes": {"crosshaul-stage": stage}})
        certificate = iot.create_keys_and_certificate(setAsActive=True)["certificateArn"]
        iot.attach_policy(policyName=f"crosshaul-{stage}-device", target=certificate)
        iot.attach_thing_principal(thingName=thing, principal=certificate)
        iot.create_job(
            jobId=Topics(stage).job("0123456789ab", 0), targets=[self.arn_of(thing)], document="{}"
        )

    def arn_of(self, thing: str) -> str:
        return str(self.client("iot").describe_thing(thingName=thing)["thingArn"])

    def stack(self, name: str, resources: dict[str, Any]) -> None:
        self.client("cloudformation").create_stack(
            StackName=name, TemplateBody=json.dumps({"Resources": resources})
        )

    def buckets(self, stage: str) -> list[str]:
        found = []
        for bucket in self.client("s3").list_buckets()["Buckets"]:
            tags = self.client("s3").get_bucket_tagging(Bucket=bucket["Name"])["TagSet"]
            if {"Key": teardown.TAG, "Value": stage} in tags:
                found.append(bucket["Name"])
        return found

    def tables(self) -> list[str]:
        found: list[str] = self.client("dynamodb").list_tables()["TableNames"]
        return found

    def things(self) -> list[str]:
        return [one["thingName"] for one in self.client("iot").list_things()["things"]]

    def jobs(self) -> list[str]:
        return [one["jobId"] for one in self.client("iot").list_jobs()["jobs"]]

    def certificates(self) -> list[str]:
        found = self.client("iot").list_certificates()["certificates"]
        return [one["certificateArn"] for one in found]

    def logs(self) -> list[str]:
        return [one["logGroupName"] for one in self.client("logs").describe_log_groups()["logGroups"]]


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[TwoStages]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_REGION", REGION)
    with mock_aws():
        yield TwoStages()


def test_without_the_name_once_more_it_only_lists(
    cloud: TwoStages, capsys: pytest.CaptureFixture[str]
) -> None:
    assert teardown.main(["prod"]) == 0
    told = capsys.readouterr().out
    assert "stack Crosshaul-prod-State" in told
    assert "agent crosshaul:prod:server-b" in told
    assert "job crosshaul_prod_0123456789ab_0" in told
    assert told.endswith("python -m infra.teardown prod --delete prod\n")
    assert "prod-eu" not in told
    with pytest.raises(SystemExit):
        teardown.main(["prod", "--delete", "prod-eu"])
    assert len(cloud.tables()) == 2
    assert len(cloud.things()) == 2


def test_everything_of_the_stage_goes_and_nothing_of_another(cloud: TwoStages) -> None:
    theirs = cloud.buckets("prod-eu")
    assert teardown.main(["prod", "--delete", "prod"]) == 0
    assert cloud.buckets("prod") == []
    assert cloud.things() == ["crosshaul:prod-eu:server-b"]
    assert len(cloud.certificates()) == 1
    assert cloud.jobs() == ["crosshaul_prod-eu_0123456789ab_0"]
    assert cloud.logs() == ["/crosshaul/prod-eu"]
    assert len(cloud.tables()) == 1
    assert cloud.buckets("prod-eu") == theirs
    for bucket in theirs:
        assert len(cloud.client("s3").list_object_versions(Bucket=bucket)["Versions"]) == 2
    with pytest.raises(ClientError):
        cloud.client("cloudformation").describe_stacks(StackName="Crosshaul-prod")


def test_a_certificate_without_an_agent_does_not_keep_the_stack(cloud: TwoStages) -> None:
    """IoT Core deletes no policy that a certificate has: the stack's deletion would fail."""
    iot = cloud.client("iot")
    lost, shared = (iot.create_keys_and_certificate(setAsActive=True)["certificateArn"] for _ in range(2))
    for certificate in (lost, shared):
        iot.attach_policy(policyName="crosshaul-prod-device", target=certificate)
    iot.create_thing(thingName="fridge")
    iot.attach_thing_principal(thingName="fridge", principal=shared)
    assert teardown.main(["prod", "--delete", "prod"]) == 0
    iot.delete_policy(policyName="crosshaul-prod-device")
    assert lost not in cloud.certificates()
    assert shared in cloud.certificates()
    assert iot.list_thing_principals(thingName="fridge")["principals"] == [shared]


def test_a_certificate_from_which_iot_core_still_detaches_the_policy_is_deleted_a_moment_later(
    cloud: TwoStages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The removal used to fail there, and nothing found the certificate again."""
    iot = cloud.client("iot")
    lost = iot.create_keys_and_certificate(setAsActive=True)["certificateArn"]
    iot.attach_policy(policyName="crosshaul-prod-device", target=lost)
    delete, refused = IoTBackend.delete_certificate, list[str]()

    def still_detaching(backend: IoTBackend, certificate_id: str, force_delete: bool) -> None:
        if lost.endswith(certificate_id) and len(refused) < 2:
            refused.append(certificate_id)
            raise DeleteConflictException("Things must be detached before deletion")
        delete(backend, certificate_id, force_delete)

    monkeypatch.setattr(IoTBackend, "delete_certificate", still_detaching)
    assert teardown.main(["prod", "--delete", "prod"]) == 0
    assert len(refused) == 2
    assert lost not in cloud.certificates()


def test_stacks_that_are_protected_are_deleted_after_all(
    cloud: TwoStages, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    really = BaseClient._make_api_call

    def call(client: Any, operation: str, arguments: dict[str, Any]) -> Any:
        if operation in {"UpdateTerminationProtection", "DeleteStack"}:
            calls.append(
                f"{operation} {arguments['StackName']} {arguments.get('EnableTerminationProtection')}"
            )
        if operation == "UpdateTerminationProtection":
            return {}
        answer = really(client, operation, arguments)
        if operation == "DescribeStacks":
            answer["Stacks"][0]["EnableTerminationProtection"] = True
        return answer

    monkeypatch.setattr(BaseClient, "_make_api_call", call)
    assert teardown.main(["prod", "--delete", "prod"]) == 0
    assert calls == [
        "UpdateTerminationProtection Crosshaul-prod False",
        "DeleteStack Crosshaul-prod None",
        "UpdateTerminationProtection Crosshaul-prod-State False",
        "DeleteStack Crosshaul-prod-State None",
    ]


def test_a_second_run_finds_nothing(cloud: TwoStages, capsys: pytest.CaptureFixture[str]) -> None:
    teardown.main(["prod", "--delete", "prod"])
    capsys.readouterr()
    assert teardown.main(["prod"]) == 0
    assert "Nothing of stage prod" in capsys.readouterr().out
    assert teardown.main(["prod", "--delete", "prod"]) == 0


def test_what_a_failed_creation_has_left_is_found_by_its_tag(
    cloud: TwoStages, capsys: pytest.CaptureFixture[str]
) -> None:
    """CloudFormation's rollback keeps what is not to be deleted with the stack, and forgets it."""
    tags = [{"Key": teardown.TAG, "Value": "trial"}]
    cloud.client("dynamodb").create_table(
        TableName="orphan",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        DeletionProtectionEnabled=True,
        Tags=tags,
    )
    key = cloud.client("kms").create_key(Tags=[{"TagKey": teardown.TAG, "TagValue": "trial"}])
    assert teardown.main(["trial", "--delete", "trial"]) == 0
    assert "orphan" not in cloud.tables()
    state = cloud.client("kms").describe_key(KeyId=key["KeyMetadata"]["KeyId"])["KeyMetadata"]["KeyState"]
    assert state == "PendingDeletion"
    assert len(cloud.tables()) == 2
    capsys.readouterr()
    assert teardown.main(["trial"]) == 0
    assert "Nothing of stage trial" in capsys.readouterr().out, "the key is gone in 30 days by itself"


def test_every_retained_resource_can_be_deleted(real: Any) -> None:
    """A kind that a later version retains must not be forgotten here."""
    retained = {
        resource["Type"]
        for template in real.templates.values()
        for resource in template["Resources"].values()
        if resource.get("DeletionPolicy") == "Retain"
    }
    assert retained
    assert retained <= set(teardown._DELETE)
