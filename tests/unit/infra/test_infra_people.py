"""The user pool: what users can change about themselves must not change who they are."""

from typing import Any

from tests.unit.infra.conftest import Synthesized


def pools(*stages: Synthesized) -> list[dict[str, Any]]:
    return [pool for stage in stages for pool in stage.properties("AWS::Cognito::UserPool")]


def clients(*stages: Synthesized) -> list[dict[str, Any]]:
    return [client for stage in stages for client in stage.properties("AWS::Cognito::UserPoolClient")]


def test_people_sign_in_by_their_address_in_any_case(real: Synthesized, local: Synthesized) -> None:
    """Cognito does not let a pool change either setting later."""
    for pool in pools(real, local):
        assert pool["UsernameAttributes"] == ["email"]
        assert pool["UsernameConfiguration"] == {"CaseSensitive": False}
        assert "AliasAttributes" not in pool


def test_a_new_address_counts_only_once_it_is_verified(real: Synthesized, local: Synthesized) -> None:
    for pool in pools(real, local):
        assert pool["UserAttributeUpdateSettings"] == {"AttributesRequireVerificationBeforeUpdate": ["email"]}
        assert pool["AutoVerifiedAttributes"] == ["email"]


def test_nobody_can_write_what_they_are_known_by(real: Synthesized, local: Synthesized) -> None:
    """An empty list would not work: to Cognito it means all standard attributes."""
    for client in clients(real, local):
        assert client["WriteAttributes"] == ["locale"]


def test_a_token_says_no_more_than_is_shown(real: Synthesized, local: Synthesized) -> None:
    for client in clients(real, local):
        assert sorted(client["ReadAttributes"]) == ["email", "email_verified"]


def test_only_the_pool_says_who_is_in_which_group(real: Synthesized, local: Synthesized) -> None:
    """No trigger rewrites tokens, self sign-up is off, and no other provider adds claims."""
    for pool in pools(real, local):
        assert not pool.get("LambdaConfig")
        assert pool["AdminCreateUserConfig"] == {"AllowAdminCreateUserOnly": True}
    for client in clients(real, local):
        assert client["SupportedIdentityProviders"] == ["COGNITO"]
        assert client["EnableTokenRevocation"] is True
    for stage in (real, local):
        assert not stage.of_type("AWS::Cognito::UserPoolIdentityProvider")
