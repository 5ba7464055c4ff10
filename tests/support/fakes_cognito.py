"""A fake Cognito user pool that answers as AWS documents it; also what the embedded cloud leaves out.

https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/Welcome.html
"""

import base64
import hmac
import itertools
import re
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.support.fakes_srp import Verifier

POOL_ID = "eu-central-1_Pool"
RESET_CODE = "654321"
STRONG = re.compile(r"(?=.*\d)(?=.*[a-z])(?=.*[A-Z])(?=.*[^\w\s]).{14,}")
Answer = tuple[int, Any]


def totp(key: str, at: float | None = None) -> str:
    """Return the code that an authenticator shows for a key in base32, now or at a time (RFC 6238)."""
    counter = struct.pack(">Q", int(time.time() if at is None else at) // 30)
    digest = hmac.digest(base64.b32decode(key), counter, "sha1")
    offset = digest[-1] & 15
    return f"{(int.from_bytes(digest[offset : offset + 4], 'big') & 0x7FFFFFFF) % 10**6:06d}"


@dataclass
class User:
    password: str
    temporary: bool = False
    """Whether Cognito asks for a new password at the first sign-in."""
    key: str = ""
    """Key of the verified authenticator."""
    second_factor: bool = False
    last_code: str = ""
    reset_code: str = ""


class _Refused(Exception):  # noqa: N818  # Cognito's answer
    def __init__(self, kind: str, message: str) -> None:
        self.kind, self.message = kind, message


class FakeCognito:
    """One user pool with one client; `issue` makes its id tokens."""

    def __init__(self, issue: Callable[[], str], pool_id: str = POOL_ID) -> None:
        self.users = {"ana": User("right")}
        self.required = False
        """Whether the stage requires a second factor."""
        self.refresh_tokens = {"refresh-1": "ana"}
        self.asked: list[tuple[str, dict[str, Any]]] = []
        """Requests: (action, body)."""
        self._issue, self._pool_id = issue, pool_id
        self._verifiers: dict[str, Verifier] = {}
        self._sessions: dict[str, str] = {}
        self._access: dict[str, str] = {}
        self._pending: dict[str, str] = {}
        """Keys that are not verified yet, by user."""
        self._serial = itertools.count(2)

    def answer(self, action: str, body: dict[str, Any]) -> Answer:
        self.asked.append((action, body))
        try:
            return 200, getattr(self, f"_{action}")(body)
        except _Refused as refused:
            return 400, {"__type": refused.kind, "message": refused.message}

    # Sign-in

    def _InitiateAuth(self, body: dict[str, Any]) -> Any:  # noqa: N802
        given = body["AuthParameters"]
        if body["AuthFlow"] == "REFRESH_TOKEN_AUTH":
            if not (name := self.refresh_tokens.get(given["REFRESH_TOKEN"])):
                raise _Refused("NotAuthorizedException", "Refresh Token has been revoked")
            return self._granted(name, refresh=False)
        if body["AuthFlow"] != "USER_SRP_AUTH":
            raise _Refused("InvalidParameterException", "Auth flow not enabled for this client")
        name = given["USERNAME"]
        user = self.users.get(name, User(""))
        self._verifiers[name] = Verifier(self._pool_id, name, user.password, given["SRP_A"])
        return self._challenge("PASSWORD_VERIFIER", name, self._verifiers[name].asked)

    def _RespondToAuthChallenge(self, body: dict[str, Any]) -> Any:  # noqa: N802
        given = body["ChallengeResponses"]
        name, user = given["USERNAME"], self.users.get(given["USERNAME"], User(""))
        if self._sessions.get(body["Session"]) != name:
            raise _Refused("NotAuthorizedException", "Invalid session for the user.")
        match body["ChallengeName"]:
            case "PASSWORD_VERIFIER":
                if not self._verifiers[name].is_right(given):
                    raise _Refused("NotAuthorizedException", "Incorrect username or password.")
                if user.temporary:
                    return self._challenge("NEW_PASSWORD_REQUIRED", name)
            case "NEW_PASSWORD_REQUIRED":
                self._set_password(user, given["NEW_PASSWORD"])
            case "SOFTWARE_TOKEN_MFA":
                self._check(user, given["SOFTWARE_TOKEN_MFA_CODE"])
                return self._granted(name)
            case "MFA_SETUP" if user.key:
                user.second_factor = True
                return self._granted(name)
            case _:
                raise _Refused("InvalidParameterException", "Invalid challenge")
        if user.second_factor:
            return self._challenge("SOFTWARE_TOKEN_MFA", name)
        if self.required:
            can = {"MFAS_CAN_SETUP": '["SOFTWARE_TOKEN_MFA"]'}
            return self._challenge("MFA_SETUP", name, can)
        return self._granted(name)

    def _challenge(self, kind: str, name: str, parameters: dict[str, str] | None = None) -> Any:
        return {
            "ChallengeName": kind,
            "Session": self._session(name),
            "ChallengeParameters": {"USER_ID_FOR_SRP": name, **(parameters or {})},
        }

    def _session(self, name: str) -> str:
        session = f"session-{next(self._serial)}"
        self._sessions[session] = name
        return session

    def _granted(self, name: str, *, refresh: bool = True) -> Any:
        result = {"IdToken": self._issue(), "AccessToken": f"access-{next(self._serial)}"}
        self._access[result["AccessToken"]] = name
        if refresh:
            result["RefreshToken"] = f"refresh-{next(self._serial)}"
            self.refresh_tokens[result["RefreshToken"]] = name
        return {"AuthenticationResult": result}

    # One's own account

    def _who(self, body: dict[str, Any]) -> str:
        """Return the user of an access token, or of a session where Cognito takes one."""
        known = self._access.get(body.get("AccessToken", "")) or self._sessions.get(body.get("Session", ""))
        if not known:
            raise _Refused("NotAuthorizedException", "Invalid Access Token")
        return known

    def _AssociateSoftwareToken(self, body: dict[str, Any]) -> Any:  # noqa: N802
        name = self._who(body)
        self._pending[name] = base64.b32encode(f"key {next(self._serial):016}".encode()).decode()
        session = {"Session": self._session(name)} if "Session" in body else {}
        return {"SecretCode": self._pending[name], **session}

    def _VerifySoftwareToken(self, body: dict[str, Any]) -> Any:  # noqa: N802
        name = self._who(body)
        key = self._pending.get(name, "")
        if not key or not _matches(key, body["UserCode"]):
            raise _Refused("EnableSoftwareTokenMFAException", "Code mismatch")
        self.users[name].key, self.users[name].last_code = key, body["UserCode"]
        return {"Status": "SUCCESS", **({"Session": self._session(name)} if "Session" in body else {})}

    def _SetUserMFAPreference(self, body: dict[str, Any]) -> Any:  # noqa: N802
        user = self.users[self._who(body)]
        wanted = body["SoftwareTokenMfaSettings"]["Enabled"]
        if wanted and not user.key:
            raise _Refused("InvalidParameterException", "User has not verified software token mfa")
        user.second_factor = wanted or (self.required and user.second_factor)
        return {}

    def _GetUser(self, body: dict[str, Any]) -> Any:  # noqa: N802
        name = self._who(body)
        on = {"UserMFASettingList": ["SOFTWARE_TOKEN_MFA"]} if self.users[name].second_factor else {}
        return {"Username": name, "UserAttributes": [], **on}

    def _ChangePassword(self, body: dict[str, Any]) -> Any:  # noqa: N802
        user = self.users[self._who(body)]
        if body["PreviousPassword"] != user.password:
            raise _Refused("NotAuthorizedException", "Incorrect username or password.")
        self._set_password(user, body["ProposedPassword"])
        return {}

    def _GlobalSignOut(self, body: dict[str, Any]) -> Any:  # noqa: N802
        name = self._who(body)
        self.refresh_tokens = {token: one for token, one in self.refresh_tokens.items() if one != name}
        self._access = {token: one for token, one in self._access.items() if one != name}
        return {}

    def _ForgotPassword(self, body: dict[str, Any]) -> Any:  # noqa: N802
        user = self.users.get(body["Username"], User(""))
        if user.temporary:
            what = "User password cannot be reset in the current state."
            raise _Refused("NotAuthorizedException", what)
        user.reset_code = RESET_CODE
        return {"CodeDeliveryDetails": {"Destination": "a***@e***", "DeliveryMedium": "EMAIL"}}

    def _ConfirmForgotPassword(self, body: dict[str, Any]) -> Any:  # noqa: N802
        user = self.users.get(body["Username"], User(""))
        if not user.reset_code or body["ConfirmationCode"] != user.reset_code:
            raise _Refused("CodeMismatchException", "Invalid verification code provided, please try again.")
        self._set_password(user, body["Password"])
        user.reset_code = ""
        return {}

    def _set_password(self, user: User, password: str) -> None:
        if not STRONG.fullmatch(password):
            raise _Refused("InvalidPasswordException", "Password did not conform with policy")
        user.password, user.temporary = password, False

    def _check(self, user: User, code: str) -> None:
        if code == user.last_code:
            raise _Refused("ExpiredCodeException", "Your software token has already been used once.")
        if not _matches(user.key, code):
            raise _Refused("CodeMismatchException", "Invalid code received for user")
        user.last_code = code


def _matches(key: str, code: str) -> bool:
    """Return whether an authenticator whose clock differs by half a minute at most shows this code."""
    now = time.time()
    return code in {totp(key, now + shift) for shift in (-30, 0, 30)}
