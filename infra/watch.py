"""What an operator is told of: work that failed for good, and functions that fail."""

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct


class Watch(Construct):
    """Alarms on dead-letter queues and failing functions, all told to one topic."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        queues: dict[str, sqs.Queue],
        functions: dict[str, lambda_.Function],
    ) -> None:
        super().__init__(scope, name)
        self.topic = sns.Topic(self, "Alarms", enforce_ssl=True)
        for queue_name, queue in queues.items():
            metric = queue.metric_approximate_number_of_messages_visible(period=Duration.minutes(1))
            self._alarm(f"{queue_name}Queue", metric, f"Messages wait in the dead-letter queue {queue_name}")
        for function_name, function in functions.items():
            metric = function.metric_errors(period=Duration.minutes(5))
            self._alarm(f"{function_name}Errors", metric, f"{function_name} failed")

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
