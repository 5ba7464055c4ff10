"""The user pool: what users can change about themselves must not change who they are."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.unit.infra.conftest import Synthesized, synthesize
from tests.unit.infra.test_infra_edge import stage_of


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
        assert pool["AdminCreateUserConfig"]["AllowAdminCreateUserOnly"] is True
    for client in clients(real, local):
        assert client["SupportedIdentityProviders"] == ["COGNITO"]
        assert client["EnableTokenRevocation"] is True
    for stage in (real, local):
        assert not stage.of_type("AWS::Cognito::UserPoolIdentityProvider")


def test_who_has_an_authenticator_is_asked_for_it_and_a_message_by_phone_is_no_factor(
    real: Synthesized, local: Synthesized
) -> None:
    for pool in pools(real, local):
        assert (pool["MfaConfiguration"], pool["EnabledMfas"]) == ("OPTIONAL", ["SOFTWARE_TOKEN_MFA"])


def test_a_stage_may_require_a_second_factor_of_everybody(tmp_path: Path) -> None:
    strict = synthesize(tmp_path, {"stage": "prod", "secondFactor": "required"})
    [pool] = pools(strict)
    assert (pool["MfaConfiguration"], pool["EnabledMfas"]) == ("ON", ["SOFTWARE_TOKEN_MFA"])
    assert strict.findings == []
    assert not [rule for rule in strict.accepted if "COG2" in rule]


@pytest.mark.parametrize("text", ["on", "yes", "Required"])
def test_a_misspelt_second_factor_is_not_taken_for_optional(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match="secondFactor"):
        stage_of(tmp_path, secondFactor=text)


def test_there_is_time_to_install_an_authenticator_app(real: Synthesized, local: Synthesized) -> None:
    """Cognito forgets an attempt to sign in after three minutes by default."""
    for client in clients(real, local):
        assert client["AuthSessionValidity"] == 15


def test_an_invitation_and_a_code_say_for_which_stage_they_are(real: Synthesized) -> None:
    [pool] = pools(real)
    invitation = pool["AdminCreateUserConfig"]["InviteMessageTemplate"]
    assert "prod" in invitation["EmailSubject"]
    assert "prod" in pool["VerificationMessageTemplate"]["EmailSubject"]


def test_e_mails_have_name_and_code_once_in_both_languages(real: Synthesized) -> None:
    """Cognito fills them in, and refuses a text without them."""
    [pool] = pools(real)
    invitation = pool["AdminCreateUserConfig"]["InviteMessageTemplate"]["EmailMessage"]
    assert sorted(re.findall(r"{.*?}", invitation)) == ["{####}", "{username}"]
    assert "the address that your administrator gives you" in invitation
    assert "You have been invited" in invitation
    assert "Sie wurden zu Crosshaul eingeladen" in invitation
    code = pool["VerificationMessageTemplate"]["EmailMessage"]
    assert re.findall(r"{.*?}", code) == ["{####}"]
    assert pool["EmailVerificationMessage"] == code


def test_a_forgotten_password_is_replaced_by_e_mail_only(real: Synthesized, local: Synthesized) -> None:
    for pool in pools(real, local):
        recovery = pool["AccountRecoverySetting"]["RecoveryMechanisms"]
        assert [one["Name"] for one in recovery] == ["verified_email"]
