"""Stateful resources: the tables, made from their row classes, and the buckets."""

from typing import Any, cast

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.stack_tables import construct_name
from infra.stage import Stage
from infra.suppressions import suppress_finding
from lambdas.store import TABLES

STREAMED = "transfers_table"
"""The table whose stream is the outbox."""
SHORT_LIVED = {"dedupe_table", "idempotency_table"}
"""Tables that are not worth a recovery: they hold what happened already, so that it happens once."""
GROWING = ("transfers_table", "agents_table")
"""Tables whose load grows with agents and transfers, and which DynamoDB would throttle first. Transactions
that also write the audit count as theirs."""
AUDIT = "audit_table"
"""The table whose stream feeds the audit chain."""


class Tables(Construct):
    """One table for each name in `TABLES`, with the keys, indexes and TTL of its row class."""

    def __init__(self, scope: Construct, name: str, stage: Stage) -> None:
        super().__init__(scope, name)
        self.by_setting = {
            setting: self._table(setting, row_class, stage) for setting, row_class in TABLES.items()
        }

    def index_arns(self, setting: str) -> list[str]:
        """Return the ARN of each index of a table, so that no grant needs a wildcard."""
        table = self.by_setting[setting]
        indexes = TABLES[setting]._get_schema()["global_secondary_indexes"]
        return [f"{table.table_arn}/index/{index['index_name']}" for index in indexes]

    def sort_key(self, setting: str) -> str:
        schema = TABLES[setting]._get_schema()
        return next(key["AttributeName"] for key in schema["key_schema"] if key["KeyType"] == "RANGE")

    def _table(self, setting: str, row_class: Any, stage: Stage) -> dynamodb.Table:
        schema = row_class._get_schema()  # how pynamodb itself gets the keys of a row class
        ttl = row_class._ttl_attribute()
        types = {one["AttributeName"]: one["AttributeType"] for one in schema["attribute_definitions"]}
        table = dynamodb.Table(
            self,
            construct_name(setting),
            **_keys(schema["key_schema"], types),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            encryption=dynamodb.TableEncryption.AWS_MANAGED,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=setting not in SHORT_LIVED
            ),
            time_to_live_attribute=ttl.attr_name if ttl else None,
            stream=dynamodb.StreamViewType.NEW_IMAGE if setting in {STREAMED, AUDIT} else None,
            removal_policy=stage.removal,
            deletion_protection=stage.protected,
            resource_policy=_append_only_policy() if setting == AUDIT else None,
        )
        for index in schema["global_secondary_indexes"]:
            _add_index(table, index, types)
        if setting in SHORT_LIVED:
            suppress_finding(
                table, "Its rows expire within days, and restoring them would repeat work", "DDB3"
            )
        return table


def _append_only_policy() -> iam.PolicyDocument:
    """Return a resource policy that denies changing and deleting items, whatever the caller's role allows."""
    never = iam.PolicyStatement(
        effect=iam.Effect.DENY,
        principals=[iam.AnyPrincipal()],
        actions=[f"dynamodb:{verb}" for verb in _NEVER],
        resources=["*"],
    )
    return iam.PolicyDocument(statements=[never])


_NEVER = ("BatchWriteItem", "DeleteItem", "PartiQLDelete", "PartiQLUpdate", "UpdateItem")


def _keys(key_schema: list[dict[str, str]], types: dict[str, str]) -> dict[str, Any]:
    names = {"HASH": "partition_key", "RANGE": "sort_key"}
    return {
        names[key["KeyType"]]: dynamodb.Attribute(
            name=key["AttributeName"], type=_TYPES[types[key["AttributeName"]]]
        )
        for key in key_schema
    }


def _add_index(table: dynamodb.Table, index: dict[str, Any], types: dict[str, str]) -> None:
    projection = index["projection"]
    table.add_global_secondary_index(
        index_name=index["index_name"],
        **_keys(index["key_schema"], types),
        projection_type=dynamodb.ProjectionType[projection["ProjectionType"]],
        non_key_attributes=list(projection["NonKeyAttributes"])
        if projection.get("NonKeyAttributes")
        else None,
    )


