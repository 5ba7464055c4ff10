"""Check existing buckets before transfers use them, and turn on EventBridge notifications for uploads.

python -m infra.buckets check NAME…     reads only
python -m infra.buckets enable NAME…    adds EventBridge to the bucket's notifications
python -m infra.buckets policy NAME…    prints what the owner of a bucket in another account has to allow

With --stage, what the stage's file says of each bucket counts; without names, all of its buckets are meant.
It needs the account's credentials in the environment, and the region that the stage is deployed to.
Exits with 0 if every bucket is ready, 1 if `enable` would make it ready, 2 if AWS could not be queried, and 3
if a bucket cannot be used.
"""

import argparse
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from botocore.serialize import create_serializer

from events import forms
from infra.bucket_rights import owners_policies
from infra.publish import stage_outputs
from infra.settings import BucketSettings
from infra.settings import read as read_settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

EVENTBRIDGE = "EventBridgeConfiguration"
MAX_ATTEMPTS = 5
"""Attempts to add EventBridge while something else changes the notifications."""
RETRY_DELAYS_S = (0, 1, 2, 4, 8, 16)
"""Seconds between reads after a change: S3 may return the old notifications for a while."""
_KINDS = {
    "LambdaFunctionConfigurations": "Lambda",
    "QueueConfigurations": "SQS",
    "TopicConfigurations": "SNS",
}
_DENIED = {"AccessDenied", "AllAccessDisabled", "403"}
_MISSING = {"NoSuchBucket", "404"}
_ABORT = "AbortIncompleteMultipartUpload"
_DEFAULT_ENCRYPTION = "ApplyServerSideEncryptionByDefault"

_FORWARD = (
    "templates start on its uploads only if a rule there forwards its events to the stage's account and "
    "region."
)
_OWNERS_POLICY = "What its owner has to allow: python -m infra.buckets policy."

Configuration = Mapping[str, Any]


class BucketExit(IntEnum):
    READY = 0
    NOT_READY = 1
    QUERY_FAILED = 2
    NOT_USABLE = 3


class BucketError(Exception):
    """A bucket cannot be used; with the advice on what to do."""

    def __init__(self, why: str, advice: str) -> None:
        super().__init__(why)
        self.why, self.advice = why, advice


class HiddenError(BucketError):
    """A bucket in another account, as its stage expects; nothing but its region can be read from here."""

    def __init__(self, region: str) -> None:
        super().__init__("its account lets nothing be read from here", "")
        self.region = region


class DeniedError(BucketError):
    def __init__(self, right: str) -> None:
        super().__init__(f"these credentials lack the right {right}", f"Grant {right} on the bucket.")


@dataclass(frozen=True)
class BucketReport:
    """The findings about one bucket."""

    name: str
    facts: tuple[tuple[str, str], ...] = ()
    """Labels and values, in the order in which they were read."""
    notes: tuple[str, ...] = ()
    """Remarks that do not prevent use."""
    obstacles: tuple[BucketError, ...] = ()
    """Problems that prevent use."""
    ready: bool = False
    """Whether EventBridge notifications are on."""
    outcome: str = ""
    """What `enable` did, as text."""

    @property
    def exit(self) -> BucketExit:
        if self.obstacles:
            return BucketExit.NOT_USABLE
        return BucketExit.READY if self.ready else BucketExit.NOT_READY

    def lines(self) -> Iterator[str]:
        yield self.name
        width = max((len(label) for label, _ in self.facts), default=0)
        for label, fact in self.facts:
            yield f"  {label:{width}}  {fact}"
        for note in self.notes:
            yield f"  Note: {note}"
        for obstacle in self.obstacles:
            yield f"  Not usable: {obstacle.why}."
            yield f"    {obstacle.advice}"
        if self.outcome:
            yield f"  {self.outcome}"
        elif self.ready and not self.obstacles:
            yield "  Ready: templates start on its uploads."
        elif not self.obstacles:
            yield "  Not ready: templates do not start on its uploads. Turn EventBridge on:"
            yield f"    python -m infra.buckets enable {self.name}"


