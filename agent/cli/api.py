"""The operator's HTTP client for the API: renews the token, retries safely, raises typed errors."""

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import httpx

from agent.cli import cognito, session
from agent.cli.errors import CliError, Exit
from agent.cli.session import Session
from agent.cli.timing import Timing, current
from agent.cloud import http

_RETRYABLE_STATUS = {429, 502, 503}
"""HTTP status codes of requests that the control plane did not process."""

PAGE_SIZE = 100


class ApiClient:
    """The API as one signed-in user. Every call may raise ApiProblem, httpx.TransportError or CliError."""

    def __init__(self, client: httpx.Client, signed_in: Session, timing: Timing = Timing()) -> None:
        self._client = client
        self._session = signed_in
        self.timing = timing

    def get(self, *path: str, **query: str | int | None) -> Any:
        params = {name: value for name, value in query.items() if value is not None}
        return self._call("GET", path, params=params)

    def glance(self, *path: str, **query: str | int | None) -> Any:
        """Send a GET once, without retries, for callers that poll anyway or can do without the answer."""
        return self._call("GET", path, delays=(), params=query)

    def post(self, *path: str, body: Any = None) -> Any:
        """Send a POST with a new Idempotency-Key, so that a retry cannot take effect twice."""
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        return self._call("POST", path, json={} if body is None else body, headers=headers)

    def signal(self, *path: str, body: Any) -> None:
        """Send a POST once, without retries, for callers that repeat it anyway."""
        self._call("POST", path, delays=(), json=body)

    def put(self, *path: str, body: Any, **query: str | int | None) -> Any:
        params = {name: value for name, value in query.items() if value is not None}
        return self._call("PUT", path, json=body, params=params)

    def delete(self, *path: str, **query: str | int | None) -> Any:
        params = {name: value for name, value in query.items() if value is not None}
        return self._call("DELETE", path, params=params)

    def pages(self, *path: str, limit: int = PAGE_SIZE, **query: str | int | None) -> Iterator[Any]:
        """Yield the pages of a list, requesting each page only when the caller asks for it."""
        after: str | None = None
        while True:
            page = self.get(*path, limit=limit, after=after, **query)
            yield page
            after = page.get("next")
            if not after:
                return

    def _call(
        self, method: str, path: tuple[str, ...], *, delays: tuple[float, ...] | None = None, **request: Any
    ) -> Any:
        address = "/".join(quote(part, safe="") for part in path)
        delays = self.timing.retry_delays_s if delays is None else delays
        response = self._send_with_retry(method, address, request, delays)
        if response.status_code == 401:  # revoked or expired early: renew the token, once
            self._refresh()
            response = self._send_with_retry(method, address, request, delays)
        http.raise_for_problem(response)
        return _content(response)

    def _send_with_retry(
        self, method: str, address: str, request: dict[str, Any], delays: tuple[float, ...]
    ) -> httpx.Response:
        for delay in delays:
            try:
                response = self._send(method, address, request)
            except httpx.TransportError as error:
                if not _may_repeat(method, error):
                    raise
            else:
                if response.status_code not in _RETRYABLE_STATUS:
                    return response
            time.sleep(delay)
        return self._send(method, address, request)

    def _send(self, method: str, address: str, request: dict[str, Any]) -> httpx.Response:
        if self._session.is_stale():
            self._refresh()
        headers = {**request.get("headers", {}), "Authorization": f"Bearer {self._session.id_token}"}
        return self._client.request(method, address, **{**request, "headers": headers})

    def _refresh(self) -> None:
        tokens = cognito.refresh(pool_of(self._session), self._session.refresh_token)
        self._session = self._session.with_token(tokens.id_token, tokens.refresh_token)
        session.save(self._session)


def _content(response: httpx.Response) -> Any:
    try:
        return response.json() if response.content else None
    except ValueError:
        what = f"the answer of {response.request.url.host} is not JSON"
        advice = "Check for a proxy in between; `crosshaul whoami` shows the API's address."
        raise CliError(what, advice, Exit.UNREACHABLE) from None


def _may_repeat(method: str, error: httpx.TransportError) -> bool:
    """Return whether a retry is safe: a DELETE that worked would be answered with `not found`."""
    return method != "DELETE" or isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)


def pool_of(signed_in: Session) -> cognito.Pool:
    return cognito.Pool(signed_in.region, signed_in.client_id, signed_in.endpoint)


@contextmanager
def connected() -> Iterator[ApiClient]:
    """Yield a client for the API of the stored session.

    Raises:
        LoginRequiredError: There is no usable session.
    """
    signed_in = session.load()
    with http.client(signed_in.url) as client:
        yield ApiClient(client, signed_in, current.get())
