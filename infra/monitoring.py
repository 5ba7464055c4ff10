"""What tells operators about a stage: alarms, a budget and a dashboard; all messages go to one SNS topic."""

from aws_cdk import Annotations, Stack
from aws_cdk import aws_budgets as budgets
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from infra.alarms import ALARMS, BUDGET, Alarm, Series, Watched, description, statistic_of
from infra.dashboard import dashboard
from infra.stage import Stage

BUDGET_PERCENT = 80
"""Share of the month's budget at which AWS Budgets tells of it, and again when it expects to exceed it."""


class Monitoring(Construct):
    """The alarms of `infra.alarms`, a budget if there is one, their topic, and a dashboard."""

    def __init__(self, scope: Construct, name: str, watched: Watched) -> None:
        super().__init__(scope, name)
        stage = watched.stage
        self.topic = _alarm_topic(self)
        self._subscribe(stage)
        self._alarms: list[cloudwatch.IAlarm] = []
        for alarm in ALARMS:
            if series := alarm.series(watched):
                self._add(alarm, series, stage)
        self.dashboard = dashboard(self, watched, self._alarms)
        if stage.settings.monthly_budget:
            self._budget(stage.name, stage.settings.monthly_budget)

    def _subscribe(self, stage: Stage) -> None:
        if stage.settings.alarm_email:
            self.topic.add_subscription(subscriptions.EmailSubscription(stage.settings.alarm_email))
        elif stage.protected:
            Annotations.of(self.topic).add_warning_v2(
                "crosshaul:alarmEmail",
                f"No e-mail address receives alarms: write alarmEmail into stages/{stage.name}.toml, or "
                "subscribe to the topic in the output AlarmTopic.",
            )

    def _add(self, alarm: Alarm, series: Series, stage: Stage) -> None:
        """Create one alarm that adds up its series, or one for each where expressions are not supported."""
        if len(series) == 1:
            self._alarm(alarm, alarm.name, next(iter(series.values())), stage)
        elif stage.metric_math:
            self._alarm(alarm, alarm.name, _joined(series), stage)
        else:
            for name, metric in series.items():
                self._alarm(alarm, f"{alarm.name}-{name}", metric, stage)

    def _alarm(self, alarm: Alarm, name: str, metric: cloudwatch.IMetric, stage: Stage) -> None:
        comparison = cloudwatch.ComparisonOperator
        made = cloudwatch.Alarm(
            self,
            name,
            metric=metric,
            threshold=alarm.threshold(stage),
            evaluation_periods=alarm.periods,
            comparison_operator=comparison.LESS_THAN_THRESHOLD
            if alarm.below
            else comparison.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            treat_missing_data=alarm.missing,
            alarm_name=f"crosshaul-{stage.name}-{name}",
            alarm_description=description(alarm),
        )
        made.add_alarm_action(actions.SnsAction(self.topic))
        made.add_ok_action(actions.SnsAction(self.topic))
        self._alarms.append(made)

    def _budget(self, stage_name: str, dollars: int) -> None:
        """Have AWS Budgets tell of what the stage costs, by the tag that all its resources have.

        The tag has to be activated once in the account, as a cost allocation tag.
        """
        stack = Stack.of(self)
        ours = stack.format_arn(service="budgets", region="", resource="*")
        self.topic.add_to_resource_policy(
            _may_publish(self.topic, "BudgetsOfThisAccount", "budgets", stack.account, ours)
        )
        told = budgets.CfnBudget.SubscriberProperty(address=self.topic.topic_arn, subscription_type="SNS")
        budget = budgets.CfnBudget(
            self,
            "Budget",
            budget=budgets.CfnBudget.BudgetDataProperty(
                budget_name=f"crosshaul-{stage_name}-{BUDGET}",
                budget_type="COST",
                time_unit="MONTHLY",
                budget_limit=budgets.CfnBudget.SpendProperty(amount=dollars, unit="USD"),
                cost_filters={"TagKeyValue": [f"user:crosshaul${stage_name}"]},
            ),
            notifications_with_subscribers=[
                budgets.CfnBudget.NotificationWithSubscribersProperty(
                    notification=budgets.CfnBudget.NotificationProperty(
                        comparison_operator="GREATER_THAN",
                        notification_type=kind,
                        threshold=percent,
                        threshold_type="PERCENTAGE",
                    ),
                    subscribers=[told],
                )
                for kind, percent in (("ACTUAL", BUDGET_PERCENT), ("FORECASTED", 100))
            ],
        )
        budget.node.add_dependency(self.topic)  # and its policy: a topic that refuses a message loses it


def _joined(series: Series) -> cloudwatch.MathExpression:
    """Return one value of all series; those without a value in a period are left out of it."""
    ids = {f"m{number}": metric for number, metric in enumerate(series.values())}
    first = next(iter(series.values()))
    return cloudwatch.MathExpression(
        expression=f"{statistic_of(series)}([{', '.join(ids)}])",
        using_metrics=dict(ids),
        period=first.period,
    )


def _alarm_topic(scope: Construct) -> sns.Topic:
    """Create a topic to which this account's alarms may publish, over TLS only.

    The policy that `enforce_ssl` makes replaces SNS's own, which lets the account's services publish: without
    a grant every alarm would be refused. It has no KMS key, which CloudWatch would need rights to.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Notify_Users_Alarm_Changes.html
    """
    topic, stack = sns.Topic(scope, "Alarms", enforce_ssl=True), Stack.of(scope)
    alarms = stack.format_arn(service="cloudwatch", resource="alarm:*")
    topic.add_to_resource_policy(
        _may_publish(topic, "AlarmsOfThisAccount", "cloudwatch", stack.account, alarms)
    )
    return topic


def _may_publish(topic: sns.Topic, sid: str, service: str, account: str, sources: str) -> iam.PolicyStatement:
    """Return the grant that lets a service publish, for resources of this account only."""
    return iam.PolicyStatement(
        sid=sid,
        principals=[iam.ServicePrincipal(f"{service}.amazonaws.com")],
        actions=["sns:Publish"],
        resources=[topic.topic_arn],
        conditions={"StringEquals": {"aws:SourceAccount": account}, "ArnLike": {"aws:SourceArn": sources}},
    )
