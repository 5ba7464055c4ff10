"""Several stages share an account: no name collides, and no right reaches another stage's resources."""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from events.topics import Topics
from tests.support import quotas
from tests.support.quotas import PER_RESOURCE, Properties, environment
from tests.support.templates import Resolver, size
from tests.unit.infra.conftest import LONGEST, Synthesized
from tests.unit.infra.test_infra_access import as_list, statements, text

WITHIN_ANOTHER = {
    ("AWS::ApiGateway::Authorizer", "Name"): "its API",
    ("AWS::ApiGateway::Stage", "StageName"): "its API",
    ("AWS::Cognito::UserPoolGroup", "GroupName"): "its user pool",
    ("AWS::CloudWatch::Alarm", "MetricName"): "the metric that it looks at",
    ("AWS::IAM::Policy", "PolicyName"): "its role",
}
"""Names that need to be unique only within their parent."""

LIMITS = {
    "AWS::ApiGateway::RestApi": 1024,
    "AWS::CloudWatch::Alarm": 255,
    "AWS::CloudWatch::Dashboard": 255,
    "AWS::CloudFront::OriginAccessControl": 64,
    "AWS::CloudFront::ResponseHeadersPolicy": 128,
    "AWS::Events::EventBus": 256,
    "AWS::IoT::Policy": 128,
    "AWS::IoT::TopicRule": 128,
    "AWS::SSM::Parameter": 1011,
}
"""Longest names, in characters."""


def named(stage: Synthesized) -> Iterator[tuple[str, str, str]]:
    """Yield every name that CloudFormation does not choose: resource type, property, name."""
    for template in stage.templates.values():
        for output in template.get("Outputs", {}).values():
            if "Export" in output:
                yield "Export", "Name", text(output["Export"]["Name"])
        for resource in template["Resources"].values():
            kind, properties = resource["Type"], resource.get("Properties", {})
            configured = properties.get(f"{kind.rpartition('::')[2]}Config", {})
            for name, value in (properties | configured).items():
                if re.search(r"(Name|Alias|Domain)$", name) and not refers(value):
                    yield kind, name, text(value)


def refers(value: Any) -> bool:
    """Return whether the value refers to another resource."""
    return isinstance(value, dict) and ("Ref" in value or "Fn::GetAtt" in value or "Fn::ImportValue" in value)


def account_wide(stage: Synthesized) -> set[tuple[str, str, str]]:
    return {one for one in named(stage) if one[:2] not in WITHIN_ANOTHER}


def test_two_stages_share_no_name(real: Synthesized, fullest: Synthesized) -> None:
    assert {kind for kind, _, _ in account_wide(real)} == {*LIMITS, "Export"}
    assert account_wide(real) & account_wide(fullest) == set()
    assert set(real.templates) & set(fullest.templates) == set()


def test_whoever_has_the_longest_name_can_be_deployed(fullest: Synthesized) -> None:
    region = len("ap-northeast-1") - len("…")
    for kind, _, name in account_wide(fullest):
        if kind in LIMITS:
            assert len(name) + region * name.count("…") <= LIMITS[kind], name
    assert all(len(stack) <= 128 for stack in fullest.templates)


def test_cloudfront_s_names_have_the_region_in_them(real: Synthesized) -> None:
    """CloudFront's names are global, and the same stage may be in two regions."""
    names = {kind: name for kind, _, name in account_wide(real) if "CloudFront" in kind}
    assert set(names.values()) == {"crosshaul-prod-…"}
    assert '{"Ref": "AWS::Region"}' in json.dumps(real.properties("AWS::CloudFront::OriginAccessControl"))


def test_no_right_of_a_stage_reaches_what_is_another_s(real: Synthesized, fullest: Synthesized) -> None:
    """Not even if its name begins with the other's."""
    topics = Topics(LONGEST)
    thing, client = topics.thing("server-b"), topics.console("0123456789abcdef0123")
    theirs = {
        f"thing/{thing}",
        f"client/{thing}",
        f"client/{client}",
        f"job/{topics.job('0123456789ab', 0)}",
        f"topic/{topics.commands(thing)}",
        f"topic/{topics.changes('k' * 20)}",
        f"topic/{topics.live(thing, 'k' * 20, 'k' * 20 + '-0')}",
        f"topicfilter/{topics.all_live}",
    }
    assert reached(fullest, theirs) == theirs
    assert reached(real, theirs) == set()
    for foreign in ("thing/server-b", "client/server-b", "client/live-1", "job/nightly"):
        assert reached(real, {foreign}) == set()


