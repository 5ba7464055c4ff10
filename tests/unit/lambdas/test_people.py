"""The owner of a template that acts: Cognito knows who is still there, and in which groups."""

import boto3
import pytest
from moto import mock_aws

from lambdas.people import FRESH, People

REGION, BO = "eu-central-1", "bo@example.org"


@pytest.fixture
def pool(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        cognito = boto3.client("cognito-idp", REGION)
        pool_id = cognito.create_user_pool(PoolName="people", UsernameAttributes=["email"])["UserPool"]["Id"]
        cognito.create_group(UserPoolId=pool_id, GroupName="operator")
        cognito.admin_create_user(UserPoolId=pool_id, Username=BO)
        cognito.admin_add_user_to_group(UserPoolId=pool_id, Username=BO, GroupName="operator")
        yield cognito, pool_id


def test_groups_are_those_of_now_looked_up_once_a_minute(pool):
    cognito, pool_id = pool
    now = [0.0]
    people = People(cognito, pool_id, timer=lambda: now[0])
    assert people.find(BO).groups == ("operator",)
    cognito.admin_remove_user_from_group(UserPoolId=pool_id, Username=BO, GroupName="operator")
    assert people.find(BO).groups == ("operator",)
    now[0] += FRESH + 1
    assert people.find(BO).groups == ()


def test_who_is_gone_or_disabled_is_in_no_group(pool):
    cognito, pool_id = pool
    assert People(cognito, pool_id).find("eve@example.org").groups == ()
    cognito.admin_disable_user(UserPoolId=pool_id, Username=BO)
    assert People(cognito, pool_id).find(BO).groups == ()
