"""One request: who calls, and its parts parsed into what the view takes."""

import hashlib
import secrets
from collections.abc import Callable
from functools import cached_property
from typing import Any, TypeVar

from chalice.app import Request
from pydantic import BaseModel, TypeAdapter, ValidationError

from events.base import Actor, Problem
from lambdas import wiring
from lambdas.api.auth import caller
from lambdas.api.problems import RequestError, malformed, too_large, validation_problem
from lambdas.audit.recorder import ANONYMOUS_ID
from lambdas.domain.authorization import Principal
from lambdas.domain.errors import NotSignedInError

M = TypeVar("M", bound=BaseModel)

MAX_IDEMPOTENCY_KEY_CHARS = 255
"""Characters of an Idempotency-Key."""


class Call:
    """What a view may want to know of the request, besides body, query and path."""

    def __init__(self, request: Request) -> None:
        self._request = request

    @cached_property
    def caller(self) -> Principal:
        """The signed-in person; raises NotSignedInError."""
        return caller(self._request.context, wiring.settings().user_pool_id)

    @property
    def actor(self) -> Actor:
        return self.caller.actor

    @property
    def principal(self) -> Principal:
        """The signed-in person, or nobody, from where the request came."""
        try:
            return self.caller
        except NotSignedInError:
            return Principal(ANONYMOUS_ID, address=self.source_ip)

    @property
    def operation(self) -> str:
        """`POST /transfers/{transfer_id}/cancel`."""
        context = self._request.context
        return f"{context['httpMethod']} {context['resourcePath']}"

    @property
    def path(self) -> str:
        """As it was called."""
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
        """The API's own address. The embedded cloud, which names no domain, has it under .localhost."""
        context = self._request.context
        if domain := context.get("domainName"):
            return f"https://{domain}/{context['stage']}"
        port = (self.header("Host") or "").rpartition(":")[2]
        return f"http://{context['apiId']}.execute-api.localhost:{port}/{context['stage']}"

    def header(self, name: str) -> str | None:
        value: str | None = self._request.headers.get(name)
        return value

    @property
    def idempotency_key(self) -> str | None:
        """Raises RequestError if it is empty or too long."""
        key = self.header("Idempotency-Key")
        if key is not None and not 0 < len(key) <= MAX_IDEMPOTENCY_KEY_CHARS:
            raise malformed(
                f"An Idempotency-Key has 1 to {MAX_IDEMPOTENCY_KEY_CHARS} characters.",
                "Send a new UUID with every new wish.",
            )
        return key

    def new_id(self) -> str:
        """Of what this call makes, 12 hex digits. The same wish of the same person, told by its
        Idempotency-Key, has the same id, so that repeating it makes no second one."""
        key = self.idempotency_key
        if key is None:
            return secrets.token_hex(6)
        return hashlib.sha256(f"{self.caller.id}\n{key}".encode()).hexdigest()[:12]

    def once(self, operation: str, body: BaseModel | None, action: Callable[[], object]) -> None:
        """Do it, unless this person did the same with the same Idempotency-Key before; then do nothing.

        Raises ReusedKeyError if the key came with another body, and whatever `act` raises.
        """
        if key := self.idempotency_key:
            content = body.model_dump_json() if body else ""
            wiring.idempotency()(
                f"{self.caller.id} {operation} {key}", content, action, self._request.lambda_context
            )
        else:
            action()

    @property
    def query(self) -> dict[str, str]:
        """The last value of each parameter."""
        parameters: Any = self._request.query_params or {}
        return {name: parameters[name] for name in parameters}

    def body(self, limit: int) -> bytes:
        """The body's bytes, at most so many; raises RequestError."""
        try:
            raw = self._request.raw_body or b""
        except ValueError as error:
            raise malformed("The body is not what its encoding says.", "Send JSON, as UTF-8.") from error
        if len(raw) > limit:
            raise too_large(limit)
        return raw if isinstance(raw, bytes) else raw.encode()


def parse_body(model: type[M], call: Call, limit: int) -> M:
    """400 if it is no JSON, 422 if it does not fit, 413 if it is too large."""
    raw = call.body(limit)
    if not raw.strip():
        raise malformed("A body is missing.", "Send JSON; GET /openapi.json says what.")
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        if first["type"] == "json_invalid":
            raise malformed(f"The body is not JSON: {first['msg']}.", "Send JSON, as UTF-8.") from error
        raise validation_problem(error, "body", 422) from error


def parse_query(model: type[M], call: Call) -> M:
    """400 if a parameter is unknown or does not fit."""
    try:
        return model.model_validate(call.query)
    except ValidationError as error:
        raise validation_problem(error, "query", 400) from error


def parse_path(model: Any, name: str, value: str) -> Any:
    """404 if nothing could have such a name."""
    try:
        return TypeAdapter(model).validate_python(value)
    except ValidationError as error:
        message = f"{value!r} cannot be a {name}: there is nothing of that name."
        raise RequestError(
            404, Problem(code="not-found", message=message, advice="Check how it is written.")
        ) from error