class ExistingBucket:
    """One bucket; calls name the expected owner, so that other accounts' are refused."""

    def __init__(self, s3: "S3Client", expected: BucketSettings, account: str) -> None:
        """Take what the stage's file says of the bucket, and the stage's own account."""
        self.name, self.expected = expected.name, expected
        self.owner = expected.account or account
        self._s3 = s3
        self._who: Any = {"Bucket": self.name, "ExpectedBucketOwner": self.owner}
        self._account = account

    @property
    def foreign(self) -> bool:
        return self.owner != self._account

    def region(self) -> str:
        """Return the bucket's region.

        Raises:
            BucketError: The bucket does not exist, or belongs to another account than expected.
            HiddenError: It belongs to another account, as expected, which shows nothing of it.
        """
        try:
            answer = self._s3.head_bucket(**self._who)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in _MISSING:
                raise BucketError("there is no bucket of this name", "Check the spelling.") from None
            if code in _DENIED and self.foreign:
                headers = error.response["ResponseMetadata"].get("HTTPHeaders", {})
                raise HiddenError(headers.get("x-amz-bucket-region", "")) from None
            if code in _DENIED:
                raise self._not_shown() from None
            raise _refused(error) from error
        return answer.get("BucketRegion") or str(
            answer["ResponseMetadata"]["HTTPHeaders"].get("x-amz-bucket-region", "us-east-1")
        )

    def _not_shown(self) -> BucketError:
        """Explain a 403: the account's bucket list tells a foreign bucket from a missing right."""
        theirs = f"it belongs to another account than {self._account}"
        advice = (
            'Write account = "…" for it in the stage\'s file, and let its owner allow what '
            "`python -m infra.buckets policy` prints."
        )
        try:
            listed = self._s3.list_buckets(Prefix=self.name).get("Buckets", [])
        except ClientError:
            missing = "these credentials lack the right s3:ListBucket"
            return BucketError(f"{theirs}, or {missing}", f"{advice} Or grant s3:ListBucket on it.")
        if any(one.get("Name") == self.name for one in listed):
            return DeniedError("s3:ListBucket")
        return BucketError(theirs, advice)

    def encryption(self) -> tuple[str, str | None]:
        """Return the algorithm of new objects (`AES256`, `aws:kms`) and the key, if one is named."""
        found = self._call(
            self._s3.get_bucket_encryption,
            "s3:GetEncryptionConfiguration",
            "ServerSideEncryptionConfigurationNotFoundError",
        )
        rules = found.get("ServerSideEncryptionConfiguration", {}).get("Rules", [])
        default: Mapping[str, Any] = next(
            (one[_DEFAULT_ENCRYPTION] for one in rules if _DEFAULT_ENCRYPTION in one), {}
        )
        return str(default.get("SSEAlgorithm", "AES256")), default.get("KMSMasterKeyID")

    def versioning(self) -> str:
        """Return `Enabled`, `Suspended`, or '' if versioning was never enabled."""
        found = self._call(self._s3.get_bucket_versioning, "s3:GetBucketVersioning")
        return str(found.get("Status", ""))

    def ownership(self) -> str:
        """Return who owns new objects: `BucketOwnerEnforced`, `BucketOwnerPreferred` or `ObjectWriter`."""
        found = self._call(
            self._s3.get_bucket_ownership_controls,
            "s3:GetBucketOwnershipControls",
            "OwnershipControlsNotFoundError",
        )
        rules = found.get("OwnershipControls", {}).get("Rules", [])
        return str(next((one["ObjectOwnership"] for one in rules), "ObjectWriter"))

    def days_of_unfinished_uploads(self) -> int | None:
        """Return after how many days S3 aborts any unfinished upload; None if it does not."""
        found = self._call(
            self._s3.get_bucket_lifecycle_configuration,
            "s3:GetLifecycleConfiguration",
            "NoSuchLifecycleConfiguration",
        )
        rules = [rule for rule in found.get("Rules", []) if rule.get("Status") == "Enabled"]
        days = [rule.get(_ABORT, {}).get("DaysAfterInitiation") for rule in rules if _is_for_all(rule)]
        return min(filter(None, days), default=None)

    def notifications(self) -> Configuration:
        """Return the whole notification configuration.

        Raises:
            BucketError: It has something that this version of boto3 does not know, which would be lost when
                the configuration is written back.
        """
        bodies: list[bytes] = []

        def keep(response_dict: Mapping[str, Any], **_: Any) -> None:
            bodies.append(response_dict["body"])

        event = "before-parse.s3.GetBucketNotificationConfiguration"
        self._s3.meta.events.register(event, keep)
        try:
            found = self._call(self._s3.get_bucket_notification_configuration, "s3:GetBucketNotification")
        finally:
            self._s3.meta.events.unregister(event, keep)
        known = {name: value for name, value in found.items() if name != "ResponseMetadata"}
        if _tree(bodies[-1]) != self.tree(known):
            raise BucketError(
                "its notification configuration has something that this version of boto3 does not know, "
                "and would lose",
                "Update boto3 (infra/local/setup.sh env), or switch EventBridge on in the S3 console.",
            )
        return known

    def write_notifications(self, configuration: Configuration) -> None:
        """Replace the whole notification configuration.

        Destinations are not validated, so one that S3 accepted before stays even if it no longer works.
        """
        self._call(
            self._s3.put_bucket_notification_configuration,
            "s3:PutBucketNotification",
            NotificationConfiguration=configuration,
            SkipDestinationValidation=True,
        )

    def tree(self, configuration: Configuration) -> Any:
        """Return a configuration in a form that compares equal whatever the order of its parts."""
        model = self._s3.meta.service_model.operation_model("PutBucketNotificationConfiguration")
        request = {"Bucket": self.name, "NotificationConfiguration": configuration}
        return _tree(create_serializer("rest-xml").serialize_to_request(request, model)["body"])

    def _call(self, call: Callable[..., Any], right: str, absent: str = "", **more: Any) -> Configuration:
        """Return S3's answer, or an empty one for the error code `absent`.

        Raises:
            DeniedError: `right` is missing.
            BucketError: S3 refused for another reason.
        """
        try:
            answer: Configuration = call(**self._who, **more)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == absent:
                return {}
            if code in _DENIED:
                raise DeniedError(right) from None
            raise _refused(error) from error
        return answer


