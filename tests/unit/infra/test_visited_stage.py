"""The acceptance of a deployed stage leaves the stage as it was."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from infra.local import environment
from infra.local.deploy import Outputs, create_user
from infra.local.environment import Environment, StageAccess, visited_stage
from infra.local.operator_session import Operator

TEMPLATE = """{"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}, "Outputs": {%s}}"""
NAMES = ("ApiUrl", "ConsoleUrl", "ClientId", "MediaBucket", "RelayBucket")


@dataclass(frozen=True)
class RecordingOperator(Operator):
    """An operator at a stage with these agents."""

    agents: list[str]
    removed: list[str]

    def json(self, *arguments: str) -> Any:
        return {"agents": [{"agent_id": name} for name in self.agents]}

    def try_(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        self.removed.append(arguments[2])
        return subprocess.CompletedProcess(arguments, 0, "", "")


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Yield the user pool of a stage that is named trial, in an account of moto's."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    with mock_aws():
        cognito = boto3.client("cognito-idp")
        made = cognito.create_user_pool(PoolName="people", UsernameAttributes=["email"])["UserPool"]["Id"]
        cognito.create_group(UserPoolId=made, GroupName="admin")
        outputs = dict.fromkeys(NAMES, "value") | {"UserPoolId": made}
        text = ", ".join(f'"{name}": {{"Value": "{value}"}}' for name, value in outputs.items())
        for stack in ("Crosshaul-trial-State", "Crosshaul-trial"):
            boto3.client("cloudformation").create_stack(StackName=stack, TemplateBody=TEMPLATE % text)
        yield made


def users(pool: str) -> list[str]:
    return [one["Username"] for one in boto3.client("cognito-idp").list_users(UserPoolId=pool)["Users"]]


@contextmanager
def visiting(
    monkeypatch: pytest.MonkeyPatch, home: Path, agents: list[str], removed: list[str]
) -> Iterator[Environment]:
    def enter(home: Path, access: StageAccess, outputs: Outputs, user: str) -> Environment:
        create_user(access.client("cognito-idp"), outputs, user, "For-9-minutes-only", "admin")
        operator = RecordingOperator(Path("unused"), agents, removed)
        return Environment(home, access, outputs, operator, "For-9-minutes-only", user)

    monkeypatch.setattr(environment, "enter", enter)
    with visited_stage(home, "trial", ("server-b", "server-c")) as visit:
        yield visit


def test_agents_and_accounts_of_the_stories_are_removed_at_the_end(
    pool: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    removed: list[str] = []
    with visiting(monkeypatch, tmp_path, ["render-1"], removed) as visit:
        assert len(users(pool)) == 1
        assert visit.stage == "trial"
        with pytest.raises(RuntimeError, match="does not run in the embedded cloud"):
            _ = visit.cloud
    assert users(pool) == []
    assert removed == ["server-b", "server-c"]


def test_a_stage_that_has_an_agent_of_such_a_name_is_left_alone(
    pool: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A company's own server-b must not be replaced by a test's."""
    removed: list[str] = []
    with (
        pytest.raises(RuntimeError, match="agents named server-b: use a stage of its own"),
        visiting(monkeypatch, tmp_path, ["server-b", "render-1"], removed),
    ):
        pytest.fail("the stories would have begun")
    assert (users(pool), removed) == ([], [])
