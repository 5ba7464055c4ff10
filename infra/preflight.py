"""Check an AWS account before a stage is deployed to it; only read.

python -m infra.preflight STAGE [--agents 100] [--region REGION]

It needs the account's credentials in the environment. Exits with 0 if nothing stands in the way, 1 if
something does, and 2 if AWS could not be queried. Each `cdk deploy` checks again what would fail or delete.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from events.reports import HEARTBEAT_S
from events.topics import Topics
from infra import deployed, monthly_estimate
from infra.buckets import DeniedError, ExistingBucket, inspect
from infra.deployed import UNREAD
from infra.plans import MIN_CONCURRENCY
from infra.settings import DomainSettings, StageError, StageSettings, read
from infra.stack_tables import deployed_tables
from lambdas.store import TABLES

if TYPE_CHECKING:
    from infra.stage import Stage

BOOTSTRAP = "/cdk-bootstrap/hnb659fds/version"
"""SSM parameter that `cdk bootstrap` writes."""
MIN_BOOTSTRAP = 6
"""Oldest bootstrap that CDK's default synthesizer deploys with."""
_DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "NotAuthorized", "403"}
_HALF_CREATED = {
    "ROLLBACK_COMPLETE",
    "ROLLBACK_FAILED",
    "CREATE_FAILED",
    "DELETE_FAILED",
    "REVIEW_IN_PROGRESS",
}

Verdict = Literal["ok", "note", "fail"]


def check_stage(stage: "Stage", context: Mapping[str, Any]) -> Iterator[str]:
    """Yield what this deployment would change, as text; does nothing where there are no credentials.

    Raises:
        StageError: The deployment would fail, or delete something that `-c accept=` does not name.
    """
    accepted = deployed.accepted_losses(context)
    session = boto3.Session(region_name=stage.environment.region)
    if session.get_credentials() is None or session.region_name is None:
        yield f"No credentials: the settings of {stage.name} are not compared with its last deployment."
        return
    _require_account(session, stage.environment.account)
    yield from _compared(session, stage, accepted)
    yield from check_buckets(session, stage.settings)
    yield from check_concurrency(session, stage.settings)
    yield from check_indexes(session, stage.name)


def _require_account(session: boto3.Session, expected: str | None) -> None:
    """Raise StageError if this program has another account's credentials than CDK.

    `cdk --profile` is not passed on to it: it would compare with another account's deployment.
    """
    try:
        account = session.client("sts").get_caller_identity()["Account"]
    except (BotoCoreError, ClientError) as error:
        raise StageError(f"AWS does not accept the credentials in the environment: {error}") from error
    if expected and account != expected:
        raise StageError(
            f"CDK deploys to account {expected}, and the environment has credentials of {account}: "
            "set AWS_PROFILE instead of --profile"
        )


def _compared(session: boto3.Session, stage: "Stage", accepted: frozenset[str]) -> Iterator[str]:
    if UNREAD in accepted:
        return
    before = deployed.read_settings(session.client("ssm"), stage.name)
    if before is None:
        yield f"First deployment of {stage.name}."
        return
    lines = deployed.check(before, stage.settings, accepted)
    yield f"Settings of {stage.name} that change:" if lines else f"Settings of {stage.name}: unchanged."
    yield from lines


def check_buckets(session: boto3.Session, settings: StageSettings) -> Iterator[str]:
    """Yield what could not be checked about existing buckets, as text.

    Raises:
        StageError: Transfers cannot use one of them.
    """
    if not settings.buckets:
        return
    account = session.client("sts").get_caller_identity()["Account"]
    s3, stops = session.client("s3"), []
    for expected in settings.buckets:
        report = inspect(ExistingBucket(s3, expected, account), str(session.region_name))
        yield from (f"Bucket {report.name}: {note}" for note in report.notes)
        for obstacle in report.obstacles:
            if isinstance(obstacle, DeniedError):
                yield f"Bucket {report.name} is not checked: {obstacle.why}."
            else:
                stops.append(f"  {report.name}: {obstacle.why}.\n    {obstacle.advice}")
    if stops:
        raise StageError("\n".join(["Transfers could not use these buckets:", *stops]))


