"""What cdk-nag would object to and stays as it is: said beside the resource, with the reason why."""

from typing import Any

import aws_cdk as cdk
from constructs import IConstruct


def suppress_finding(scope: IConstruct, why: str, *rules: str) -> None:
    """Of this construct and all in it. `rules` without their pack: `S1`."""
    acknowledged = [cdk.Acknowledgment(id=f"AwsSolutions-{rule}", reason=why) for rule in rules]
    cdk.Validations.of(scope).acknowledge(*acknowledged)


def suppress_wildcards(scope: IConstruct, why: str, *resources: str) -> None:
    """Of a role's policy: statements on whatever fits these ARNs."""
    stack = cdk.Stack.of(scope)
    suppress_finding(scope, why, *(f"IAM5[Resource::{_said(stack.resolve(arn))}]" for arn in resources))


def _said(arn: Any) -> str:
    """As cdk-nag writes an ARN: references in angle brackets."""
    match arn:
        case {"Fn::Join": [separator, parts]}:
            return str(separator).join(map(_said, parts))
        case {"Ref": name}:
            return f"<{name}>"
        case {"Fn::GetAtt": [name, attribute]}:
            return f"<{name}.{attribute}>"
    return str(arn)