_TYPES = {
    "S": dynamodb.AttributeType.STRING,
    "N": dynamodb.AttributeType.NUMBER,
    "B": dynamodb.AttributeType.BINARY,
}


def _private_bucket(scope: Construct, name: str, stage: Stage, **settings: Any) -> s3.Bucket:
    """Create an encrypted bucket that is closed to the public; `settings` are those of `s3.Bucket`."""
    common: dict[str, Any] = {
        "block_public_access": s3.BlockPublicAccess.BLOCK_ALL,
        "encryption": s3.BucketEncryption.S3_MANAGED,
        "enforce_ssl": stage.protected,
        "object_ownership": s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
        "removal_policy": stage.removal,
    }
    return s3.Bucket(scope, name, **(common | settings))


def media_bucket(scope: Construct, stage: Stage) -> s3.Bucket:
    """Create the bucket for uploads; it notifies EventBridge of each."""
    bucket = _private_bucket(
        scope,
        "Media",
        stage,
        server_access_logs_bucket=_access_log(scope, stage),
        versioned=True,
        lifecycle_rules=[_tidy()],
    )
    _notify_eventbridge(bucket)
    return bucket


def _access_log(scope: Construct, stage: Stage) -> s3.Bucket:
    """Create the bucket for S3's own access log of uploads, kept for a year."""
    return _private_bucket(
        scope,
        "MediaLog",
        stage,
        lifecycle_rules=[s3.LifecycleRule(expiration=Duration.days(365))],
    )


def manifest_bucket(scope: Construct, stage: Stage) -> s3.Bucket:
    """Create the bucket for the hops' manifests; overwritten versions are kept for a month."""
    bucket = _private_bucket(
        scope,
        "Manifests",
        stage,
        versioned=True,
        lifecycle_rules=[_tidy(), s3.LifecycleRule(expiration=Duration.days(stage.settings.manifest_days))],
        # The console reads manifests, whatever its address is: who has a signed URL may read without it, too.
        cors=[s3.CorsRule(allowed_methods=[s3.HttpMethods.GET], allowed_origins=["*"], max_age=86_400)],
    )
    suppress_finding(bucket, "Only the API signs addresses for it, and logs each answer", "S1")
    return bucket


def archive_bucket(scope: Construct, stage: Stage) -> s3.Bucket:
    """Create the bucket for transfers that have ended, which are kept for ever."""
    bucket = _private_bucket(
        scope,
        "Archive",
        stage,
        versioned=True,
        lifecycle_rules=[
            s3.LifecycleRule(abort_incomplete_multipart_upload_after=Duration.days(7)),
        ],
    )
    suppress_finding(bucket, "One function writes it, and reads it before anything is removed", "S1")
    return bucket


def relay_bucket(scope: Construct, stage: Stage) -> s3.Bucket:
    """Create the bucket for the relay between agents that cannot reach each other.

    Its objects are encrypted by the agents and expire after a day.
    """
    bucket = _private_bucket(
        scope,
        "Relay",
        stage,
        lifecycle_rules=[_of_a_day()],
        removal_policy=RemovalPolicy.DESTROY,
    )
    suppress_finding(
        bucket, "What passes is sealed and short-lived; each lending of its credentials is audited", "S1"
    )
    return bucket


def _of_a_day() -> s3.LifecycleRule:
    day = Duration.days(1)
    return s3.LifecycleRule(expiration=day, abort_incomplete_multipart_upload_after=day)


def _tidy() -> s3.LifecycleRule:
    return s3.LifecycleRule(
        abort_incomplete_multipart_upload_after=Duration.days(7),
        noncurrent_version_expiration=Duration.days(30),
    )


def _notify_eventbridge(bucket: s3.Bucket) -> None:
    """Turn on EventBridge by a property: CDK's `event_bridge_enabled` would deploy a function for it."""
    resource = cast("s3.CfnBucket", bucket.node.default_child)
    resource.add_property_override(
        "NotificationConfiguration", {"EventBridgeConfiguration": {"EventBridgeEnabled": True}}
    )