def check_concurrency(session: boto3.Session, settings: StageSettings) -> Iterator[str]:
    """Yield why the quota of concurrent executions could not be compared, as text.

    Raises:
        StageError: The account's quota is below the setting, so that Lambda would refuse what is reserved.
    """
    if settings.concurrency is None:
        return
    try:
        quota = _concurrency(session)
    except ClientError as error:
        if error.response["Error"]["Code"] not in _DENIED:
            raise
        yield "Lambda's quota is not checked: these credentials lack the right lambda:GetAccountSettings."
        return
    if quota < settings.concurrency:
        raise StageError(
            f"concurrency is {settings.concurrency:,}, and the account's quota of concurrent executions is "
            f"{quota:,}: Lambda would refuse to reserve. {_QUOTA_ADVICE}"
        )


def check_indexes(session: boto3.Session, stage: str) -> Iterator[str]:
    """Check that no table would get, or lose, more than one index: DynamoDB does one at a time.

    CloudFormation would fail in the middle of the update and roll back. Yields what was not checked.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-dynamodb-table.html

    Raises:
        StageError: A table would.
    """
    try:
        tables = [(setting, _described(session, name)) for setting, name in deployed_tables(session, stage)]
    except ClientError as error:
        if error.response["Error"]["Code"] not in _DENIED:
            raise
        yield (
            "The tables' indexes are not checked: these credentials lack the right "
            "cloudformation:ListStackResources or dynamodb:DescribeTable."
        )
        return
    stops = []
    for setting, table in tables:
        if table is None:
            continue
        there = {index["IndexName"] for index in table.get("GlobalSecondaryIndexes", [])}
        schema = TABLES[setting]._get_schema()  # how pynamodb itself gets the indexes of a row class
        wanted = {index["index_name"] for index in schema["global_secondary_indexes"]}
        if len(there ^ wanted) > 1:
            stops.append(f"  {setting}: {', '.join(sorted(there ^ wanted))}")
    if stops:
        raise StageError(
            "DynamoDB adds or removes one index of a table at a time, and this version differs from the "
            "deployed one by more:\n"
            + "\n".join(stops)
            + "\nDeploy the versions in between first, one after the other."
        )


def _described(session: boto3.Session, name: str) -> dict[str, Any] | None:
    """Return a table's description; None if a creation that failed has left only its name."""
    client = session.client("dynamodb")
    try:
        table: Any = client.describe_table(TableName=name)["Table"]
    except client.exceptions.ResourceNotFoundException:
        return None
    return dict(table)


_QUOTA_ADVICE = (
    f"Raise it in Service Quotas (Lambda, Concurrent executions) to {MIN_CONCURRENCY} or more, or leave "
    "concurrency out."
)


def _concurrency(session: boto3.Session) -> int:
    limits = session.client("lambda").get_account_settings()["AccountLimit"]
    return int(limits.get("ConcurrentExecutions", 0))


@dataclass(frozen=True)
class Finding:
    """The outcome of one check."""

    verdict: Verdict
    subject: str
    text: str

    def __str__(self) -> str:
        return f"{self.verdict:4}  {self.subject:12}  {self.text}"


