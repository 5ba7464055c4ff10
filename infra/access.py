"""Turn each function's plan into IAM statements, as narrow as AWS allows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from events.topics import Topics
from infra.bucket_rights import BUCKET_ACTIONS, KEY_ACTIONS, OBJECT_ACTIONS, UPLOAD_ACTIONS, through_s3
from infra.fleet import iot_arn
from infra.plans import Plan
from infra.stage import Stage
from infra.state import State
from infra.suppressions import suppress_wildcards
from lambdas.store.transfer_rows import GATHERED

TABLE_ACTIONS = {
    "get": "dynamodb:GetItem",
    "query": "dynamodb:Query",
    "batch": "dynamodb:BatchGetItem",
    "put": "dynamodb:PutItem",
    "update": "dynamodb:UpdateItem",
    "delete": "dynamodb:DeleteItem",
    "batch-write": "dynamodb:BatchWriteItem",
}
"""DynamoDB actions by the plans' names for them. Scan is left out on purpose."""

PARTITIONS = {
    "put-records": ("dynamodb:PutItem", ("20??-??-??",)),
    "put-links": ("dynamodb:PutItem", ("chain#*", "agent#*")),
    "put-seals": ("dynamodb:PutItem", ("seal",)),
    "gather": ("dynamodb:BatchWriteItem", (f"{GATHERED}*",)),
}
"""Writes to some partitions of a table only, by the plans' names for them.

Who writes audit records writes no links and no seals but the function of each minute, and no records are
written by who chains them. Who gathers objects deletes nothing else of the table.
"""


