"""One API request: its caller, and its body, query and path parsed into the models of the view."""

import hashlib
import secrets
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import Any, TypeVar

from chalice.app import Request
from pydantic import BaseModel, TypeAdapter, ValidationError

from events.base import Actor
from lambdas import adapters
from lambdas.api.auth import caller
from lambdas.api.problems import RequestError, validation_problem
from lambdas.audit.recorder import ANONYMOUS_ID
from lambdas.domain.authorization import Principal
from lambdas.domain.errors import NotSignedInError
from lambdas.domain.problems import INVALID_BODY, INVALID_QUERY, MALFORMED, NOT_FOUND, TOO_LARGE

M = TypeVar("M", bound=BaseModel)

MAX_IDEMPOTENCY_KEY_CHARS = 255
"""Maximum length of an Idempotency-Key, in characters."""


class Call:
    """What a view may read of the request, besides body, query and path."""

    def __init__(self, request: Request) -> None:
        self._request = request

    @cached_property
    def caller(self) -> Principal:
        """The signed-in user with their groups of now; raises NotSignedInError.

        A token is valid for an hour and names the groups of its beginning. The user pool is asked, at most
        once a minute, so that a disabled account or a lost group counts at once.
        """
        claimed = caller(self._request.context, adapters.settings().user_pool_id)
        current = adapters.user_directory().find_user(claimed.actor)
        return replace(claimed, groups=current.groups, gone=current.gone)

    @property
    def actor(self) -> Actor:
        """The signed-in user as records name them; raises NotSignedInError."""
        return self.caller.actor

    @property
    def principal(self) -> Principal:
        """The signed-in user, or an anonymous principal with the address of the request."""
        try:
            return self.caller
        except NotSignedInError:
            return Principal(ANONYMOUS_ID, address=self.source_ip)

    @property
    def operation(self) -> str:
        """Method and route, for example `POST /transfers/{transfer_id}/cancel`."""
        context = self._request.context
        return f"{context['httpMethod']} {context['resourcePath']}"

    @property
    def path(self) -> str:
        """The path of the request, with its parameters filled in."""
        parameters: dict[str, str] = self._request.uri_params or {}
        return str(self._request.context["resourcePath"]).format(**parameters)

    @property
    def request_id(self) -> str:
        return str(self._request.context.get("requestId", "unknown"))

    @property
    def source_ip(self) -> str | None:
        return (self._request.context.get("identity") or {}).get("sourceIp")

    @property
    def address(self) -> str:
        """The base URL of this API: the one that agents use, whichever this call has come by.

        The embedded cloud has no domain name and serves under `.localhost`.
        """
        context = self._request.context
        if domain := context.get("domainName"):
            return adapters.settings().api_url or f"https://{domain}/{context['stage']}"
        port = (self.header("Host") or "").rpartition(":")[2]
        return f"http://{context['apiId']}.execute-api.localhost:{port}/{context['stage']}"

    def header(self, name: str) -> str | None:
        value: str | None = self._request.headers.get(name)
        return value

    @property
    def idempotency_key(self) -> str | None:
        """The Idempotency-Key header; raises RequestError if it is empty or too long."""
        key = self.header("Idempotency-Key")
        if key is not None and not 0 < len(key) <= MAX_IDEMPOTENCY_KEY_CHARS:
            raise RequestError(
                MALFORMED,
                f"An Idempotency-Key has 1 to {MAX_IDEMPOTENCY_KEY_CHARS} characters.",
                "Send a new UUID with each new request.",
            )
        return key

    def new_id(self) -> str:
        """Return an id for what this call creates, 12 hex digits.

        With an Idempotency-Key the id is derived from caller and key, so repeating a request creates nothing
        twice.
        """
        key = self.idempotency_key
        if key is None:
            return secrets.token_hex(6)
        return hashlib.sha256(f"{self.caller.id}\n{key}".encode()).hexdigest()[:12]

    def once(self, operation: str, body: BaseModel | None, action: Callable[[], object]) -> None:
        """Run the action, unless this user ran the same operation with the same Idempotency-Key before.

        Raises:
            ReusedKeyError: The key was used with another body.
            StaleError: A request with the same key is still running.
            Exception: Whatever `action` raises.
        """
        if key := self.idempotency_key:
            content = body.model_dump_json() if body else ""
            adapters.idempotency()(
                f"{self.caller.id} {operation} {key}", content, action, self._request.lambda_context
            )
        else:
            action()

    @property
    def query(self) -> dict[str, str]:
        """The query parameters; of a repeated one, the last value."""
        parameters: Any = self._request.query_params or {}
        return {name: parameters[name] for name in parameters}

    def body(self, limit: int) -> bytes:
        """Return the body; raises RequestError if it exceeds `limit` bytes or is wrongly encoded."""
        try:
            raw = self._request.raw_body or b""
        except ValueError as error:
            raise RequestError(
                MALFORMED, "The body does not match its content encoding.", "Send JSON, as UTF-8."
            ) from error
        if len(raw) > limit:
            raise RequestError(TOO_LARGE, limit=limit)
        return raw if isinstance(raw, bytes) else raw.encode()

    @property
    def body_digest(self) -> str:
        """The SHA-256 of the body, or of nothing if it cannot be read."""
        try:
            raw = self.body(sys.maxsize)
        except RequestError:
            raw = b""
        return hashlib.sha256(raw).hexdigest()


def parse_body(model: type[M], call: Call, limit: int) -> M:
    """Parse the body.

    Raises:
        RequestError: 400 if it is missing or not JSON, 413 if it is larger than `limit` bytes, 422 if it does
            not match the model.
    """
    raw = call.body(limit)
    if not raw.strip():
        raise RequestError(MALFORMED, "The body is missing.", "Send JSON; GET /openapi.json describes it.")
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        if first["type"] == "json_invalid":
            raise RequestError(
                MALFORMED, f"The body is not JSON: {first['msg']}.", "Send JSON, as UTF-8."
            ) from error
        raise validation_problem(error, "body", INVALID_BODY) from error


def parse_query(model: type[M], call: Call) -> M:
    """Parse the query; raises RequestError (400) if a parameter is unknown or invalid."""
    try:
        return model.model_validate(call.query)
    except ValidationError as error:
        raise validation_problem(error, "query", INVALID_QUERY) from error


def parse_path(model: Any, name: str, value: str) -> Any:
    """Parse one path parameter; raises RequestError (404) if it cannot be the name of anything."""
    try:
        return TypeAdapter(model).validate_python(value)
    except ValidationError as error:
        raise RequestError(NOT_FOUND, value=repr(value), name=name) from error
