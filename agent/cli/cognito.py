"""Sign in with Amazon Cognito over plain HTTPS, so that operators need no AWS SDK.

Protocol: https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_InitiateAuth.html
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from agent.cli import srp
from agent.cli.errors import CliError, Exit, LoginRequiredError
from agent.cloud import http

Ask = Callable[[str, str], str]
"""(question, name of the challenge's answer) → the answer, which is never echoed."""

SetUp = Callable[[str], str]
"""Key of a new second factor, in base32 → the first code of the authenticator that has it."""


@dataclass(frozen=True)
class Tokens:
    id_token: str
    refresh_token: str | None
    access_token: str
    """Changes one's own account in Cognito; never stored."""


@dataclass(frozen=True)
class Pool:
    """The Cognito user pool of one stage."""

    region: str
    client_id: str
    endpoint: str | None = None
    pool_id: str = ""
    """Needed to sign in, not to refresh tokens."""

    @property
    def url(self) -> str:
        return self.endpoint or f"https://cognito-idp.{self.region}.amazonaws.com"


_CHALLENGES = {
    "NEW_PASSWORD_REQUIRED": ("New password", "NEW_PASSWORD"),
    "SOFTWARE_TOKEN_MFA": ("Code from your authenticator", "SOFTWARE_TOKEN_MFA_CODE"),
    "SMS_MFA": ("Code from the text message", "SMS_MFA_CODE"),
    "EMAIL_OTP": ("Code from the e-mail", "EMAIL_OTP_CODE"),
}
"""Cognito's further challenges: the question to ask, and the name of the answer in the response."""

_WRONG_CODE = CliError("wrong code", "Run the command again with the current code.", Exit.FORBIDDEN)
_ERRORS = {
    "NotAuthorizedException": CliError("wrong user or password", "Try again.", Exit.FORBIDDEN),
    "UserNotFoundException": CliError("wrong user or password", "Try again.", Exit.FORBIDDEN),
    "CodeMismatchException": _WRONG_CODE,
    "EnableSoftwareTokenMFAException": _WRONG_CODE,
    "ExpiredCodeException": CliError(
        "this code has expired, or was used before", "Run the command again with a new code.", Exit.FORBIDDEN
    ),
    "InvalidPasswordException": CliError(
        "the new password is too weak, or was used before",
        "Choose one of 14 characters or more, with lowercase and uppercase letters, a digit and a symbol.",
        Exit.USAGE,
    ),
    "LimitExceededException": CliError("too many attempts", "Wait an hour, then try again.", Exit.REFUSED),
    "TooManyFailedAttemptsException": CliError(
        "too many wrong codes", "Wait an hour, then request a new code.", Exit.REFUSED
    ),
    "CodeDeliveryFailureException": CliError(
        "the e-mail with the code could not be sent", "Ask an administrator for help.", Exit.UNREACHABLE
    ),
    "PasswordResetRequiredException": CliError(
        "the password has to be reset",
        "Choose a new one with `crosshaul account reset-password URL`.",
        Exit.FORBIDDEN,
    ),
    "UserNotConfirmedException": CliError(
        "this user is not confirmed yet", "Ask an administrator to confirm it.", Exit.FORBIDDEN
    ),
    "TooManyRequestsException": CliError(
        "too many sign-in attempts", "Wait a minute, then try again.", Exit.REFUSED
    ),
}


def sign_in(pool: Pool, user: str, password: str, ask: Ask, set_up: SetUp) -> Tokens:
    """Sign a user in and return the tokens; the password itself is never sent.

    `ask` answers Cognito's further challenges: a new password, a code. `set_up` is called if the stage
    requires a second factor and the user has none yet.

    Raises:
        CliError: Cognito refuses, or asks for something this command cannot answer.
    """
    proof = srp.SrpProof()
    answer = _initiate(pool, "USER_SRP_AUTH", {"USERNAME": user, "SRP_A": proof.public})
    while challenge := answer.get("ChallengeName"):
        if challenge == "PASSWORD_VERIFIER":
            responses = _password_responses(pool, proof, answer, password)
        elif challenge == "MFA_SETUP":
            answer, responses = _set_up_second_factor(pool, answer, user, set_up)
        else:
            responses = _challenge_responses(challenge, answer, user, ask)
        answer = _respond(pool, challenge, answer, responses)
    return _tokens(answer)


def refresh(pool: Pool, refresh_token: str) -> Tokens:
    """Return a new id token.

    Raises:
        LoginRequiredError: The refresh token has expired or was revoked.
    """
    try:
        return _tokens(_initiate(pool, "REFRESH_TOKEN_AUTH", {"REFRESH_TOKEN": refresh_token}))
    except CliError as error:
        if error.code is Exit.FORBIDDEN:
            raise LoginRequiredError("your session has ended") from None
        raise


def _initiate(pool: Pool, flow: str, parameters: dict[str, str]) -> dict[str, Any]:
    body = {"ClientId": pool.client_id, "AuthFlow": flow, "AuthParameters": parameters}
    return call(pool, "InitiateAuth", body)


def _password_responses(
    pool: Pool, proof: srp.SrpProof, answer: dict[str, Any], password: str
) -> dict[str, str]:
    try:
        return proof.answer(pool.pool_id, answer["ChallengeParameters"], password)
    except (KeyError, ValueError) as error:
        advice = "Check the API's address, and that no proxy changes Cognito's answers."
        raise CliError("Cognito's password challenge is not valid", advice, Exit.UNREACHABLE) from error


def _challenge_responses(challenge: str, answer: dict[str, Any], user: str, ask: Ask) -> dict[str, str]:
    if challenge not in _CHALLENGES:
        advice = "Ask an administrator for a user that signs in with a password."
        raise CliError(f"this command cannot answer Cognito's {challenge}", advice, Exit.FORBIDDEN)
    question, name = _CHALLENGES[challenge]
    return {"USERNAME": _user_id(answer, user), name: ask(question, name)}


def _set_up_second_factor(
    pool: Pool, answer: dict[str, Any], user: str, set_up: SetUp
) -> tuple[dict[str, Any], dict[str, str]]:
    """Add the second factor that the stage requires; return the answer with a new session, and responses."""
    given = call(pool, "AssociateSoftwareToken", {"Session": answer.get("Session")})
    verified = verify_second_factor(pool, {"Session": given.get("Session")}, set_up(given["SecretCode"]))
    return answer | {"Session": verified.get("Session")}, {"USERNAME": _user_id(answer, user)}


def verify_second_factor(pool: Pool, access: dict[str, Any], code: str) -> dict[str, Any]:
    """Show Cognito the first code of a new authenticator; `access` has a session or an access token.

    Raises:
        CliError: The code is wrong.
    """
    answer = call(pool, "VerifySoftwareToken", access | {"UserCode": code})
    if answer.get("Status") != "SUCCESS":
        raise CliError(_WRONG_CODE.what, _WRONG_CODE.advice, _WRONG_CODE.code)
    return answer


def _user_id(answer: dict[str, Any], user: str) -> str:
    """Return the name by which Cognito wants to be answered."""
    return str(answer.get("ChallengeParameters", {}).get("USER_ID_FOR_SRP", user))


def _respond(pool: Pool, challenge: str, answer: dict[str, Any], responses: dict[str, str]) -> dict[str, Any]:
    body = {
        "ClientId": pool.client_id,
        "ChallengeName": challenge,
        "Session": answer.get("Session"),
        "ChallengeResponses": responses,
    }
    return call(pool, "RespondToAuthChallenge", body)


def _tokens(answer: dict[str, Any]) -> Tokens:
    result = answer["AuthenticationResult"]
    return Tokens(result["IdToken"], result.get("RefreshToken"), result["AccessToken"])


def call(pool: Pool, action: str, body: dict[str, Any]) -> dict[str, Any]:
    """Call Cognito and return its answer.

    Raises:
        CliError: Cognito refuses, or fails.
    """
    headers = {
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": f"AWSCognitoIdentityProviderService.{action}",
    }
    with http.client(pool.url) as client:
        response = client.post("/", json=body, headers=headers)
    answer = _json(response)
    if response.is_success:
        return answer
    raise _error(response, answer)


def _json(response: httpx.Response) -> dict[str, Any]:
    try:
        answer = response.json()
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _error(response: httpx.Response, answer: dict[str, Any]) -> CliError:
    kind = str(answer.get("__type", "")).rpartition("#")[2]
    message = str(answer.get("message") or answer.get("Message") or f"HTTP status {response.status_code}")
    if kind in _ERRORS:
        known = _ERRORS[kind]
        return CliError(known.what, known.advice, known.code)
    if response.status_code >= 500:
        return CliError(f"Cognito failed: {message}", "Try again later.", Exit.UNREACHABLE)
    return CliError(
        f"Cognito refused: {message}", "Correct what the message names and sign in again.", Exit.FORBIDDEN
    )
