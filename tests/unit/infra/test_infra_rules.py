"""Each of the AWS Solutions rules is kept, or suppressed beside the resource with a reason."""

from typing import Any

import pytest
from cdk_nag import AwsSolutionsChecks

from tests.unit.infra.conftest import Synthesized


@pytest.mark.parametrize("name", ["real", "local"])
def test_every_finding_is_mended_or_there_is_a_reason(name: str, request: pytest.FixtureRequest) -> None:
    stage = request.getfixturevalue(name)
    assert "\n".join(stage.findings) == ""


def test_every_reason_is_a_sentence_and_none_opens_all_patterns(real: Synthesized) -> None:
    reasons = real.accepted
    assert len(reasons) > 10
    assert [where for where, why in reasons.items() if len(why.split()) < 5] == []
    assert [where for where in reasons if "*" in where and "IAM5[" not in where] == []


def test_the_rules_would_find_what_is_wrong() -> None:
    import aws_cdk as cdk
    from aws_cdk import aws_s3 as s3

    app = cdk.App()
    stack: Any = cdk.Stack(app, "Careless")
    s3.Bucket(stack, "Open")
    found = {one.rule_name for one in AwsSolutionsChecks(app).validate_scope(stack).violations}
    assert {"AwsSolutions-S1", "AwsSolutions-S10"} <= found


def test_whoever_writes_the_audit_may_only_add(real: Synthesized, local: Synthesized) -> None:
    """The table's own policy refuses, whatever a role allows."""
    for stage in (real, local):
        [policy] = [
            one["ResourcePolicy"]
            for one in stage.properties("AWS::DynamoDB::Table")
            if "ResourcePolicy" in one
        ]
        [never] = policy["PolicyDocument"]["Statement"]
        assert (never["Effect"], never["Principal"]) == ("Deny", {"AWS": "*"})
        refused = {action.removeprefix("dynamodb:") for action in never["Action"]}
        assert {"UpdateItem", "DeleteItem", "BatchWriteItem", "PartiQLDelete", "PartiQLUpdate"} <= refused