class Preflight:
    """The checks of one stage's account and region."""

    def __init__(self, session: boto3.Session, name: str, settings: StageSettings, agents: int) -> None:
        self._session = session
        self._name = name
        self._settings = settings
        self._agents = agents
        self._region = str(session.region_name)

    def findings(self) -> Iterator[Finding]:
        """Yield the outcome of each check, one after the other."""
        account = self._session.client("sts").get_caller_identity()
        yield Finding("ok", "credentials", f"account {account['Account']}, as {account['Arn']}")
        yield Finding("ok", "region", self._region)
        for subject, check in self._checks.items():
            try:
                yield from check()
            except StageError as error:
                yield Finding("fail", subject, str(error).replace("\n", "\n" + " " * 20))
            except ClientError as error:
                code = error.response["Error"]["Code"]
                if code not in _DENIED:
                    raise
                yield Finding("note", subject, f"not checked: {error.operation_name} is denied ({code})")

    @property
    def _checks(self) -> dict[str, Callable[[], Iterator[Finding]]]:
        return {
            "bootstrap": self._bootstrap,
            "stacks": self._stacks,
            "settings": self._changes,
            "indexes": self._indexes,
            "Lambda": self._lambda_quota,
            "IoT Core": self._iot_quota,
            "KMS": self._kms_quota,
            "buckets": self._buckets,
            "access log": self._access_log,
            "certificates": self._certificates,
            "estimate": self._estimate,
        }

    def _bootstrap(self) -> Iterator[Finding]:
        ssm = self._session.client("ssm")
        advice = f"run cdk bootstrap -c stage={self._name}"
        try:
            version = int(str(ssm.get_parameter(Name=BOOTSTRAP)["Parameter"].get("Value")))
        except ssm.exceptions.ParameterNotFound:
            yield Finding("fail", "bootstrap", f"account and region are not bootstrapped for CDK: {advice}")
            return
        if version < MIN_BOOTSTRAP:
            yield Finding("fail", "bootstrap", f"version {version}, {MIN_BOOTSTRAP} is needed: {advice}")
        else:
            yield Finding("ok", "bootstrap", f"version {version}")

    def _stacks(self) -> Iterator[Finding]:
        """Find half-created stacks, and names that something else has taken."""
        statuses = {name: self._stack_status(name) for name in self._stack_names}
        teardown = f"python -m infra.teardown {self._name}"
        for name, status in statuses.items():
            if status in _HALF_CREATED:
                yield Finding(
                    "fail", "stacks", f"{name} is {status}: look at its events, then remove it: {teardown}"
                )
        control = self._stack_names[1]
        if statuses[control] is not None:
            yield Finding("ok", "stacks", f"{control} exists ({statuses[control]}): this is an update")
            return
        if taken := sorted(self._names_taken()):
            yield Finding(
                "fail", "names", f"taken, and by no stack of this stage: {', '.join(taken)}. Try {teardown}"
            )
        else:
            yield Finding("ok", "names", "free: this is the first deployment")

    @property
    def _stack_names(self) -> tuple[str, str]:
        return f"Crosshaul-{self._name}-State", f"Crosshaul-{self._name}"

    def _stack_status(self, name: str) -> str | None:
        try:
            found = self._session.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
        except ClientError as error:
            if error.response["Error"]["Code"] == "ValidationError":  # there is none
                return None
            raise
        return found[0]["StackStatus"]

    def _names_taken(self) -> Iterator[str]:
        """Yield the names of this stage that exist. CloudFormation chooses all others."""
        iot, topics = self._session.client("iot"), Topics(self._name)
        policy = f"crosshaul-{self._name}-device"
        if _exists(lambda: iot.get_policy(policyName=policy)):
            yield f"IoT policy {policy}"
        for rule in (topics.reports_rule, topics.presence_rule):
            if _exists(partial(iot.get_topic_rule, ruleName=rule)):
                yield f"IoT rule {rule}"
        bus = f"crosshaul-{self._name}"
        if _exists(lambda: self._session.client("events").describe_event_bus(Name=bus)):
            yield f"event bus {bus}"

    def _changes(self) -> Iterator[Finding]:
        before = deployed.read_settings(self._session.client("ssm"), self._name)
        if before is None:
            yield Finding("ok", "settings", "none deployed yet")
            return
        lines = deployed.check(before, self._settings, frozenset())
        yield Finding("ok", "settings", "; ".join(line.strip() for line in lines) or "unchanged")

    def _indexes(self) -> Iterator[Finding]:
        unchecked = list(check_indexes(self._session, self._name))
        yield Finding("ok", "indexes", "; ".join(unchecked) or "at most one index of a table changes")

    def _lambda_quota(self) -> Iterator[Finding]:
        list(check_concurrency(self._session, self._settings))
        quota, wanted = _concurrency(self._session), self._settings.concurrency
        if wanted is not None:
            yield Finding("ok", "Lambda", f"{quota:,} concurrent executions, concurrency = {wanted}")
        elif quota >= MIN_CONCURRENCY:
            advice = f"write concurrency = {quota}, so that the API and the minute's work keep some of them"
            yield Finding("note", "Lambda", f"{quota:,} concurrent executions: {advice}")
        else:
            yield Finding(
                "note", "Lambda", f"{quota:,} concurrent executions, too few to reserve any. {_QUOTA_ADVICE}"
            )

    def _iot_quota(self) -> Iterator[Finding]:
        """Assume that every agent is busy: an idle one sends a tenth of that."""
        yield self._rate(
            "IoT Core",
            "iotcore",
            "inbound publish requests per second per account",
            self._agents / HEARTBEAT_S,
        )

    def _kms_quota(self) -> Iterator[Finding]:
        yield self._rate(
            "KMS", "kms", "cryptographic operations (ecc) request rate", self._agents / HEARTBEAT_S
        )

    def _rate(self, subject: str, service: str, quota: str, needed: float) -> Finding:
        """Compare a quota in requests a second with what the agents need."""
        pages = self._session.client("service-quotas").get_paginator("list_service_quotas")
        try:
            quotas = [one for page in pages.paginate(ServiceCode=service) for one in page["Quotas"]]
        except ClientError as error:
            if error.response["Error"]["Code"] in _DENIED:
                raise
            quotas = []
        found = next((one for one in quotas if quota in str(one.get("QuotaName", "")).lower()), None)
        if found is None:
            return Finding("note", subject, f"Service Quotas does not show: {quota}")
        value = float(found["Value"])
        text = f"{value:,.0f}/s {quota}; {self._agents:,} agents need about {needed:,.0f}/s"
        return Finding("ok" if value >= 2 * needed else "fail", subject, text)

    def _buckets(self) -> Iterator[Finding]:
        notes = list(check_buckets(self._session, self._settings))
        yield from (Finding("note", "buckets", note) for note in notes)
        if not notes:
            count = len(self._settings.buckets)
            yield Finding("ok", "buckets", f"{count} as the file says" if count else "none configured")

    def _access_log(self) -> Iterator[Finding]:
        if not self._settings.access_log:
            return
        account: Any = self._session.client("apigateway").get_account()
        if account.get("cloudwatchRoleArn"):
            yield Finding("ok", "access log", "API Gateway has a role for it")
        else:
            yield Finding("fail", "access log", "API Gateway has no role for it: see accessLog in the guide")

    def _certificates(self) -> Iterator[Finding]:
        console = self._settings.console_domain
        for domain in (*self._settings.api_domains, *([console] if console else [])):
            yield self._certificate(domain)

    def _certificate(self, domain: DomainSettings) -> Finding:
        acm = self._session.client("acm", region_name=domain.certificate_region)
        try:
            found = acm.describe_certificate(CertificateArn=domain.certificate)["Certificate"]
        except acm.exceptions.ResourceNotFoundException:
            return Finding("fail", "certificates", f"{domain.name}: there is no {domain.certificate}")
        names = {found.get("DomainName"), *found.get("SubjectAlternativeNames", [])}
        if not {domain.name, f"*.{domain.name.partition('.')[2]}"} & names:
            return Finding("fail", "certificates", f"{domain.name}: its certificate does not have this name")
        if found.get("Status") != "ISSUED":
            return Finding("fail", "certificates", f"{domain.name}: its certificate is {found.get('Status')}")
        return Finding("ok", "certificates", domain.name)

    def _estimate(self) -> Iterator[Finding]:
        dollars = monthly_estimate.dollars(self._settings, self._agents)
        yield Finding("note", "estimate", f"{monthly_estimate.text(dollars, self._agents)}")


