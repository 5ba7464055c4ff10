"""The fleet: the keys that sign commands, the device policy and the IoT topic rules."""

from dataclasses import dataclass

from aws_cdk import Aws, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_iot as iot
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct, IConstruct

from events.topics import Topics
from infra import device
from infra.stage import Stage

_SQL_VERSION = "2016-03-23"


@dataclass(frozen=True)
class StageCommandKeys:
    """The keys that sign commands: the current one and the next one."""

    now: kms.Key
    following: kms.Key

    @classmethod
    def create(cls, scope: Stack, stage: Stage) -> "StageCommandKeys":
        """Create the keys and keep the previous one: the control stack uses it until it is deployed, too."""
        number = stage.settings.command_key
        if number > 1:
            scope.export_value(_command_key(scope, stage, number - 1).key_arn)
        return cls(_command_key(scope, stage, number), _command_key(scope, stage, number + 1))

    @property
    def arns(self) -> tuple[str, str]:
        return self.now.key_arn, self.following.key_arn


def _command_key(scope: Construct, stage: Stage, number: int) -> kms.Key:
    name = "Commands" if number == 1 else f"Commands{number}"
    return signing_key(scope, stage, name, f"signs commands to agents, key {number}")


def signing_key(scope: Construct, stage: Stage, name: str, use: str) -> kms.Key:
    """Create an ES256 signing key. Its signatures are verified later, so it outlives a removed stack."""
    return kms.Key(
        scope,
        name,
        description=f"Crosshaul {stage.name}: {use}",
        key_spec=kms.KeySpec.ECC_NIST_P256,
        key_usage=kms.KeyUsage.SIGN_VERIFY,
        removal_policy=RemovalPolicy.RETAIN if stage.protected else RemovalPolicy.DESTROY,
    )


def device_policy(scope: Construct, stage: Stage) -> iot.CfnPolicy:
    return iot.CfnPolicy(
        scope,
        "Device",
        policy_name=f"crosshaul-{stage.name}-device",
        policy_document=device.document(Topics(stage.name), _iot(scope)),
    )


def iot_arn(scope: IConstruct, resource: str) -> str:
    return f"{_iot(scope)}:{resource}"


def _iot(scope: IConstruct) -> str:
    return f"arn:{Aws.PARTITION}:iot:{Stack.of(scope).region}:{Stack.of(scope).account}"


class IotRules(Construct):
    """The IoT topic rules: reports and presence, each to its function, with a queue for failed deliveries."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        stage: Stage,
        *,
        on_report: lambda_.Function,
        on_presence: lambda_.Function,
        failures: sqs.Queue,
    ) -> None:
        super().__init__(scope, name)
        topics = Topics(stage.name)
        self._failures = failures
        own_rules = {"StringEquals": {"aws:SourceAccount": Stack.of(self).account}}
        self._to_failures = iam.Role(
            self, "Undelivered", assumed_by=iam.ServicePrincipal("iot.amazonaws.com", conditions=own_rules)
        )
        self._to_failures.add_to_policy(
            iam.PolicyStatement(actions=["sqs:SendMessage"], resources=[failures.queue_arn])
        )
        self.by_name = {
            "Reports": self._rule("Reports", topics.reports_rule, topics.reports_sql, on_report),
            "Presence": self._rule("Presence", topics.presence_rule, topics.presence_sql, on_presence),
        }

    def _rule(self, name: str, rule_name: str, sql: str, function: lambda_.Function) -> iot.CfnTopicRule:
        rule = iot.CfnTopicRule(
            self,
            name,
            rule_name=rule_name,
            topic_rule_payload=iot.CfnTopicRule.TopicRulePayloadProperty(
                sql=sql,
                aws_iot_sql_version=_SQL_VERSION,
                rule_disabled=False,
                actions=[_to_function(function)],
                error_action=self._dead_letter_queue(),
            ),
        )
        function.add_permission(
            f"Rule{name}",
            principal=iam.ServicePrincipal("iot.amazonaws.com"),
            source_arn=rule.attr_arn,
            source_account=Stack.of(self).account,
        )
        return rule

    def _dead_letter_queue(self) -> iot.CfnTopicRule.ActionProperty:
        return iot.CfnTopicRule.ActionProperty(
            sqs=iot.CfnTopicRule.SqsActionProperty(
                queue_url=self._failures.queue_url, role_arn=self._to_failures.role_arn, use_base64=False
            )
        )


def _to_function(function: lambda_.Function) -> iot.CfnTopicRule.ActionProperty:
    return iot.CfnTopicRule.ActionProperty(
        lambda_=iot.CfnTopicRule.LambdaActionProperty(function_arn=function.function_arn)
    )
