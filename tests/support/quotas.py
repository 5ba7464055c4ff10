"""Quotas of AWS for what a template has, each with its source. Nobody can raise most of them."""

from collections.abc import Callable
from typing import Any

from tests.support.templates import size

_DOCS = "https://docs.aws.amazon.com"
CLOUDFORMATION = f"{_DOCS}/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html"
_LAMBDA = f"{_DOCS}/lambda/latest/dg/gettingstarted-limits.html"
IAM = f"{_DOCS}/IAM/latest/UserGuide/reference_iam-quotas.html"
_IOT = f"{_DOCS}/general/latest/gr/iot-core.html"
_EVENTS = f"{_DOCS}/eventbridge/latest/userguide/eb-quota.html"
_DYNAMODB = f"{_DOCS}/amazondynamodb/latest/developerguide/ServiceQuotas.html"
API = f"{_DOCS}/apigateway/latest/developerguide/api-gateway-execution-service-limits-table.html"
_KMS = f"{_DOCS}/kms/latest/developerguide/resource-limits.html"
_S3 = f"{_DOCS}/AmazonS3/latest/userguide/add-bucket-policy.html"
_SNS = f"{_DOCS}/general/latest/gr/sns.html"
_ALARM = f"{_DOCS}/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html"
_MAPPING = f"{_DOCS}/lambda/latest/dg/invocation-eventfiltering.html"

Properties = dict[str, Any]


def environment(function: Properties) -> int:
    """Measure the variables as Lambda does: as JSON, which its refusal shows ("String measured").

    https://github.com/github-aws-runners/terraform-aws-github-runner/issues/3594
    """
    variables = function.get("Environment", {}).get("Variables", {})
    return size({name: str(value) for name, value in variables.items()})


def statements(policy: Properties, key: str = "PolicyDocument") -> int:
    return size(policy[key])


PER_RESOURCE: list[tuple[str, str, int, str, Callable[[Properties], int]]] = [
    ("AWS::Lambda::Function", "bytes of environment", 4096, _LAMBDA, environment),
    ("AWS::Lambda::Function", "characters of description", 256, _LAMBDA, lambda one: len(one["Description"])),
    ("AWS::IAM::ManagedPolicy", "characters", 6144, IAM, statements),
    ("AWS::IAM::Role", "characters of trust", 2048, IAM, lambda one: size(one["AssumeRolePolicyDocument"])),
    ("AWS::IoT::Policy", "characters", 2048, _IOT, statements),
    ("AWS::Events::Rule", "characters of pattern", 2048, _EVENTS, lambda one: size(one.get("EventPattern"))),
    ("AWS::Events::Rule", "targets", 5, _EVENTS, lambda one: len(one["Targets"])),
    (
        "AWS::DynamoDB::Table",
        "indexes",
        20,
        _DYNAMODB,
        lambda one: len(one.get("GlobalSecondaryIndexes", ())),
    ),
    (
        "AWS::DynamoDB::Table",
        "bytes of policy",
        20_480,
        _DYNAMODB,
        lambda one: size(one.get("ResourcePolicy")),
    ),
    ("AWS::KMS::Key", "bytes of policy", 32_768, _KMS, lambda one: statements(one, "KeyPolicy")),
    ("AWS::S3::BucketPolicy", "bytes", 20_480, _S3, statements),
    ("AWS::SNS::TopicPolicy", "bytes", 30_720, _SNS, statements),
    ("AWS::CloudWatch::Alarm", "characters of text", 1024, _ALARM, lambda one: len(one["AlarmDescription"])),
    (
        "AWS::CloudWatch::Alarm",
        "metrics that are added up",
        10,
        f"{_DOCS}/AmazonCloudWatch/latest/monitoring/using-metric-math.html",
        lambda one: sum("MetricStat" in each for each in one.get("Metrics", ())),
    ),
    (
        "AWS::Lambda::EventSourceMapping",
        "characters of a filter",
        4096,
        _MAPPING,
        lambda one: max(
            (len(each["Pattern"]) for each in one.get("FilterCriteria", {}).get("Filters", ())), default=0
        ),
    ),
    (
        "AWS::Lambda::EventSourceMapping",
        "filters",
        5,
        _MAPPING,
        lambda one: len(one.get("FilterCriteria", {}).get("Filters", ())),
    ),
    ("AWS::IoT::TopicRule", "actions", 10, _IOT, lambda one: len(one["TopicRulePayload"]["Actions"])),
]
"""Type, what is counted, the quota, where AWS says so, and how it is counted."""