@dataclass(frozen=True)
class Access:
    """The resources that functions may be granted access to."""

    stage: Stage
    state: State
    bus: events.EventBus
    buckets: tuple[str, ...]
    """ARNs of the buckets that transfers may read and write."""
    roles: tuple[iam.Role, ...]
    """The object and live roles, assumed by the function that issues their credentials."""
    retries: sqs.Queue
    """Delivers a message for each retry when it is due."""
    uploads: sqs.Queue
    """Delivers created objects, and what templates have gathered when it is due."""

    def grant(self, plan: Plan, function: lambda_.Function) -> None:
        """Add the statements of the plan to the function's role."""
        statements = [one for name, words in plan.tables.items() for one in self._table(name, words.split())]
        role = cast("iam.IRole", function.role)
        statements += self._commands(role) if plan.signs_commands else []
        statements += self._change_notices(role) if plan.notifies_consoles else []
        statements += self._agent_notices(role) if plan.tells_of_agents else []
        statements += [_allow(["sqs:SendMessage"], self.retries.queue_arn)] if plan.schedules_retries else []
        statements += [_allow(["sqs:SendMessage"], self.uploads.queue_arn)] if plan.gathers_objects else []
        statements += self._enrollment(role) if plan.enrolls else []
        statements += self._connections(role) if plan.cuts_connections else []
        statements += (
            [_allow(["kms:GetPublicKey"], *self.state.command_keys.arns)] if plan.reads_public_keys else []
        )
        statements += self._rotation(role) if plan.rotates else []
        statements += self._updates(role) if plan.updates else []
        statements += [_allow(["events:PutEvents"], self.bus.event_bus_arn)] if plan.publishes_events else []
        statements += (
            [_allow(["sts:AssumeRole"], *(role.role_arn for role in self.roles))]
            if plan.assumes_roles
            else []
        )
        statements += [_allow(list(BUCKET_ACTIONS), *self.buckets)] if plan.browses else []
        statements += self._manifests(role) if plan.keeps_manifests else []
        statements += (
            [_allow(list(_USER_ACTIONS), self.state.sign_in.pool.user_pool_arn)] if plan.reads_users else []
        )
        statements += self._archive(role) if plan.archives else []
        statements += [_allow(["kms:Sign"], self.state.audit_key.key_arn)] if plan.seals_audit else []
        statements += (
            [_allow(["kms:GetPublicKey"], self.state.audit_key.key_arn)] if plan.reads_seal_keys else []
        )
        for statement in statements:
            function.add_to_role_policy(statement)

    @property
    def _topics(self) -> Topics:
        return Topics(self.stage.name)

    def _table(self, name: str, words: list[str]) -> Iterator[iam.PolicyStatement]:
        """Yield the actions on the table; queries also get each of its indexes by name."""
        table = self.state.tables.by_setting[name].table_arn
        if actions := [TABLE_ACTIONS[word] for word in words if word in TABLE_ACTIONS]:
            yield _allow(actions, table)
        keys: dict[str, list[str]] = {}
        for action, some in (PARTITIONS[word] for word in words if word in PARTITIONS):
            keys.setdefault(action, []).extend(some)
        for action, partitions in keys.items():
            yield iam.PolicyStatement(
                actions=[action],
                resources=[table],
                conditions={"ForAllValues:StringLike": {"dynamodb:LeadingKeys": partitions}},
            )
        indexes = self.state.tables.index_arns(name)
        if "query" in words and indexes:
            yield _allow(["dynamodb:Query"], *indexes)

    def _manifests(self, role: iam.IRole) -> list[iam.PolicyStatement]:
        """Return the rights to manifests: who presigns a URL needs every right that it gives."""
        bucket = self.state.manifests.bucket_arn
        suppress_wildcards(role, "Any hop's manifest; an address is signed for one", f"{bucket}/*")
        return [
            _allow(["s3:ListBucket"], bucket),
            _allow(["s3:GetObject", "s3:PutObject"], f"{bucket}/*"),
        ]

    def _archive(self, role: iam.IRole) -> list[iam.PolicyStatement]:
        """Return the rights to write and read files, and to hear that one does not exist."""
        bucket = self.state.archive.bucket_arn
        files = f"{bucket}/transfers/*"
        suppress_wildcards(role, "Files of any day, whose names are digests", files)
        return [_allow(["s3:ListBucket"], bucket), _allow(["s3:GetObject", "s3:PutObject"], files)]

    def _commands(self, role: iam.IRole) -> list[iam.PolicyStatement]:
        commands = iot_arn(role, f"topic/{self._topics.commands(self._topics.thing('*'))}")
        suppress_wildcards(role, "Commands go to every agent of this stage", commands)
        return [
            _allow(["kms:Sign"], self.state.command_keys.now.key_arn),
            _allow(["iot:Publish"], commands),
        ]

    def _change_notices(self, role: iam.IRole) -> list[iam.PolicyStatement]:
        notices = iot_arn(role, f"topic/{self._topics.changes('*')}")
        suppress_wildcards(role, "Any transfer may be the one that has changed", notices)
        return [_allow(["iot:Publish"], notices)]

    def _agent_notices(self, role: iam.IRole) -> list[iam.PolicyStatement]:
        return [_allow(["iot:Publish"], iot_arn(role, f"topic/{self._topics.agent_changes}"))]

    def _enrollment(self, role: iam.IRole) -> list[iam.PolicyStatement]:
        certificates, things = iot_arn(role, "cert/*"), iot_arn(role, f"thing/{self._topics.thing('*')}")
        suppress_wildcards(role, "Any agent of this stage; people choose their names", things)
        suppress_wildcards(role, "IoT chooses a certificate's id", certificates)
        suppress_wildcards(role, "IoT has no resource for these actions", "*")
        targets = self.stage.certificate_targets(certificates)
        return [
            _allow(_verbs("CreateCertificateFromCsr", "DescribeEndpoint"), "*"),
            _allow(_verbs("CreateThing", "DescribeThing", "DeleteThing", "ListThingPrincipals"), things),
            _allow(_verbs("UpdateCertificate", "DeleteCertificate"), certificates),
            _allow(_verbs("AttachPolicy", "DetachPolicy", "ListPrincipalThings"), targets),
            _of_things(_verbs("AttachThingPrincipal", "DetachThingPrincipal"), targets, things),
        ]

    def _connections(self, role: iam.IRole) -> list[iam.PolicyStatement]:
        clients = iot_arn(role, f"client/{self._topics.thing('*')}")
        suppress_wildcards(role, "Any agent of this stage; people choose their names", clients)
        return [_allow(_verbs("DeleteConnection"), clients)]

    def _rotation(self, role: iam.IRole) -> list[iam.PolicyStatement]:
        """Return the rights to revoke old certificates; they do not allow creating one."""
        certificates, things = iot_arn(role, "cert/*"), iot_arn(role, f"thing/{self._topics.thing('*')}")
        targets = self.stage.certificate_targets(certificates)
        suppress_wildcards(role, "IoT chooses a certificate's id", certificates, targets)
        suppress_wildcards(role, "Any agent of this stage; people choose their names", things)
        return [
            _allow(_verbs("DescribeThing", "ListThingPrincipals"), things),
            _allow(_verbs("UpdateCertificate", "DeleteCertificate"), certificates),
            _allow(_verbs("DetachPolicy", "ListPrincipalThings"), targets),
            _of_things(_verbs("DetachThingPrincipal"), targets, things),
        ]

    def _updates(self, role: iam.IRole) -> list[iam.PolicyStatement]:
        jobs = iot_arn(role, f"job/{self._topics.job('*', '*')}")
        things = iot_arn(role, f"thing/{self._topics.thing('*')}")
        suppress_wildcards(
            role, "A job for each stage of an update, for any agents of this stage", jobs, things
        )
        return [
            _allow(_verbs("CreateJob", "DescribeJobExecution"), jobs, things),
            _allow(_verbs("CancelJob", "ListJobExecutionsForJob"), jobs),
        ]