def reached(stage: Synthesized, resources: set[str]) -> set[str]:
    patterns = {
        text(pattern).rpartition("…:")[2]
        for statement in statements(stage)
        if any(action.startswith("iot:") for action in as_list(statement["Action"]))
        for pattern in as_list(statement["Resource"])
        if pattern != "*"
    }
    return {one for one in resources if any(fnmatchcase(one, pattern) for pattern in patterns)}


@pytest.mark.parametrize(("kind", "what", "quota", "source", "measure"), PER_RESOURCE)
def test_each_resource_is_within_its_quota(
    fullest: Synthesized,
    kind: str,
    what: str,
    quota: int,
    source: str,
    measure: Callable[[Properties], int],
) -> None:
    sizes = {name: measure(properties) for name, _, properties in Resolver(fullest.templates).resources(kind)}
    assert sizes
    assert {name: found for name, found in sizes.items() if found > quota} == {}, f"{what}: {source}"


def test_the_policies_of_each_role_are_together_within_its_quota(fullest: Synthesized) -> None:
    """10,240 characters without spaces: inline policies count together."""
    resolver = Resolver(fullest.templates)
    sizes: dict[str, int] = {}
    for _, _, policy in resolver.resources("AWS::IAM::Policy"):
        for role in policy["Roles"]:
            sizes[role] = sizes.get(role, 0) + size(policy["PolicyDocument"])
    assert sizes
    assert {role: found for role, found in sizes.items() if found > 10_240} == {}, quotas.IAM


def test_each_template_is_within_cloudformation_s_quotas(fullest: Synthesized) -> None:
    for name, template in fullest.templates.items():
        assert len(name) <= 128
        assert len(json.dumps(template)) <= 1_048_576, quotas.CLOUDFORMATION
        assert len(template["Resources"]) <= 500
        assert len(template.get("Outputs", {})) <= 200
        assert len(template.get("Parameters", {})) <= 200
        assert all(re.fullmatch("[A-Za-z0-9]{1,255}", one) for one in template["Resources"])
        exports = [one["Export"]["Name"] for one in template.get("Outputs", {}).values() if "Export" in one]
        assert all(len(str(one)) <= 255 for one in exports)


def test_the_api_has_no_more_resources_than_an_api_may(fullest: Synthesized) -> None:
    assert len(fullest.of_type("AWS::ApiGateway::Resource")) <= 300, quotas.API


def test_every_tag_is_within_its_limits(fullest: Synthesized) -> None:
    found = 0
    for _, _, properties in Resolver(fullest.templates).resources():
        tags = properties.get("Tags", [])
        pairs: Iterable[tuple[str, str]] = (
            tags.items() if isinstance(tags, dict) else ((one["Key"], one["Value"]) for one in tags)
        )
        for key, value in pairs:
            found += 1
            assert len(key) <= 128
            assert len(value) <= 256
    assert found > 20


def test_a_quota_that_is_exceeded_would_be_found() -> None:
    """With sixty buckets, of which a stage may not have so many, the environment is too large."""
    template = {
        "Resources": {
            "F": {
                "Type": "AWS::Lambda::Function",
                "Properties": {
                    "Environment": {"Variables": {"BUCKETS": {"Fn::Join": [",", ["b" * 63] * 60]}}}
                },
            }
        }
    }
    [(_, _, properties)] = Resolver({"Stack": template}).resources("AWS::Lambda::Function")
    assert environment(properties) == len('{"BUCKETS":""}') + 60 * 64 - 1
    assert environment(properties) + 300 > 4096


@pytest.mark.parametrize("name", ["prod", "dev", "p", "0", "prod-eu-2", LONGEST])
def test_a_stage_may_be_called(name: str, tmp_path: Path) -> None:
    (tmp_path / f"{name}.toml").touch()
    assert named_stage(name, tmp_path) == name


@pytest.mark.parametrize(
    "name",
    [
        "Prod", "prod_eu", "prod.eu", "prod:eu", "prod eu", "-prod", "prod-", "prod*", "prod/eu", "käse",
        "prod\n", "${AWS::Region}", LONGEST + "e", "prod-state",
    ],
)  # fmt: skip
def test_a_stage_may_not_be_called(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be a stage's name"):
        named_stage(name, tmp_path)


def named_stage(name: str, folder: Path) -> str:
    import aws_cdk as cdk

    from infra.stage import Stage

    return Stage.of(cdk.App(context={"stage": name}), folder).name