def _exists(ask: Callable[[], object]) -> bool:
    try:
        ask()
    except ClientError as error:
        code = error.response["Error"]["Code"]
        # IoT answers that a rule is not authorized if there is none.
        if code in {"ResourceNotFoundException", "UnauthorizedException"}:
            return False
        raise
    return True


def main(given: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m infra.preflight", description=__doc__)
    parser.add_argument("stage")
    parser.add_argument("--agents", type=int, default=100, help="for quotas and the estimate; 100 by default")
    parser.add_argument("--region", help="the stage's region; else that of the environment")
    arguments = parser.parse_args(given)
    try:
        settings = read(arguments.stage, {})
    except StageError as error:
        print(error, file=sys.stderr)
        return 1
    session = boto3.Session(region_name=arguments.region or os.environ.get("AWS_REGION"))
    if session.region_name is None:
        print("No region: set AWS_REGION, or add --region, as in --region eu-central-1.", file=sys.stderr)
        return 2
    failed = False
    try:
        for finding in Preflight(session, arguments.stage, settings, arguments.agents).findings():
            failed |= finding.verdict == "fail"
            print(finding, flush=True)
    except (BotoCoreError, ClientError) as error:
        print(f"AWS could not be queried: {error}", file=sys.stderr)
        return 2
    print("Not ready: see above." if failed else "Ready to deploy.")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
