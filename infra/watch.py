"""Alarms for operators: dead-letter queues, failing functions, and a changed audit."""

from aws_cdk import Annotations, Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.stage import Stage
from lambdas.telemetry import AUDIT_TAMPERED, NAMESPACE, dimensions


class Watch(Construct):
    """Alarms on dead-letter queues, failing functions and a changed audit, all sent to one SNS topic."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        stage: Stage,
        *,
        queues: dict[str, sqs.Queue],
        functions: dict[str, lambda_.Function],
    ) -> None:
        super().__init__(scope, name)
        self.topic = _alarm_topic(self)
        self._subscribe(stage)
        for queue_name, queue in queues.items():
            metric = queue.metric_approximate_number_of_messages_visible(period=Duration.minutes(1))
            self._alarm(f"{queue_name}Queue", metric, f"Messages wait in the dead-letter queue {queue_name}")
        for function_name, function in functions.items():
            metric = function.metric_errors(period=Duration.minutes(5))
            self._alarm(f"{function_name}Errors", metric, f"{function_name} failed")
        tampering = cloudwatch.Metric(
            namespace=NAMESPACE,
            metric_name=AUDIT_TAMPERED,
            dimensions_map=dimensions(stage.name),
            statistic="Sum",
            period=Duration.minutes(1),
        )
        self._alarm(
            AUDIT_TAMPERED,
            tampering,
            "The audit was changed: run crosshaul audit verify, and read OnAudit's log",
        )

    def _subscribe(self, stage: Stage) -> None:
        if stage.settings.alarm_email:
            self.topic.add_subscription(subscriptions.EmailSubscription(stage.settings.alarm_email))
        elif stage.protected:
            Annotations.of(self.topic).add_warning_v2(
                "crosshaul:alarmEmail",
                f"No e-mail address receives alarms: write alarmEmail into stages/{stage.name}.toml, or "
                "subscribe to the topic in the output AlarmTopic.",
            )

    def _alarm(self, name: str, metric: cloudwatch.Metric, description: str) -> None:
        cloudwatch.Alarm(
            self,
            name,
            metric=metric,
            threshold=1,
            evaluation_periods=1,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
            alarm_description=description,
        ).add_alarm_action(actions.SnsAction(self.topic))


def _alarm_topic(scope: Construct) -> sns.Topic:
    """Create a topic to which this account's alarms may publish, over TLS only.

    The policy that `enforce_ssl` makes replaces SNS's own, which lets the account's services publish: without
    a grant every alarm would be refused. It has no KMS key, which CloudWatch would need rights to.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Notify_Users_Alarm_Changes.html
    """
    topic, stack = sns.Topic(scope, "Alarms", enforce_ssl=True), Stack.of(scope)
    alarms = stack.format_arn(service="cloudwatch", resource="alarm:*")
    topic.add_to_resource_policy(
        iam.PolicyStatement(
            sid="AlarmsOfThisAccount",
            principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
            actions=["sns:Publish"],
            resources=[topic.topic_arn],
            conditions={
                "StringEquals": {"aws:SourceAccount": stack.account},
                "ArnLike": {"aws:SourceArn": alarms},
            },
        )
    )
    return topic
