"""Signing in with Amazon Cognito over plain HTTPS, so that no AWS SDK is needed on an operator's machine.

Protocol: https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_InitiateAuth.html
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from agent.cli import srp
from agent.cli.errors import CliError, Exit, NotSignedInError
from agent.cloud import http

Ask = Callable[[str, str], str]
"""(question, what it is for) → the answer, never shown on the screen."""


@dataclass(frozen=True)
class Tokens:
    id_token: str
    refresh_token: str | None


@dataclass(frozen=True)
class Pool:
    """Where people of this stage sign in."""

    region: str
    client_id: str
    endpoint: str | None = None
    pool_id: str = ""
    """For signing in; what comes after does without."""

    @property
    def url(self) -> str:
        return self.endpoint or f"https://cognito-idp.{self.region}.amazonaws.com"


_CHALLENGES = {
    "NEW_PASSWORD_REQUIRED": ("New password", "NEW_PASSWORD"),
    "SOFTWARE_TOKEN_MFA": ("Code from your authenticator", "SOFTWARE_TOKEN_MFA_CODE"),
    "SMS_MFA": ("Code from the text message", "SMS_MFA_CODE"),
    "EMAIL_OTP": ("Code from the e-mail", "EMAIL_OTP_CODE"),
}
"""Cognito's further questions: what to ask, and the name of the answer."""

_ERRORS = {
    "NotAuthorizedException": CliError("wrong user or password", "Try again.", Exit.FORBIDDEN),
    "UserNotFoundException": CliError("wrong user or password", "Try again.", Exit.FORBIDDEN),
    "CodeMismatchException": CliError("that code is not right", "Sign in again.", Exit.FORBIDDEN),
    "PasswordResetRequiredException": CliError(
        "the password has to be reset", "Ask an administrator for a new one.", Exit.FORBIDDEN
    ),
    "UserNotConfirmedException": CliError(
        "this user is not confirmed yet", "Ask an administrator to confirm it.", Exit.FORBIDDEN
    ),
    "TooManyRequestsException": CliError(
        "too many attempts to sign in", "Wait a minute, then try again.", Exit.REFUSED
    ),
}


def sign_in(pool: Pool, user: str, password: str, ask: Ask) -> Tokens:
    """Tokens for a user, whose password does not leave this machine; `ask` answers what else Cognito wants to
    know (a new password, a code)."""
    proof = srp.SrpProof()
    answer = _initiate(pool, "USER_SRP_AUTH", {"USERNAME": user, "SRP_A": proof.public})
    while challenge := answer.get("ChallengeName"):
        if challenge == "PASSWORD_VERIFIER":
            given = _proven(pool, proof, answer, password)
        else:
            given = _given(challenge, answer, user, ask)
        answer = _respond(pool, challenge, answer, given)
    return _tokens(answer)


def refresh(pool: Pool, refresh_token: str) -> Tokens:
    """A fresh id token; NotSignedIn when the session has ended for good."""
    try:
        return _tokens(_initiate(pool, "REFRESH_TOKEN_AUTH", {"REFRESH_TOKEN": refresh_token}))
    except CliError as error:
        if error.code is Exit.FORBIDDEN:
            raise NotSignedInError("your session has ended") from None
        raise


def _initiate(pool: Pool, flow: str, parameters: dict[str, str]) -> dict[str, Any]:
    body = {"ClientId": pool.client_id, "AuthFlow": flow, "AuthParameters": parameters}
    return _call(pool, "InitiateAuth", body)


def _proven(pool: Pool, proof: srp.SrpProof, answer: dict[str, Any], password: str) -> dict[str, str]:
    try:
        return proof.answer(pool.pool_id, answer["ChallengeParameters"], password)
    except (KeyError, ValueError) as error:
        advice = "See that the address is right, and that nothing in between changes what it says."
        raise CliError("this is not how Cognito asks for a password", advice, Exit.UNREACHABLE) from error


def _given(challenge: str, answer: dict[str, Any], user: str, ask: Ask) -> dict[str, str]:
    if challenge not in _CHALLENGES:
        advice = "Ask an administrator for a user that signs in with a password."
        raise CliError(f"this command cannot answer Cognito's {challenge}", advice, Exit.FORBIDDEN)
    question, name = _CHALLENGES[challenge]
    known_as = answer.get("ChallengeParameters", {}).get("USER_ID_FOR_SRP", user)
    return {"USERNAME": known_as, name: ask(question, name)}


def _respond(pool: Pool, challenge: str, answer: dict[str, Any], given: dict[str, str]) -> dict[str, Any]:
    body = {
        "ClientId": pool.client_id,
        "ChallengeName": challenge,
        "Session": answer.get("Session"),
        "ChallengeResponses": given,
    }
    return _call(pool, "RespondToAuthChallenge", body)


def _tokens(answer: dict[str, Any]) -> Tokens:
    result = answer["AuthenticationResult"]
    return Tokens(id_token=result["IdToken"], refresh_token=result.get("RefreshToken"))


def _call(pool: Pool, action: str, body: dict[str, Any]) -> dict[str, Any]:
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
        return CliError(f"Cognito has an error of its own: {message}", "Try again later.", Exit.UNREACHABLE)
    return CliError(f"Cognito refused: {message}", "See what it says and try again.", Exit.FORBIDDEN)
