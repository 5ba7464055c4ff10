"""Change one's own account in Cognito: password and second factor.

Protocol: https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_AssociateSoftwareToken.html
"""

from typing import Any
from urllib.parse import quote, urlencode

from agent.cli.cognito import Pool, SetUp, Tokens, call, verify_second_factor
from agent.cli.errors import CliError, Exit

_NO_RESET = CliError(
    "this password cannot be reset",
    "Ask an administrator to invite you again, or for a verified e-mail address.",
    Exit.FORBIDDEN,
)


def authenticator_uri(key: str, user: str, stage: str) -> str:
    """Return the URI that authenticator apps read: https://github.com/google/google-authenticator/wiki/Key-Uri-Format."""
    issuer = f"Crosshaul {stage}"
    parameters = urlencode({"secret": key, "issuer": issuer}, quote_via=quote)
    return f"otpauth://totp/{quote(issuer)}:{quote(user)}?{parameters}"


def has_second_factor(pool: Pool, tokens: Tokens) -> bool:
    return "SOFTWARE_TOKEN_MFA" in _account(pool, tokens).get("UserMFASettingList", [])


def add_second_factor(pool: Pool, tokens: Tokens, set_up: SetUp) -> None:
    """Ask for a code of an authenticator at each sign-in from now on; it replaces an earlier authenticator.

    Raises:
        CliError: The first code is wrong; then nothing has changed.
    """
    access = {"AccessToken": tokens.access_token}
    given = call(pool, "AssociateSoftwareToken", access)
    verify_second_factor(pool, access, set_up(given["SecretCode"]))
    _prefer(pool, tokens, enabled=True)


def remove_second_factor(pool: Pool, tokens: Tokens) -> None:
    """Sign in with the password alone from now on.

    Raises:
        CliError: The stage requires a second factor.
    """
    _prefer(pool, tokens, enabled=False)
    if has_second_factor(pool, tokens):
        what = "this stage requires a second factor"
        raise CliError(what, "Use `crosshaul account second-factor on` to replace it.", Exit.FORBIDDEN)


def change_password(pool: Pool, tokens: Tokens, old: str, new: str) -> None:
    """Replace the password.

    Raises:
        CliError: The new password is too weak, or was used before.
    """
    passwords = {"PreviousPassword": old, "ProposedPassword": new}
    call(pool, "ChangePassword", {"AccessToken": tokens.access_token, **passwords})


def end_sessions(pool: Pool, tokens: Tokens) -> None:
    """Revoke every refresh token of this user, on all machines; id tokens expire within the hour."""
    call(pool, "GlobalSignOut", {"AccessToken": tokens.access_token})


def send_reset_code(pool: Pool, user: str) -> str:
    """Have Cognito e-mail a code to the user; return the address, abbreviated, also if there is no such user.

    Raises:
        CliError: The user has no verified address, or has not signed in yet.
    """
    try:
        answer = call(pool, "ForgotPassword", {"ClientId": pool.client_id, "Username": user})
    except CliError as error:
        if error.code is Exit.FORBIDDEN:
            raise _NO_RESET from None
        raise
    return str(answer.get("CodeDeliveryDetails", {}).get("Destination", ""))


def reset_password(pool: Pool, user: str, code: str, new: str) -> None:
    """Set a new password with the code of the e-mail.

    Raises:
        CliError: The code is wrong or has expired, or the password is too weak.
    """
    given = {"ClientId": pool.client_id, "Username": user, "ConfirmationCode": code, "Password": new}
    call(pool, "ConfirmForgotPassword", given)


def _account(pool: Pool, tokens: Tokens) -> dict[str, Any]:
    return call(pool, "GetUser", {"AccessToken": tokens.access_token})


def _prefer(pool: Pool, tokens: Tokens, *, enabled: bool) -> None:
    settings = {"Enabled": enabled, "PreferredMfa": enabled}
    body = {"AccessToken": tokens.access_token, "SoftwareTokenMfaSettings": settings}
    call(pool, "SetUserMFAPreference", body)
