"""Remove a stage: everything that it has in its account, or what a failed first creation has left.

python -m infra.teardown STAGE                     lists it
python -m infra.teardown STAGE --delete STAGE      deletes it, the data too

Neither tables, buckets and users, nor keys and logs are deleted with the stacks, so that nothing is lost by
mistake. This deletes them: first the jobs of updates and the agents' things and certificates, then the
stacks, then what they have left. KMS deletes the keys after 30 days; until then
`aws kms cancel-key-deletion` keeps one. It may be run again after it was interrupted, and finds by its tag
what a stack has left. It never touches another stage, nor the existing buckets that the stage only uses.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, WaiterError

from events.topics import STAGE_ATTRIBUTE, Topics
from lambdas.aws.iot_registry import IotEndpoint, IotRegistry

TAG = "crosshaul"
"""Tag of everything that a stage creates; its value is the stage's name."""
KEY_DELETION_DAYS = 30
_PATIENT = Config(retries={"mode": "standard", "total_max_attempts": 20})
"""IoT Jobs deletes ten jobs at a time, and refuses more until then."""
_NO_ENDPOINT = IotEndpoint("", 8883, None)
"""Nothing connects."""
_ABSENT = {
    "ResourceNotFoundException", "NoSuchBucket", "NotFoundException", "ValidationError", "404",
    "KMSInvalidStateException",
}  # fmt: skip
"""Codes of answers that mean: it is gone, or is being deleted."""


@dataclass(frozen=True, order=True)
class KeptResource:
    """Something that stays when a stack is deleted."""

    kind: str
    """CloudFormation's type."""
    name: str
    """Physical id: a name, or the id of a key or a user pool."""

    def __str__(self) -> str:
        return f"{self.kind.partition('::')[2]:24}  {self.name}"


class Teardown:
    """Finds and deletes what one stage has in one account and region."""

    def __init__(self, session: Any, stage: str) -> None:
        """`session` is boto3's."""
        self._stage = stage
        self._topics = Topics(stage)
        self._device_policy = f"crosshaul-{stage}-device"
        self._client: Callable[..., Any] = session.client
        self._stacks = (f"Crosshaul-{stage}", f"Crosshaul-{stage}-State")
        """In the order in which they are deleted: the first uses the second."""

    def things(self) -> list[str]:
        """Return the names of the stage's things, as IoT Core has them."""
        pages = (
            self._client("iot")
            .get_paginator("list_things")
            .paginate(attributeName=STAGE_ATTRIBUTE, attributeValue=self._stage)
        )
        return [thing["thingName"] for page in pages for thing in page["things"]]

    def jobs(self) -> list[str]:
        """Return the ids of the jobs of the stage's updates; IoT Jobs keeps them for months."""
        pages = self._client("iot").get_paginator("list_jobs").paginate()
        found = (job["jobId"] for page in pages for job in page["jobs"])
        return [job for job in found if self._topics.is_job(job)]

    def stacks(self) -> list[str]:
        return [name for name in self._stacks if self._status(name)]

    def resources(self) -> set[KeptResource]:
        """Return what would stay: from the stacks, and what has the stage's tag after they are gone."""
        of_stacks = {one for name in self.stacks() for one in self._of_stack(name)}
        return of_stacks | set(self._tagged())

    def run(self) -> Iterator[str]:
        """Delete everything; yield what was done, as text."""
        resources = sorted(self.resources())
        for job in self.jobs():
            self._absent_is_fine(self._delete_job, job)
            yield f"job {job}"
        registry = IotRegistry(self._client("iot"), self._topics, self._device_policy, _NO_ENDPOINT)
        for thing in self.things():
            if agent_id := self._topics.agent_of(thing):
                registry.deprovision(agent_id)
                yield f"agent {agent_id}"
        for certificate in self._certificates():
            self._absent_is_fine(registry.revoke_lost, certificate)
            yield f"certificate {certificate}"
        for one in resources:
            if one.kind == "AWS::S3::Bucket":  # a stack is not deleted as long as its buckets have objects
                self._absent_is_fine(self._empty, one.name)
        for name in self.stacks():
            self._delete_stack(name)
            yield f"stack {name}"
        for one in resources:
            self._absent_is_fine(_DELETE[one.kind], self, one.name)
            yield str(one)

    def _status(self, stack: str) -> str | None:
        try:
            found = self._client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
        except ClientError as error:
            if error.response["Error"]["Code"] == "ValidationError":  # there is none
                return None
            raise
        status = str(found[0]["StackStatus"])
        return None if status == "DELETE_COMPLETE" else status

    def _of_stack(self, stack: str) -> Iterator[KeptResource]:
        pages = self._client("cloudformation").get_paginator("list_stack_resources")
        for page in pages.paginate(StackName=stack):
            for one in page["StackResourceSummaries"]:
                if one["ResourceType"] in _DELETE and one.get("PhysicalResourceId"):
                    yield KeptResource(one["ResourceType"], one["PhysicalResourceId"])

    def _tagged(self) -> Iterator[KeptResource]:
        pages = self._client("resourcegroupstaggingapi").get_paginator("get_resources")
        for page in pages.paginate(TagFilters=[{"Key": TAG, "Values": [self._stage]}]):
            for one in page["ResourceTagMappingList"]:
                found = _of_arn(one["ResourceARN"])
                if found and self._is_there(found):
                    yield found

    def _is_there(self, one: KeptResource) -> bool:
        """Return whether it is there: tags are listed for a while after their resource is gone."""
        try:
            if one.kind == "AWS::DynamoDB::Table":
                self._client("dynamodb").describe_table(TableName=one.name)
            if one.kind == "AWS::KMS::Key":
                key = self._client("kms").describe_key(KeyId=one.name)["KeyMetadata"]
                return bool(key["KeyState"] != "PendingDeletion")
        except ClientError as error:
            if error.response["Error"]["Code"] not in _ABSENT:
                raise
            return False
        return True

    def _delete_job(self, job: str) -> None:
        self._client("iot", config=_PATIENT).delete_job(jobId=job, force=True)

    def _certificates(self) -> list[str]:
        """Return the certificates that still have the device policy: IoT Core does not delete it before."""
        pages = (
            self._client("iot")
            .get_paginator("list_targets_for_policy")
            .paginate(policyName=self._device_policy)
        )
        try:
            return [arn for page in pages for arn in page["targets"]]
        except ClientError as error:
            if error.response["Error"]["Code"] not in _ABSENT:
                raise
            return []

    def _delete_stack(self, name: str) -> None:
        cloudformation = self._client("cloudformation")
        if cloudformation.describe_stacks(StackName=name)["Stacks"][0].get("EnableTerminationProtection"):
            cloudformation.update_termination_protection(StackName=name, EnableTerminationProtection=False)
        cloudformation.delete_stack(StackName=name)
        cloudformation.get_waiter("stack_delete_complete").wait(StackName=name)

    def _absent_is_fine(self, action: Callable[..., None], *arguments: Any) -> None:
        try:
            action(*arguments)
        except ClientError as error:
            if error.response["Error"]["Code"] not in _ABSENT:
                raise

    def _empty(self, bucket: str) -> None:
        s3 = self._client("s3")
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
            found = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
            objects = [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in found]
            if objects:
                s3.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})

    def _delete_bucket(self, name: str) -> None:
        self._empty(name)
        self._client("s3").delete_bucket(Bucket=name)

    def _delete_table(self, name: str) -> None:
        dynamodb = self._client("dynamodb")
        dynamodb.update_table(TableName=name, DeletionProtectionEnabled=False)
        dynamodb.delete_table(TableName=name)

    def _delete_pool(self, pool: str) -> None:
        cognito = self._client("cognito-idp")
        cognito.update_user_pool(UserPoolId=pool, DeletionProtection="INACTIVE")
        cognito.delete_user_pool(UserPoolId=pool)

    def _delete_key(self, key: str) -> None:
        self._client("kms").schedule_key_deletion(KeyId=key, PendingWindowInDays=KEY_DELETION_DAYS)

    def _delete_log(self, name: str) -> None:
        self._client("logs").delete_log_group(logGroupName=name)