def _is_for_all(rule: Mapping[str, Any]) -> bool:
    """Return whether a rule of a life cycle concerns every key of the bucket."""
    condition: Mapping[str, Any] = rule.get("Filter", {})
    return not rule.get("Prefix") and not any(condition.values())


def _refused(error: ClientError) -> BucketError:
    details = error.response["Error"]
    return BucketError(
        f"S3 refused {error.operation_name}: {details.get('Message', '')} ({details['Code']})",
        "Try again, and look into S3's own console if it stays so.",
    )


def _tree(xml: bytes) -> Any:
    """Return the document's elements in a canonical order, without the name of the root element."""

    def sorted_tree(element: ElementTree.Element) -> Any:
        name = element.tag.rpartition("}")[2]
        return name, (element.text or "").strip(), sorted(map(sorted_tree, element))

    return sorted(map(sorted_tree, ElementTree.fromstring(xml)))  # noqa: S314  # from S3 over TLS


def inspect(bucket: ExistingBucket, region: str) -> BucketReport:
    """Return whether transfers of a stage in this region can use the bucket; read only."""
    inspection = _Inspection(bucket)
    try:
        where = bucket.region()
    except HiddenError as hidden:
        inspection.hidden(hidden, region)
        return inspection.report()
    except BucketError as obstacle:
        return BucketReport(bucket.name, obstacles=(obstacle,))
    inspection.fact("region", lambda: inspection.region(where, region))
    inspection.fact("owner", inspection.owner)
    inspection.fact("encryption", inspection.encryption)
    inspection.fact("versioning", inspection.versioning)
    inspection.fact("ownership", inspection.ownership)
    inspection.fact("unfinished", inspection.unfinished_uploads)
    inspection.notifications()
    return inspection.report()