_USER_ACTIONS = ("cognito-idp:AdminGetUser", "cognito-idp:AdminListGroupsForUser")


def _verbs(*names: str) -> list[str]:
    return [f"iot:{name}" for name in names]


def _allow(actions: list[str], *resources: str) -> iam.PolicyStatement:
    return iam.PolicyStatement(actions=actions, resources=list(resources))


def _of_things(actions: list[str], certificates: str, things: str) -> iam.PolicyStatement:
    """Return the right to attach certificates to these things, or to detach them.

    The resource is the certificate, the thing a condition. Where AWS does not tell the thing, the statement
    still applies: otherwise no agent could join.
    https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsiot.html
    """
    return iam.PolicyStatement(
        actions=actions,
        resources=[certificates],
        conditions={"ArnLikeIfExists": {"iot:thingArn": things}},
    )


def assumable_roles(
    scope: Construct, stage: Stage, buckets: Sequence[str], relay: str, issuer: iam.IRole
) -> tuple[iam.Role, iam.Role]:
    """Create the object role, for a hop's S3 credentials, and the live role, for a console's live messages.

    `relay` is the relay bucket. Only `issuer` may assume the roles; it narrows them by a session policy each
    time.
    """
    trusted = iam.ArnPrincipal(issuer.role_arn)
    objects = iam.Role(scope, "Objects", assumed_by=trusted, max_session_duration=Duration.hours(1))
    objects.add_to_policy(_allow(list(BUCKET_ACTIONS), *buckets, relay))
    if buckets:
        objects.add_to_policy(_allow(list(UPLOAD_ACTIONS), *buckets))
    contents, relayed = [f"{bucket}/*" for bucket in buckets], f"{relay}/*"
    objects.add_to_policy(_allow(list(OBJECT_ACTIONS), *contents))
    objects.add_to_policy(_allow(list(_RELAY_ACTIONS), relayed))
    for region, keys in stage.bucket_keys(scope).items():
        objects.add_to_policy(
            iam.PolicyStatement(
                actions=list(KEY_ACTIONS),
                resources=keys,
                conditions=through_s3(region),
            )
        )
    suppress_wildcards(
        objects, "Any object of these buckets; a session policy narrows it to one hop's", *contents, relayed
    )
    live = iam.Role(scope, "Live", assumed_by=trusted, max_session_duration=Duration.hours(1))
    topics = f"crosshaul/{stage.name}"
    granted = {
        "iot:Connect": (f"client/{Topics(stage.name).console('*')}",),
        "iot:Subscribe": (f"topicfilter/{topics}/agents/+/live/*", f"topicfilter/{topics}/changes/+"),
        "iot:Receive": (f"topic/{topics}/agents/*/live/*", f"topic/{topics}/changes/*"),
    }
    for action, ends in granted.items():
        resources = [iot_arn(scope, end) for end in ends]
        live.add_to_policy(_allow([action], *resources))
        suppress_wildcards(
            live, "A client id for each console; progress and changes of every transfer", *resources
        )
    return objects, live


_RELAY_ACTIONS = ("s3:GetObject", "s3:PutObject", "s3:DeleteObject")