_DELETE: dict[str, Callable[[Teardown, str], None]] = {
    "AWS::DynamoDB::Table": Teardown._delete_table,
    "AWS::S3::Bucket": Teardown._delete_bucket,
    "AWS::Cognito::UserPool": Teardown._delete_pool,
    "AWS::KMS::Key": Teardown._delete_key,
    "AWS::Logs::LogGroup": Teardown._delete_log,
}
"""What stays when a stack is deleted, and how each is deleted."""
_ARN_KINDS = {
    ("dynamodb", "table/"): "AWS::DynamoDB::Table",
    ("s3", ""): "AWS::S3::Bucket",
    ("cognito-idp", "userpool/"): "AWS::Cognito::UserPool",
    ("kms", "key/"): "AWS::KMS::Key",
    ("logs", "log-group:"): "AWS::Logs::LogGroup",
}


def _of_arn(arn: str) -> KeptResource | None:
    """Return the resource of an ARN; None if it is of a kind that goes with its stack."""
    _, _, service, _, _, rest = arn.split(":", 5)
    for (wanted, prefix), kind in _ARN_KINDS.items():
        if service == wanted and rest.startswith(prefix):
            return KeptResource(kind, rest.removeprefix(prefix).removesuffix(":*"))
    return None


def main(given: Sequence[str] | None = None, make_session: Callable[..., Any] = boto3.Session) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m infra.teardown",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("stage")
    parser.add_argument("--delete", metavar="STAGE", help="the stage's name once more: delete everything")
    arguments = parser.parse_args(given)
    if arguments.delete and arguments.delete != arguments.stage:
        parser.error(f"--delete {arguments.delete} is not {arguments.stage}: nothing was deleted")
    teardown = Teardown(make_session(region_name=os.environ.get("AWS_REGION")), arguments.stage)
    try:
        if arguments.delete:
            for line in teardown.run():
                print(f"deleted  {line}", flush=True)
            return 0
        _list(teardown, arguments.stage)
    except (BotoCoreError, ClientError, WaiterError) as error:
        print(f"teardown: {error}\nRun it again once that is solved: it goes on from there.", file=sys.stderr)
        return 1
    return 0


def _list(teardown: Teardown, stage: str) -> None:
    things, jobs = map("agent {}".format, teardown.things()), map("job {}".format, teardown.jobs())
    stacks, resources = map("stack {}".format, teardown.stacks()), map(str, sorted(teardown.resources()))
    lines = [*things, *jobs, *stacks, *resources]
    if not lines:
        print(f"Nothing of stage {stage} is in this account and region.")
        return
    for line in lines:
        print(line)
    print(f"To delete all of it, with its data: python -m infra.teardown {stage} --delete {stage}")


if __name__ == "__main__":
    sys.exit(main())