class _Inspection:
    """Collects the findings about one bucket."""

    def __init__(self, bucket: ExistingBucket) -> None:
        self._bucket = bucket
        self._facts: list[tuple[str, str]] = []
        self._notes: list[str] = []
        self._obstacles: list[BucketError] = []
        self._ready = False

    def report(self) -> BucketReport:
        parts = tuple(self._facts), tuple(self._notes), tuple(self._obstacles)
        return BucketReport(self._bucket.name, *parts, self._ready)

    def fact(self, label: str, read: Callable[[], str]) -> None:
        """Add a fact; one that may not be read is unknown and does not prevent use."""
        try:
            self._facts.append((label, read()))
        except BucketError as error:
            self._facts.append((label, f"unknown: {error.why}"))

    def hidden(self, hidden: HiddenError, stage_region: str) -> None:
        """Record what is known of a bucket that another account hides."""
        expected = self._bucket.expected.region or stage_region
        self._facts.append(("region", self.region(hidden.region or expected, stage_region)))
        self._facts.append(("owner", self.owner()))
        self._notes.append(f"Nothing else of it can be read: {hidden.why}. {_OWNERS_POLICY}")

    def owner(self) -> str:
        if self._bucket.foreign:
            return f"{self._bucket.owner} (another account)"
        return f"{self._bucket.owner} (this account)"

    def region(self, where: str, stage_region: str) -> str:
        """Compare the bucket's region with the expected one, and return it."""
        expected = self._bucket.expected.region or stage_region
        if where != expected:
            told = (
                f"its stage expects it in {expected}"
                if expected != stage_region
                else f"the stage in {expected}"
            )
            self._obstacles.append(
                BucketError(
                    f"it is in {where}, and {told}",
                    f'Write region = "{where}" for it in the stage\'s file; {_FORWARD} '
                    f"Or deploy a stage in {where}.",
                )
            )
        if where == expected != stage_region or self._bucket.foreign:
            self._notes.append(f"It is not in the stage's region and account: {_FORWARD}")
        return where

    def encryption(self) -> str:
        """Compare the bucket's key with the expected one, and return how its new objects are encrypted."""
        algorithm, key = self._bucket.encryption()
        expected = self._bucket.expected.key
        kind = {"AES256": "SSE-S3", "aws:kms": "SSE-KMS", "aws:kms:dsse": "DSSE-KMS"}.get(
            algorithm, algorithm
        )
        if algorithm == "AES256":
            if expected:
                self._notes.append(
                    f"New objects are not encrypted with {expected}; older ones may be, and can be read."
                )
            return kind
        if key is None or key.endswith("alias/aws/s3"):
            self._managed_key()
            return f"{kind} with aws/s3"
        if expected is None or (key.startswith("arn:") and ":key/" in key and key != expected):
            wanted = key if ":key/" in key else f"… (what aws kms describe-key --key-id {key} shows as Arn)"
            self._obstacles.append(
                BucketError(
                    f"new objects are encrypted with the KMS key {key}, which transfers have no right to use",
                    f'Write key = "{wanted}" for it in the stage\'s file.',
                )
            )
        elif not expected.endswith(key):
            self._notes.append(f"Its key is named by an alias, {key}: make sure that it is {expected}.")
        return f"{kind} with {key}"

    def _managed_key(self) -> None:
        if self._bucket.foreign:
            self._obstacles.append(
                BucketError(
                    "new objects are encrypted with its account's own KMS key for S3, which no other account "
                    "can use",
                    "Its owner can change the default encryption to SSE-S3, or to a key of their own.",
                )
            )
        else:
            self._notes.append("Encrypted with the account's own KMS key for S3. Try one object first.")

    def versioning(self) -> str:
        return {"Enabled": "on", "Suspended": "suspended"}.get(self._bucket.versioning(), "off")

    def ownership(self) -> str:
        ownership = self._bucket.ownership()
        if ownership == "BucketOwnerEnforced":
            return "all objects belong to the bucket's owner (BucketOwnerEnforced)"
        self._notes.append(
            "What another account uploads may be unreadable to transfers. "
            "Object Ownership BucketOwnerEnforced avoids it."
        )
        return f"objects may belong to the account that uploads them ({ownership})"

    def unfinished_uploads(self) -> str:
        days = self._bucket.days_of_unfinished_uploads()
        if days is not None:
            return f"uploads are aborted after {days} days"
        self._notes.append(
            "Uploads that a removed agent had begun stay, and are paid for. "
            f"Add a life cycle rule for the whole bucket: {_ABORT} after 7 days."
        )
        return "uploads stay until they are aborted"

    def notifications(self) -> None:
        try:
            found = self._bucket.notifications()
        except BucketError as obstacle:
            self._obstacles.append(obstacle)
            return
        self._ready = EVENTBRIDGE in found
        self._facts.append(("EventBridge", "on" if self._ready else "off"))
        self._facts.append(("other events", _others(found) or "none"))


