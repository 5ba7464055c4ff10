"""Resolve the references in CloudFormation templates, with the longest names that CloudFormation chooses."""

import json
import re
from collections.abc import Iterator
from typing import Any

Template = dict[str, Any]

REGION, ACCOUNT, PARTITION = "ap-southeast-1", "111122223333", "aws"
PSEUDO = {
    "AWS::Region": REGION,
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": PARTITION,
    "AWS::URLSuffix": "amazonaws.com",
}
_HERE = f"{REGION}:{ACCOUNT}"
_ARNS = {
    "AWS::Cognito::UserPool": f"cognito-idp:{_HERE}:userpool/{{}}",
    "AWS::DynamoDB::Table": f"dynamodb:{_HERE}:table/{{}}",
    "AWS::Events::EventBus": f"events:{_HERE}:event-bus/{{}}",
    "AWS::Events::Rule": f"events:{_HERE}:rule/{{}}",
    "AWS::IAM::ManagedPolicy": f"iam::{ACCOUNT}:policy/{{}}",
    "AWS::IAM::Role": f"iam::{ACCOUNT}:role/{{}}",
    "AWS::IoT::TopicRule": f"iot:{_HERE}:rule/{{}}",
    "AWS::KMS::Key": f"kms:{_HERE}:key/{{}}",
    "AWS::Lambda::Function": f"lambda:{_HERE}:function:{{}}",
    "AWS::Logs::LogGroup": f"logs:{_HERE}:log-group:{{}}:*",
    "AWS::S3::Bucket": "s3:::{}",
    "AWS::SNS::Topic": f"sns:{_HERE}:{{}}",
    "AWS::SQS::Queue": f"sqs:{_HERE}:{{}}",
    "AWS::WAFv2::WebACL": f"wafv2:{_HERE}:regional/webacl/{{}}/0a1b2c3d-0000-4000-8000-000000000000",
}
"""ARNs by type, after the partition, with a place for the name."""
_LONGEST_CHOSEN = {
    "AWS::Lambda::Function": 64,
    "AWS::IAM::Role": 64,
    "AWS::IAM::ManagedPolicy": 128,
    "AWS::S3::Bucket": 63,
    "AWS::SQS::Queue": 80,
    "AWS::Events::Rule": 64,
}
"""Characters at which CloudFormation cuts the names that it chooses."""
_SHORT_IDS = {
    "AWS::ApiGateway::Authorizer": "a1b2c3",
    "AWS::ApiGateway::Deployment": "a1b2c3",
    "AWS::ApiGateway::Resource": "a1b2c3",
    "AWS::ApiGateway::RestApi": "a1b2c3d4e5",
    "AWS::CloudFront::Distribution": "E1A2B3C4D5E6F7",
    "AWS::CloudFront::ResponseHeadersPolicy": "0a1b2c3d-0000-4000-8000-000000000000",
    "AWS::Cognito::UserPool": f"{REGION}_a1B2c3D4e",
    "AWS::Cognito::UserPoolClient": "1a2b3c4d5e6f7g8h9i0j1k2l3m",
    "AWS::KMS::Key": "0a1b2c3d-0000-4000-8000-000000000000",
}
_OWN_NAMES = {
    "AWS::ApiGateway::Stage": "StageName",
    "AWS::Events::EventBus": "Name",
    "AWS::IoT::Policy": "PolicyName",
    "AWS::IoT::TopicRule": "RuleName",
}


class Resolver:
    """Resolves values of the templates of a stage."""

    def __init__(self, templates: dict[str, Template]) -> None:
        self._templates = templates
        self._exports = {
            str(self.value(stack, output["Export"]["Name"])): (stack, output["Value"])
            for stack, template in templates.items()
            for output in template.get("Outputs", {}).values()
            if "Export" in output
        }

    def resources(self, kind: str | None = None) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Yield logical id, type and resolved properties of each resource, or of those of a type."""
        for stack, template in self._templates.items():
            for name, resource in template["Resources"].items():
                if kind in {None, resource["Type"]}:
                    yield name, resource["Type"], self.value(stack, resource.get("Properties", {}))

    def role_policies(self) -> Iterator[dict[str, Any]]:
        """Yield the resolved policies of roles; what exceeds the size of one, CDK puts into managed ones."""
        for kind in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
            yield from (properties for _, _, properties in self.resources(kind))

    def value(self, stack: str, value: Any) -> Any:
        """Return the value without references."""
        match value:
            case {"Ref": name}:
                return PSEUDO.get(name) or self._physical_id(stack, name)
            case {"Fn::GetAtt": [name, attribute]}:
                return self._attribute(stack, name, attribute)
            case {"Fn::ImportValue": name}:
                return self.value(*self._exports[self.value(stack, name)])
            case {"Fn::Join": [separator, parts]}:
                return separator.join(str(self.value(stack, part)) for part in parts)
            case {"Fn::Sub": str(text)}:
                return re.sub(r"\$\{([^}!]+)\}", lambda found: self._named(stack, found[1]), text)
            case dict():
                return {name: self.value(stack, one) for name, one in value.items()}
            case list():
                return [self.value(stack, one) for one in value]
        return value

    def _named(self, stack: str, name: str) -> str:
        """Return what `${name}` or `${name.attribute}` stands for."""
        resource, _, attribute = name.partition(".")
        found = {"Fn::GetAtt": [resource, attribute]} if attribute else {"Ref": name}
        return str(self.value(stack, found))

    def _resource(self, stack: str, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self._templates[stack]["Resources"].get(name, {"Type": "parameter"})
        return found

    def _physical_id(self, stack: str, name: str) -> str:
        resource = self._resource(stack, name)
        kind = resource["Type"]
        if kind in _SHORT_IDS:
            return _SHORT_IDS[kind]
        if kind == "AWS::SNS::Topic":
            return self._attribute(stack, name, "Arn")
        if kind == "AWS::SQS::Queue":
            return f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{self._name(stack, name)}"
        return self._name(stack, name)

    def _name(self, stack: str, name: str) -> str:
        resource = self._resource(stack, name)
        kind, own = resource["Type"], _OWN_NAMES.get(resource["Type"], "")
        if own in resource.get("Properties", {}):
            return str(self.value(stack, resource["Properties"][own]))
        if kind in _SHORT_IDS:
            return _SHORT_IDS[kind]
        chosen = f"{stack}-{name}-{'X' * 12}"[-_LONGEST_CHOSEN.get(kind, 255) :]
        return chosen.lower() if kind == "AWS::S3::Bucket" else chosen

    def _attribute(self, stack: str, name: str, attribute: str) -> str:
        kind = self._resource(stack, name)["Type"]
        arn = f"arn:{PARTITION}:{_ARNS[kind].format(self._name(stack, name))}" if kind in _ARNS else ""
        match attribute:
            case "Arn":
                return arn
            case "StreamArn":
                return f"{arn}/stream/2026-01-01T00:00:00.000"
        return f"{self._name(stack, name)}.{attribute}"


def size(value: Any) -> int:
    """Return the length of a value as JSON without spaces, as AWS counts policies and patterns."""
    return len(json.dumps(value, separators=(",", ":"), ensure_ascii=False))
