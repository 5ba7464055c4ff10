"""The user pool: what a person can change of themselves, which must not make them somebody else."""

from typing import Any

from tests.unit.infra.conftest import Synthesised


def pools(*stages: Synthesised) -> list[dict[str, Any]]:
    return [pool for stage in stages for pool in stage.properties("AWS::Cognito::UserPool")]


def clients(*stages: Synthesised) -> list[dict[str, Any]]:
    return [client for stage in stages for client in stage.properties("AWS::Cognito::UserPoolClient")]


def test_people_sign_in_by_their_address_in_any_case(real: Synthesised, local: Synthesised) -> None:
    """Cognito never lets a pool change either."""
    for pool in pools(real, local):
        assert pool["UsernameAttributes"] == ["email"]
        assert pool["UsernameConfiguration"] == {"CaseSensitive": False}
        assert "AliasAttributes" not in pool


def test_a_new_address_counts_only_once_it_is_verified(real: Synthesised, local: Synthesised) -> None:
    for pool in pools(real, local):
        assert pool["UserAttributeUpdateSettings"] == {"AttributesRequireVerificationBeforeUpdate": ["email"]}
        assert pool["AutoVerifiedAttributes"] == ["email"]


def test_nobody_can_write_what_they_are_known_by(real: Synthesised, local: Synthesised) -> None:
    """An empty list would not do: Cognito takes it for all standard attributes."""
    for client in clients(real, local):
        assert client["WriteAttributes"] == ["locale"]


def test_a_token_says_no_more_than_is_shown(real: Synthesised, local: Synthesised) -> None:
    for client in clients(real, local):
        assert sorted(client["ReadAttributes"]) == ["email", "email_verified"]


def test_only_the_pool_says_who_is_in_which_group(real: Synthesised, local: Synthesised) -> None:
    """No trigger rewrites a token, nobody signs up by themselves, no other provider brings claims along."""
    for pool in pools(real, local):
        assert not pool.get("LambdaConfig")
        assert pool["AdminCreateUserConfig"] == {"AllowAdminCreateUserOnly": True}
    for client in clients(real, local):
        assert client["SupportedIdentityProviders"] == ["COGNITO"]
        assert client["EnableTokenRevocation"] is True
    for stage in (real, local):
        assert not stage.of_type("AWS::Cognito::UserPoolIdentityProvider")