def _others(found: Configuration) -> str:
    """Count the other notifications, as in `2 to Lambda, 1 to SQS`."""
    counts = [(len(found.get(part, [])), kind) for part, kind in _KINDS.items()]
    return ", ".join(f"{count} to {kind}" for count, kind in counts if count)


def enable(bucket: ExistingBucket, wait: Callable[[float], None] = time.sleep) -> str:
    """Add EventBridge to the bucket's notifications; return what was done.

    S3 has no conditional write, and a write replaces everything. So the configuration is read twice before it
    is written, and again until S3 shows it. Changes by others in between are kept and reported.

    Raises:
        BucketError: EventBridge could not be added.
    """
    changed = False
    for _ in range(MAX_ATTEMPTS):
        before = bucket.notifications()
        if EVENTBRIDGE in before:
            return _outcome(before, changed=changed)
        if bucket.tree(bucket.notifications()) != bucket.tree(before):
            changed = True
            continue
        wanted = {**before, EVENTBRIDGE: {}}
        bucket.write_notifications(wanted)
        if bucket.tree(_shown(bucket, before, wait)) == bucket.tree(wanted):
            return _outcome(before, changed=changed)
        changed = True
    raise BucketError(
        "something else keeps changing its notifications",
        "Find out what does (CloudTrail: PutBucketNotification), let it add EventBridge, and run check.",
    )


def _shown(bucket: ExistingBucket, before: Configuration, wait: Callable[[float], None]) -> Configuration:
    """Return the notifications as soon as they differ from `before`."""
    old = bucket.tree(before)
    for delay in RETRY_DELAYS_S:
        wait(delay)
        found = bucket.notifications()
        if bucket.tree(found) != old:
            return found
    raise BucketError(
        "EventBridge was added to its notifications, but S3 does not show it yet",
        f"Run python -m infra.buckets check {bucket.name} in some minutes.",
    )


def _outcome(before: Configuration, *, changed: bool) -> str:
    others = _others(before)
    kept = f" Other events stay as they are: {others}." if others else ""
    result = "EventBridge was on already." if EVENTBRIDGE in before and not changed else "EventBridge is on."
    race = (
        " Something else changed the notifications at the same time: compare them with what you expect."
        if changed
        else ""
    )
    return result + kept + race


