"""HTTP to the API, for the operator's command and the agent alike: names under .localhost, and problems.

`*.localhost` is this machine (RFC 6761, section 6.3), which Python's resolver does not know everywhere:
such a host is dialled at 127.0.0.1, with the Host header as it was.
"""

import re

import httpx
from pydantic import ValidationError

from agent import VERSION
from events.base import Problem
from events.views import ProblemDetails

_OURS = re.compile(r"urn:crosshaul:problem:(?P<code>[a-z][a-z0-9-]*)")

_TIMEOUT = httpx.Timeout(35.0, connect=8.0)
"""Seconds; API Gateway itself gives up after 29."""


class ApiProblem(Exception):  # noqa: N818  (RFC 9457's own word)
    """The API refused, and said why (RFC 9457)."""

    def __init__(self, details: ProblemDetails, retry_after: float | None = None) -> None:
        super().__init__(details.detail)
        self.details = details
        self.retry_after = retry_after
        """Seconds that the API asked us to wait, if it did."""

    @property
    def status(self) -> int:
        return self.details.status

    @property
    def problem(self) -> Problem:
        """The same in the words that reports carry."""
        named = _OURS.fullmatch(self.details.type)
        code = named["code"] if named else "api-refused"
        retryable = self.status == 429 or self.status >= 500
        advice = self.details.advice
        return Problem(code=code, message=self.details.detail, advice=advice, retryable=retryable)


class LoopbackTransport(httpx.HTTPTransport):
    """httpx's own transport, which finds `*.localhost`."""

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


_ON_THIS_MACHINE = ("all://localhost", "all://*.localhost", "all://127.0.0.1", "all://[::1]")


def client(base_url: str, *, timeout: httpx.Timeout = _TIMEOUT) -> httpx.Client:
    """A client for the API at `base_url`; close it after use (`with`). The environment's proxies are used,
    but never for this machine."""
    headers = {"User-Agent": f"crosshaul/{VERSION}", "Accept": "application/json"}
    mounts = dict.fromkeys(_ON_THIS_MACHINE, LoopbackTransport())
    return httpx.Client(base_url=base_url, timeout=timeout, headers=headers, mounts=mounts)


def raise_for_problem(response: httpx.Response) -> None:
    """Raise ApiProblem unless the response is a success."""
    if not response.is_success:
        raise ApiProblem(_details(response), _seconds(response.headers.get("Retry-After")))


def _details(response: httpx.Response) -> ProblemDetails:
    """The problem as the API told it; API Gateway and proxies answer in words of their own."""
    try:
        return ProblemDetails.model_validate_json(response.content)
    except ValidationError:
        return ProblemDetails(
            type="about:blank",
            title=response.reason_phrase or "Error",
            status=response.status_code,
            detail=_words(response) or f"HTTP status {response.status_code}",
        )


def _words(response: httpx.Response) -> str:
    try:
        answer = response.json()
    except ValueError:
        return response.reason_phrase
    said = answer.get("message") or answer.get("Message") if isinstance(answer, dict) else None
    return str(said or response.reason_phrase)


def _seconds(text: str | None) -> float | None:
    return float(text) if text and text.isdecimal() else None
