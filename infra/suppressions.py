"""Suppress cdk-nag findings, with a reason, beside the resource."""

from typing import Any

import aws_cdk as cdk
from constructs import IConstruct


def suppress_finding(scope: IConstruct, why: str, *rules: str) -> None:
    """Suppress rules for a construct and everything in it. `rules` are written without their pack: `S1`."""
    acknowledged = [cdk.Acknowledgment(id=f"AwsSolutions-{rule}", reason=why) for rule in rules]
    cdk.Validations.of(scope).acknowledge(*acknowledged)


def suppress_wildcards(scope: IConstruct, why: str, *resources: str) -> None:
    """Suppress findings about wildcards in a role's policy, for these ARNs."""
    stack = cdk.Stack.of(scope)
    suppress_finding(
        scope, why, *(f"IAM5[Resource::{_reported_arn(stack.resolve(arn))}]" for arn in resources)
    )


def _reported_arn(arn: Any) -> str:
    """Return an ARN as cdk-nag reports it: with references in angle brackets."""
    match arn:
        case {"Fn::Join": [separator, parts]}:
            return str(separator).join(map(_reported_arn, parts))
        case {"Ref": name}:
            return f"<{name}>"
        case {"Fn::GetAtt": [name, attribute]}:
            return f"<{name}.{attribute}>"
    return str(arn)