def _enabled(bucket: ExistingBucket, region: str, wait: Callable[[float], None]) -> BucketReport:
    report = inspect(bucket, region)
    if report.obstacles:
        return replace(report, outcome="Nothing was changed.")
    try:
        outcome = enable(bucket, wait)
    except DeniedError as obstacle:
        return replace(report, obstacles=(obstacle,), outcome="Nothing was changed.")
    except BucketError as error:
        return replace(report, ready=False, outcome=f"Failed: {error.why}. {error.advice}")
    return replace(inspect(bucket, region), outcome=outcome)


def _names(given: Iterable[str]) -> Iterator[str]:
    for name in dict.fromkeys(given):
        bare = name.removeprefix("s3://").rstrip("/")
        if not re.fullmatch(forms.BUCKET, bare) or bare.endswith("--x-s3"):
            raise ValueError(f"{name!r} is not the name of a general purpose bucket, as in my-media")
        yield bare


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    description, _, ending = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        prog="python -m infra.buckets",
        description=description,
        epilog=ending,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("verb", choices=("check", "enable", "policy"))
    parser.add_argument("names", metavar="NAME", nargs="*", help="a bucket's name")
    parser.add_argument("--stage", help="the stage whose file says what is expected of its buckets")
    parser.add_argument("--region", help="the stage's region; else that of the environment")
    found = parser.parse_intermixed_args(given)
    if not found.stage and (found.verb == "policy" or not found.names):
        parser.error("add --stage NAME, or name buckets to check or enable")
    try:
        found.buckets = _expected(list(_names(found.names)), found.stage)
    except ValueError as error:
        parser.error(str(error))
    return found


def _expected(names: list[str], stage: str | None) -> list[BucketSettings]:
    """Return what is expected of the buckets; without names, of all of the stage's.

    Raises:
        ValueError: The stage does not have one of them.
    """
    if stage is None:
        return [BucketSettings.model_construct(name=name) for name in dict.fromkeys(names)]
    known = {bucket.name: bucket for bucket in read_settings(stage, {}).buckets}
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"stages/{stage}.toml has no bucket {', '.join(unknown)}")
    return [known[name] for name in dict.fromkeys(names or known)]


def main(given: Sequence[str] | None = None, wait: Callable[[float], None] = time.sleep) -> int:
    arguments = _arguments(given)
    # CDK reads AWS_REGION; boto3 does not.
    session = boto3.Session(region_name=arguments.region or os.environ.get("AWS_REGION"))
    region = session.region_name
    if region is None:
        print("No region: set AWS_REGION, or add --region, as in --region eu-central-1.", file=sys.stderr)
        return BucketExit.QUERY_FAILED
    worst = BucketExit.READY
    try:
        account = session.client("sts").get_caller_identity()["Account"]
        if arguments.verb == "policy":
            return _print_policies(session, arguments.stage, arguments.buckets)
        s3 = session.client("s3")
        for number, expected in enumerate(arguments.buckets):
            bucket = ExistingBucket(s3, expected, account)
            report = inspect(bucket, region) if arguments.verb == "check" else _enabled(bucket, region, wait)
            print("\n".join(["", *report.lines()] if number else report.lines()), flush=True)
            worst = max(worst, report.exit)
    except (BotoCoreError, ClientError) as error:
        print(f"AWS could not be queried: {error}", file=sys.stderr)
        return BucketExit.QUERY_FAILED
    return worst


def _print_policies(session: boto3.Session, stage: str, expected: Iterable[BucketSettings]) -> int:
    outputs = stage_outputs(session.client("cloudformation"), stage)
    for bucket in expected:
        if bucket.account is None:
            print(f"{bucket.name} is in the stage's own account: its roles' rights are enough.")
            continue
        for heading, statements in owners_policies(bucket, outputs["ObjectRole"], outputs["ApiRole"]):
            print(f"{heading}, in account {bucket.account}:\n{statements}\n")
    return BucketExit.READY


if __name__ == "__main__":
    sys.exit(main())
