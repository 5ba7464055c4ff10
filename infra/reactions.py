"""Event sources of the functions: uploads, due retries, table streams and the schedule."""

from typing import cast

from aws_cdk import Duration, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as sources
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.stage import Stage
from infra.store import AUDIT, STREAMED, Tables
from infra.suppressions import suppress_finding, suppress_wildcards
from lambdas.store.transfer_rows import TIMELINE

_MAX_ATTEMPTS = 5


def queue(scope: Construct, name: str, **properties: object) -> sqs.Queue:
    """Create an encrypted queue that refuses plain HTTP and keeps messages for 14 days."""
    settings = {
        "encryption": sqs.QueueEncryption.SQS_MANAGED,
        "enforce_ssl": True,
        "retention_period": Duration.days(14),
    }
    made = sqs.Queue(scope, name, **{**settings, **properties})  # type: ignore[arg-type]
    made.add_to_resource_policy(_only_this_accounts_events(made))
    if "dead_letter_queue" not in properties:
        suppress_finding(
            made, "It is where others' dead letters go, with an alarm as soon as there is one", "SQS3"
        )
    return made


def _only_this_accounts_events(made: sqs.Queue) -> iam.PolicyStatement:
    """Return the refusal of events that EventBridge brings for another account.

    CDK's own grants name the rule only, and AWS recommends both against a confused deputy. A request that
    names no account is left to those grants: StringNotEquals alone would also refuse it.
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
    """
    return iam.PolicyStatement(
        effect=iam.Effect.DENY,
        principals=[iam.ServicePrincipal("events.amazonaws.com")],
        actions=["sqs:SendMessage"],
        resources=[made.queue_arn],
        conditions={
            "StringNotEquals": {"aws:SourceAccount": Stack.of(made).account},
            "Null": {"aws:SourceAccount": "false"},
        },
    )


class Uploads(Construct):
    """S3 → EventBridge → SQS, with a dead-letter queue → on_object, in batches.

    The function sends itself a delayed message when a template begins to gather objects.
    """

    def __init__(
        self, scope: Construct, name: str, stage: Stage, *, buckets: list[str], on_object: lambda_.Function
    ) -> None:
        super().__init__(scope, name)
        self.dead = queue(self, "Dead")
        self.waiting = queue(
            self,
            "Waiting",
            enforce_ssl=stage.protected,  # functions of the embedded cloud call it over plain HTTP
            visibility_timeout=Duration.seconds(6 * 60),
            dead_letter_queue=sqs.DeadLetterQueue(max_receive_count=_MAX_ATTEMPTS, queue=self.dead),
        )
        self.rule = events.Rule(
            self,
            "Created",
            description="Objects that arrive, for templates",
            event_pattern=events.EventPattern(
                source=["aws.s3"], detail_type=["Object Created"], detail={"bucket": {"name": buckets}}
            ),
            targets=[targets.SqsQueue(self.waiting, dead_letter_queue=self.dead)],
        )
        on_object.add_event_source(
            sources.SqsEventSource(
                self.waiting,
                batch_size=100,
                max_batching_window=Duration.seconds(1),
                report_batch_item_failures=True,
                max_concurrency=2,
            )
        )


class Retries(Construct):
    """SQS, where a message waits until its retry is due, with a dead-letter queue → on_retry.

    EventBridge Scheduler would call at a given time, too, but within a minute of it, and each retry would be
    a schedule to create and to delete.
    """

    def __init__(self, scope: Construct, name: str, stage: Stage, on_retry: lambda_.Function) -> None:
        super().__init__(scope, name)
        self.dead = queue(self, "Dead")
        self.waiting = queue(
            self,
            "Waiting",
            enforce_ssl=stage.protected,  # functions of the embedded cloud call it over plain HTTP
            visibility_timeout=Duration.seconds(6 * 60),
            retention_period=Duration.hours(1),  # the sweep has long made up for what is older
            dead_letter_queue=sqs.DeadLetterQueue(max_receive_count=_MAX_ATTEMPTS, queue=self.dead),
        )
        on_retry.add_event_source(
            sources.SqsEventSource(
                self.waiting, batch_size=10, report_batch_item_failures=True, max_concurrency=10
            )
        )


def follow(tables: Tables, on_change: lambda_.Function, failures: sqs.Queue) -> None:
    """Invoke the function for new timeline rows in the transfers table's stream, the outbox."""
    timeline = {"S": lambda_.FilterRule.begins_with(TIMELINE)}
    new_moment = lambda_.FilterCriteria.filter(
        {
            "eventName": lambda_.FilterRule.is_equal("INSERT"),
            "dynamodb": {"Keys": {tables.sort_key(STREAMED): timeline}},
        }
    )
    on_change.add_event_source(
        sources.DynamoEventSource(
            tables.by_setting[STREAMED],
            starting_position=lambda_.StartingPosition.TRIM_HORIZON,
            batch_size=100,
            bisect_batch_on_error=True,
            report_batch_item_failures=True,
            retry_attempts=_MAX_ATTEMPTS,
            parallelization_factor=4,
            filters=[new_moment],
            on_failure=sources.SqsDlq(failures),
        )
    )
    _accept_listing(on_change)


def chain(tables: Tables, on_audit: lambda_.Function, failures: sqs.Queue) -> None:
    """Invoke the function for audit records, in order within a day, one batch at a time.

    It also gets every row that was changed or removed, be it a record, a link, a seal or a pointer.
    """
    of_a_day = {"S": lambda_.FilterRule.begins_with("2")}
    added = {"eventName": ["INSERT"], "dynamodb": {"Keys": {"day": of_a_day}}}
    tampered = {"eventName": ["MODIFY", "REMOVE"]}
    on_audit.add_event_source(
        sources.DynamoEventSource(
            tables.by_setting[AUDIT],
            starting_position=lambda_.StartingPosition.TRIM_HORIZON,
            batch_size=100,
            max_batching_window=Duration.seconds(1),
            bisect_batch_on_error=True,
            retry_attempts=_MAX_ATTEMPTS,
            parallelization_factor=1,
            filters=[lambda_.FilterCriteria.filter(added), lambda_.FilterCriteria.filter(tampered)],
            on_failure=sources.SqsDlq(failures),
        )
    )
    _accept_listing(on_audit)


def _accept_listing(function: lambda_.Function) -> None:
    why = "Lambda asks for the account's streams before it reads ours, and ListStreams takes no resource"
    suppress_wildcards(cast("iam.IRole", function.role), why, "*")


def each_minute(scope: Construct, on_schedule: lambda_.Function) -> events.Rule:
    """Invoke the function each minute, without retries: the next minute makes up for a missed one."""
    return events.Rule(
        scope,
        "EachMinute",
        description="Lapsed leases, retries that are due, silent agents",
        schedule=events.Schedule.rate(Duration.minutes(1)),
        targets=[targets.LambdaFunction(on_schedule, retry_attempts=0, max_event_age=Duration.minutes(1))],
    )
