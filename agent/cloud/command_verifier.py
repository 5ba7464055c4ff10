"""Which letters the agent obeys: only commands signed by the control plane, for this agent, now, and once.

JWT (RFC 7519) with ES256 and no other algorithm; the keys came with the registration.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import jwt
from pydantic import ValidationError

from events.base import WIRE, Problem
from events.commands import Claims, CommandEnvelope
from events.options import unknown_options
from events.validation_messages import field_path, message

log = logging.getLogger(__name__)

MAX_MESSAGE_BYTES = 128 * 1024
"""Bytes; AWS IoT Core's own limit for one message."""
MAX_CLOCK_SKEW_S = 60
"""Seconds by which this host's clock and the control plane's may differ."""

_UPDATE = "update the agent on this host to the control plane's version"
_CLOCK = "set this host's clock (timedatectl status); commands are valid for minutes only"


class TrustError(Exception):
    """A letter that is not obeyed, and why; whose it was, as far as that could be read."""

    def __init__(self, problem: Problem, command_id: str | None = None, hop_id: str | None = None) -> None:
        super().__init__(problem.message)
        self.problem = problem
        self.command_id = command_id
        """The command's jti."""
        self.hop_id = hop_id


class CommandVerifier:
    """Knows the keys that commands to this agent may be signed with."""

    def __init__(
        self, agent_id: str, keys: Iterable[Mapping[str, Any]], clock: Callable[[], float] = time.time
    ) -> None:
        """Keys are JWKs (RFC 7517) of EC P-256 with a `kid`; any other kind of key is left out."""
        self._agent_id = agent_id
        self._keys = _usable_of(keys)
        self._clock = clock

    @property
    def keys(self) -> tuple[str, ...]:
        """The `kid` of each."""
        return tuple(self._keys)

    def trust(self, keys: Iterable[Mapping[str, Any]]) -> None:
        """Obey these from now on, and no others. TrustError if none of them can be used."""
        try:
            usable = _usable(keys)
        except (KeyError, TypeError, ValueError, jwt.PyJWTError) as error:
            raise _refusal("command-malformed", f"it brings keys that are none: {error}") from error
        if not usable:
            raise _refusal("command-malformed", "it brings no key that could sign a command")
        self._keys = usable

    def verify(self, letter: bytes) -> tuple[Claims, str]:
        """The claims of a letter's command and its token; TrustError if it must not be obeyed."""
        token = _order(letter).token
        claims = self._claims(token)
        self._check_times(claims)
        return claims, token

    def _claims(self, token: str) -> Claims:
        key = self._key(token)
        try:
            found = jwt.decode(
                token,
                key.key,
                algorithms=["ES256"],
                audience=self._agent_id,
                issuer="crosshaul",
                options={
                    "require": ["exp", "iat", "jti", "aud", "iss"],
                    "verify_exp": False,
                    "verify_iat": False,
                    "strict_aud": True,
                },
            )
        except jwt.InvalidAudienceError:
            raise _refusal("command-misdelivered", f"the command is not for {self._agent_id}") from None
        except jwt.PyJWTError as error:
            raise _refusal("command-not-trusted", f"the command's token is not valid: {error}") from error
        return _understood(found)

    def _key(self, token: str) -> jwt.PyJWK:
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError as error:
            raise _refusal("command-malformed", f"the letter holds no token: {error}") from error
        if header.get("alg") != "ES256":
            raise _refusal("command-not-trusted", f"signed by {header.get('alg')}, only ES256 is obeyed")
        key = self._keys.get(str(header.get("kid")))
        if key is None:
            advice = "register this agent again if the control plane's signing key was replaced"
            raise _refusal("command-not-trusted", f"signed by an unknown key {header.get('kid')}", advice)
        return key

    def _check_times(self, claims: Claims) -> None:
        """Times last, and here, so that the error can tell both clocks."""
        now = self._clock()
        if now > claims.exp + MAX_CLOCK_SKEW_S:
            message = f"the command expired at {_utc(claims.exp)}, this host's clock says {_utc(now)}"
            raise _untimely("command-expired", message, claims)
        if now < claims.iat - MAX_CLOCK_SKEW_S:
            message = (
                f"the command is from {_utc(claims.iat)}, this host's clock says {_utc(now)}:"
                f" it is {claims.iat - now:.0f} s behind"
            )
            raise _untimely("clock-skew", message, claims)


def _usable(keys: Iterable[Mapping[str, Any]]) -> dict[str, jwt.PyJWK]:
    return {key["kid"]: jwt.PyJWK(dict(key), "ES256") for key in keys if key.get("crv") == "P-256"}


def _usable_of(keys: Iterable[Mapping[str, Any]]) -> dict[str, jwt.PyJWK]:
    """Return those of the registration that can be used. One that is damaged must not keep the agent from its
    start: another may be good, and without any it says of every command that it cannot be trusted."""
    found: dict[str, jwt.PyJWK] = {}
    for key in keys:
        try:
            found |= _usable([key])
        except (KeyError, TypeError, ValueError, jwt.PyJWTError) as error:
            facts = {"kid": key.get("kid"), "reason": str(error)}
            log.warning("a key for commands cannot be used", extra=facts)
    return found


def replayed(command_id: str) -> TrustError:
    """For a command whose id the journal has already."""
    message = "the command was obeyed before; each is good for once"
    return TrustError(Problem(code="command-replayed", message=message), command_id)


def _order(letter: bytes) -> CommandEnvelope:
    if len(letter) > MAX_MESSAGE_BYTES:
        raise _refusal(
            "command-too-large", f"a letter of {len(letter)} bytes; {MAX_MESSAGE_BYTES} are the limit"
        )
    try:
        order = CommandEnvelope.model_validate_json(letter)
    except ValidationError as error:
        raise _refusal("command-malformed", f"not a letter: {_first(error)}") from error
    if order.wire > WIRE:
        raise _refusal("wire-unknown", f"the letter speaks wire {order.wire}, this agent {WIRE}", _UPDATE)
    return order


def _understood(found: dict[str, Any]) -> Claims:
    try:
        claims = Claims.model_validate(found)
    except ValidationError as error:
        problem = Problem(
            code="command-malformed", message=f"not understood: {_first(error)}", advice=_UPDATE
        )
        raise TrustError(problem, str(found["jti"])) from error
    _tell_unknown(claims, found["command"])
    return claims


def _tell_unknown(claims: Claims, command: dict[str, Any]) -> None:
    """What a newer control plane wants besides, and this agent cannot do."""
    if unknown := unknown_options(command.get("options")):
        facts = {"command_id": claims.jti, "hop_id": getattr(claims.command, "hop_id", None)}
        log.warning(
            "unknown options ignored", extra={**facts, "options": ", ".join(unknown), "advice": _UPDATE}
        )


def _first(error: ValidationError) -> str:
    part = error.errors(include_input=False, include_url=False)[0]
    return f"{field_path(part) or 'the whole'}: {message(part)}"


def _refusal(code: str, message: str, advice: str = "") -> TrustError:
    return TrustError(Problem(code=code, message=message, advice=advice))


def _untimely(code: str, message: str, claims: Claims) -> TrustError:
    hop_id = getattr(claims.command, "hop_id", None)
    return TrustError(Problem(code=code, message=message, advice=_CLOCK), claims.jti, hop_id)


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
