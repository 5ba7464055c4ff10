"""Look up the owner of a template in Cognito: whether the account exists, and its groups."""

import re
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from events.base import Actor
from lambdas.aws.user_directory import CACHE_TTL_S, CognitoDirectory
from lambdas.domain.errors import PersonUnknownError
from tests.support import aws_cli

REGION, BO = "eu-central-1", "bo@example.org"


class FakePool:
    """A user pool as a company configures it."""

    def __init__(self) -> None:
        self.cognito = boto3.client("cognito-idp", REGION)
        made = self.cognito.create_user_pool(PoolName="people", UsernameAttributes=["email"])
        self.id = made["UserPool"]["Id"]
        self.cognito.create_group(UserPoolId=self.id, GroupName="operator")

    def person(self, address):
        """Create a user in the operator group and return their `sub`."""
        verified = [{"Name": "email_verified", "Value": "true"}]
        user = {"UserPoolId": self.id, "Username": address}
        self.cognito.admin_create_user(**user, UserAttributes=verified)
        self.cognito.admin_add_user_to_group(**user, GroupName="operator")
        return Actor(id=self.sub(address), name=address)

    def sub(self, address):
        attributes = self.cognito.admin_get_user(UserPoolId=self.id, Username=address)["UserAttributes"]
        return next(one["Value"] for one in attributes if one["Name"] == "sub")

    def renamed(self, address, to):
        attributes = [{"Name": "email", "Value": to}]
        self.cognito.admin_update_user_attributes(
            UserPoolId=self.id, Username=address, UserAttributes=attributes
        )


@pytest.fixture
def pool(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        yield FakePool()


COMMAND = re.compile(r"^aws cognito-idp ([a-z-]+) (.*)$", re.MULTILINE)
"""In the guide."""


def test_the_guides_commands_do_what_it_says(pool):
    """Ana is invited with a verified address, loses her phone, gets another address, and leaves."""
    pool.cognito.create_group(UserPoolId=pool.id, GroupName="admin")
    told = {}
    for verb, options in COMMAND.findall(Path("docs/guides/people.md").read_text()):
        if verb == "admin-disable-user":
            ana = Actor(id=pool.sub("ana.b@example.org"), name="somebody")
            told["before"] = CognitoDirectory(pool.cognito, pool.id).find_user(ana)
        given = aws_cli.options(options.replace("POOL", pool.id))
        if verb == "admin-create-user":
            assert given["DesiredDeliveryMediums"] == ["EMAIL"], "Cognito's default is a text message"
        getattr(pool.cognito, verb.replace("-", "_"))(**given)
        told[verb] = given
    assert (told["before"].name, told["before"].groups) == ("ana.b@example.org", ("admin",))
    assert told["admin-set-user-mfa-preference"]["SoftwareTokenMfaSettings"]["Enabled"] is False
    assert CognitoDirectory(pool.cognito, pool.id).find_user(ana).gone


def test_groups_are_those_of_now_looked_up_once_a_minute(pool):
    bo, now = pool.person(BO), [0.0]
    people = CognitoDirectory(pool.cognito, pool.id, timer=lambda: now[0])
    assert people.find_user(bo).groups == ("operator",)
    pool.cognito.admin_remove_user_from_group(UserPoolId=pool.id, Username=BO, GroupName="operator")
    assert people.find_user(bo).groups == ("operator",)
    now[0] += CACHE_TTL_S + 1
    assert people.find_user(bo).groups == ()


def test_who_was_disabled_or_deleted_is_gone(pool):
    bo = pool.person(BO)
    assert not CognitoDirectory(pool.cognito, pool.id).find_user(bo).gone
    pool.cognito.admin_disable_user(UserPoolId=pool.id, Username=BO)
    assert CognitoDirectory(pool.cognito, pool.id).find_user(bo).gone
    pool.cognito.admin_enable_user(UserPoolId=pool.id, Username=BO)
    assert not CognitoDirectory(pool.cognito, pool.id).find_user(bo).gone
    pool.cognito.admin_delete_user(UserPoolId=pool.id, Username=BO)
    found = CognitoDirectory(pool.cognito, pool.id).find_user(bo)
    assert (found.gone, found.groups, found.name) == (True, (), BO)


def test_who_comes_back_under_the_same_address_is_somebody_else(pool):
    bo = pool.person(BO)
    pool.cognito.admin_delete_user(UserPoolId=pool.id, Username=BO)
    another = pool.person(BO)
    people = CognitoDirectory(pool.cognito, pool.id)
    assert (people.find_user(bo).gone, people.find_user(another).gone) == (True, False)


def test_a_person_is_the_same_under_a_new_address(pool):
    bo = pool.person(BO)
    pool.renamed(BO, "bo.two@example.org")
    found = CognitoDirectory(pool.cognito, pool.id).find_user(bo)
    assert (found.id, found.name, found.groups) == (bo.id, "bo.two@example.org", ("operator",))


@pytest.mark.parametrize("name", [BO, "operator", "agent:server-b"])
def test_no_user_is_found_by_an_invalid_id(pool, name):
    """Cognito also finds a user by e-mail address: the one that has it now."""
    pool.person(BO)
    assert CognitoDirectory(pool.cognito, pool.id).find_user(Actor.called(name)).gone


def test_an_address_names_who_has_it_now(pool):
    bo = pool.person(BO)
    people = CognitoDirectory(pool.cognito, pool.id)
    assert (people.named(BO).id, people.named(bo.id).id, people.named(BO).groups) == (
        bo.id,
        bo.id,
        ("operator",),
    )
    pool.renamed(BO, "bo.two@example.org")
    for address in (BO, "no address@at all", "@", "a@b@c", f"{'x' * 300}@example.org"):
        with pytest.raises(PersonUnknownError):
            people.named(address)
