"""HTTP to the API, for the command line and the agent: names under .localhost, and problem details.

`*.localhost` is this machine (RFC 6761, section 6.3), but not every resolver knows that: such hosts are
reached at 127.0.0.1, with the Host header unchanged.
"""

import contextlib
import ipaddress
import re
import ssl
from functools import cache
from typing import Any

import httpx
from pydantic import ValidationError

from agent import VERSION
from agent.problems import API_REFUSED
from events.base import Problem
from events.views import ProblemDetails

_PROBLEM_TYPE = re.compile(r"urn:crosshaul:problem:(?P<code>[a-z][a-z0-9-]*)")

_TIMEOUT = httpx.Timeout(35.0, connect=8.0)
"""Seconds; API Gateway itself gives up after 29."""


class ApiProblem(Exception):  # noqa: N818  (RFC 9457's own word)
    """The API refused a request, with problem details (RFC 9457)."""

    def __init__(self, details: ProblemDetails, retry_after: float | None = None) -> None:
        super().__init__(details.detail)
        self.details = details
        self.retry_after = retry_after
        """Seconds that the API asked to wait; None if it did not."""

    @property
    def status(self) -> int:
        return self.details.status

    @property
    def problem(self) -> Problem:
        """Return the refusal as a problem, as reports carry it."""
        match = _PROBLEM_TYPE.fullmatch(self.details.type)
        retryable = self.status == 429 or self.status >= 500
        detail, advice = self.details.detail, self.details.advice
        if match:
            return Problem(
                code=match["code"],
                message=detail,
                advice=advice,
                retryable=retryable,
                wording=self.details.wording,
                parameters=self.details.parameters,
            )
        return API_REFUSED.problem(detail=detail, advice=advice, retryable=retryable)


class LoopbackTransport(httpx.HTTPTransport):
    """httpx's transport, which also reaches `*.localhost`."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        host = request.url.host
        if host == "localhost" or host.endswith(".localhost"):
            request = _to_loopback(request)
        return super().handle_request(request)


def _to_loopback(request: httpx.Request) -> httpx.Request:
    return httpx.Request(
        request.method,
        request.url.copy_with(host="127.0.0.1"),
        headers=request.headers,
        stream=request.stream,
        extensions={**request.extensions, "sni_hostname": request.url.host},
    )


_LOOPBACK_PATTERNS = ("all://localhost", "all://*.localhost", "all://127.0.0.1", "all://[::1]")


def client(base_url: str, *, timeout: httpx.Timeout = _TIMEOUT) -> httpx.Client:
    """Return a client for the API at `base_url`; close it after use (`with`).

    The environment's proxies are used, but never for this machine.
    """
    headers = {"User-Agent": f"crosshaul/{VERSION}", "Accept": "application/json"}
    tls = _tls_context()
    mounts = dict.fromkeys(_LOOPBACK_PATTERNS, LoopbackTransport(verify=tls))
    return httpx.Client(base_url=base_url, timeout=timeout, headers=headers, mounts=mounts, verify=tls)


@cache
def _tls_context() -> ssl.SSLContext:
    """Return the context of all clients: reading the authorities takes 20 ms, and a client needs it twice."""
    return httpx.create_ssl_context()


def is_protected(url: str) -> bool:
    """Return whether what is sent to a URL can be read by nobody on the way: HTTPS, or this machine."""
    try:
        parts = httpx.URL(url)
    except httpx.InvalidURL:
        return False
    if parts.scheme == "https":
        return True
    host = parts.host
    with contextlib.suppress(ValueError):
        return parts.scheme == "http" and ipaddress.ip_address(host).is_loopback
    return parts.scheme == "http" and (host == "localhost" or host.endswith(".localhost"))


def raise_for_problem(response: httpx.Response) -> None:
    """Raise ApiProblem unless the response is a success."""
    if not response.is_success:
        raise ApiProblem(_details(response), _seconds(response.headers.get("Retry-After")))


def _details(response: httpx.Response) -> ProblemDetails:
    """Return the problem details; proxies answer in other formats.

    API Gateway's own refusals may lack the status.
    """
    body = _json_object(response)
    try:
        return ProblemDetails.model_validate(body | {"status": response.status_code})
    except ValidationError:
        text = body.get("message") or body.get("Message") or response.reason_phrase
        return ProblemDetails(
            type="about:blank",
            title=response.reason_phrase or "Error",
            status=response.status_code,
            detail=str(text or f"HTTP status {response.status_code}"),
        )


def _json_object(response: httpx.Response) -> dict[str, Any]:
    """Return the JSON object that is the answer; an empty one if it is anything else, such as a page."""
    try:
        body = response.json()
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def _seconds(text: str | None) -> float | None:
    return float(text) if text and text.isdecimal() else None
