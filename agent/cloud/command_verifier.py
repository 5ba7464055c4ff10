"""Decide which commands the agent accepts: signed by the control plane, for this agent, now, and once.

Commands are JWTs (RFC 7519) with ES256 and no other algorithm; the keys came with the registration.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import jwt
from pydantic import ValidationError

from agent import problems
from events.base import WIRE, Problem
from events.commands import Claims, CommandEnvelope
from events.options import unknown_options
from events.validation_messages import describe_error, field_path

log = logging.getLogger(__name__)

MAX_MESSAGE_BYTES = 128 * 1024
"""Bytes of one message; AWS IoT Core's own limit."""
MAX_CLOCK_SKEW_S = 60
"""Seconds by which this host's clock and the control plane's may differ."""


class TrustError(Exception):
    """A command that is refused, and why; with its id and hop, as far as they could be read."""

    def __init__(self, problem: Problem, command_id: str | None = None, hop_id: str | None = None) -> None:
        super().__init__(problem.message)
        self.problem = problem
        self.command_id = command_id
        """The command's jti."""
        self.hop_id = hop_id


class CommandVerifier:
    """Verifies commands with the keys that this agent trusts."""

    def __init__(
        self, agent_id: str, keys: Iterable[Mapping[str, Any]], clock: Callable[[], float] = time.time
    ) -> None:
        """Create a verifier.

        Keys are JWKs (RFC 7517) of EC P-256 with a `kid`; keys of any other kind are ignored.
        """
        self._agent_id = agent_id
        self._keys = _usable_or_skipped(keys)
        self._clock = clock

    @property
    def keys(self) -> tuple[str, ...]:
        """Return the `kid` of each key."""
        return tuple(self._keys)

    def trust(self, keys: Iterable[Mapping[str, Any]]) -> None:
        """Trust these keys from now on, and no others.

        Raises TrustError if none of them can be used.
        """
        try:
            usable = _usable(keys)
        except (KeyError, TypeError, ValueError, jwt.PyJWTError) as error:
            reason = f"the new keys cannot be read: {error}"
            raise TrustError(problems.COMMAND_MALFORMED.problem(detail=reason)) from error
        if not usable:
            reason = "none of the new keys can sign a command"
            raise TrustError(problems.COMMAND_MALFORMED.problem(detail=reason))
        self._keys = usable

    def verify(self, message_bytes: bytes) -> tuple[Claims, str]:
        """Return the claims of a message's command and its token.

        Raises TrustError if the command must not be executed.
        """
        token = _envelope(message_bytes).token
        claims = self._claims(token)
        self._check_times(claims)
        return claims, token

    def _claims(self, token: str) -> Claims:
        key = self._key(token)
        try:
            payload = jwt.decode(
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
            raise TrustError(problems.COMMAND_MISDELIVERED.problem(agent_id=self._agent_id)) from None
        except jwt.PyJWTError as error:
            reason = f"the command's token is not valid: {error}"
            raise TrustError(problems.COMMAND_NOT_TRUSTED.problem(detail=reason)) from error
        return _parse_claims(payload)

    def _key(self, token: str) -> jwt.PyJWK:
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError as error:
            reason = f"the message contains no valid token: {error}"
            raise TrustError(problems.COMMAND_MALFORMED.problem(detail=reason)) from error
        if header.get("alg") != "ES256":
            reason = f"signed with {header.get('alg')}; only ES256 is accepted"
            raise TrustError(problems.COMMAND_NOT_TRUSTED.problem(detail=reason))
        key = self._keys.get(str(header.get("kid")))
        if key is None:
            raise TrustError(problems.COMMAND_KEY_UNKNOWN.problem(kid=header.get("kid")))
        return key

    def _check_times(self, claims: Claims) -> None:
        """Check the times last, and here, so that the error can name both clocks."""
        now = self._clock()
        if now > claims.exp + MAX_CLOCK_SKEW_S:
            problem = problems.COMMAND_EXPIRED.problem(expired=_utc(claims.exp), now=_utc(now))
            raise _clock_refusal(problem, claims)
        if now < claims.iat - MAX_CLOCK_SKEW_S:
            problem = problems.CLOCK_SKEW.problem(
                issued=_utc(claims.iat), now=_utc(now), behind=f"{claims.iat - now:.0f}"
            )
            raise _clock_refusal(problem, claims)


def _usable(keys: Iterable[Mapping[str, Any]]) -> dict[str, jwt.PyJWK]:
    return {key["kid"]: jwt.PyJWK(dict(key), "ES256") for key in keys if key.get("crv") == "P-256"}


def _usable_or_skipped(keys: Iterable[Mapping[str, Any]]) -> dict[str, jwt.PyJWK]:
    """Return the usable keys of the registration and log the others.

    A damaged key must not keep the agent from starting: another may be valid, and without any key every
    command is refused with the reason.
    """
    usable: dict[str, jwt.PyJWK] = {}
    for key in keys:
        try:
            usable |= _usable([key])
        except (KeyError, TypeError, ValueError, jwt.PyJWTError) as error:
            facts = {"kid": key.get("kid"), "reason": str(error)}
            log.warning("a key for commands cannot be used", extra=facts)
    return usable


def replayed(command_id: str) -> TrustError:
    """Return the refusal of a command whose id is in the journal already."""
    return TrustError(problems.COMMAND_REPLAYED.problem(), command_id)


def possibly_replayed(command_id: str, issued_at: float, journal_created_at: float) -> TrustError:
    """Return the refusal of a command from before the journal: a lost one may have had its id."""
    problem = problems.COMMAND_BEFORE_JOURNAL.problem(
        issued=_utc(issued_at), created=_utc(journal_created_at)
    )
    return TrustError(problem, command_id)


def _envelope(message_bytes: bytes) -> CommandEnvelope:
    if len(message_bytes) > MAX_MESSAGE_BYTES:
        raise TrustError(problems.COMMAND_TOO_LARGE.problem(size=len(message_bytes), limit=MAX_MESSAGE_BYTES))
    try:
        envelope = CommandEnvelope.model_validate_json(message_bytes)
    except ValidationError as error:
        reason = f"the message is not a command: {_first(error)}"
        raise TrustError(problems.COMMAND_MALFORMED.problem(detail=reason)) from error
    if envelope.wire > WIRE:
        raise TrustError(problems.WIRE_UNKNOWN.problem(received=envelope.wire, known=WIRE))
    return envelope


def _parse_claims(payload: dict[str, Any]) -> Claims:
    try:
        claims = Claims.model_validate(payload)
    except ValidationError as error:
        problem = problems.COMMAND_NOT_UNDERSTOOD.problem(reason=_first(error))
        raise TrustError(problem, str(payload["jti"])) from error
    _warn_unknown(claims, payload["command"])
    return claims


def _warn_unknown(claims: Claims, command: dict[str, Any]) -> None:
    """Log the options that a newer control plane has set and this agent does not know."""
    if unknown := unknown_options(command.get("options")):
        facts = {"command_id": claims.jti, "hop_id": getattr(claims.command, "hop_id", None)}
        log.warning(
            "unknown options ignored",
            extra={**facts, "options": ", ".join(unknown), "advice": problems.COMMAND_NOT_UNDERSTOOD.advice},
        )


def _first(error: ValidationError) -> str:
    first_error = error.errors(include_input=False, include_url=False)[0]
    return f"{field_path(first_error) or 'the whole message'}: {describe_error(first_error)}"


def _clock_refusal(problem: Problem, claims: Claims) -> TrustError:
    return TrustError(problem, claims.jti, getattr(claims.command, "hop_id", None))


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
