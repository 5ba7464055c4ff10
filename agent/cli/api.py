"""The operator's side of the HTTP API: the token kept fresh, requests repeated safely, problems typed."""

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
from agent.cloud import http

_RETRY_DELAYS_S = (0.2, 0.6, 1.5)
"""Seconds before each further try."""

_RETRYABLE_STATUS = {429, 502, 503}
"""The request did not get through to the control plane, or found no room there."""

PAGE = 100


class ApiClient:
    """One signed-in conversation. Every call raises ApiProblem, httpx.TransportError or Trouble."""

    def __init__(self, client: httpx.Client, signed_in: Session) -> None:
        self._client = client
        self._session = signed_in

    def get(self, *path: str, **query: str | int | None) -> Any:
        asked = {name: value for name, value in query.items() if value is not None}
        return self._call("GET", path, params=asked)

    def glance(self, *path: str, **query: str | int | None) -> Any:
        """A GET that is tried once, for callers who look again anyway or can do without."""
        return self._call("GET", path, pauses=(), params=query)

    def post(self, *path: str, body: Any = None) -> Any:
        """A POST with an Idempotency-Key of its own, so that repeating it cannot do the thing twice."""
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        return self._call("POST", path, json={} if body is None else body, headers=headers)

    def put(self, *path: str, body: Any, **query: str | int | None) -> Any:
        asked = {name: value for name, value in query.items() if value is not None}
        return self._call("PUT", path, json=body, params=asked)

    def delete(self, *path: str, **query: str | int | None) -> Any:
        asked = {name: value for name, value in query.items() if value is not None}
        return self._call("DELETE", path, params=asked)

    def pages(self, *path: str, limit: int = PAGE, **query: str | int | None) -> Iterator[Any]:
        """Every page of a list, one request each, as far as it is read."""
        after: str | None = None
        while True:
            page = self.get(*path, limit=limit, after=after, **query)
            yield page
            after = page.get("next")
            if not after:
                return

    def _call(
        self, method: str, path: tuple[str, ...], *, pauses: tuple[float, ...] | None = None, **request: Any
    ) -> Any:
        address = "/".join(quote(part, safe="") for part in path)
        between = _RETRY_DELAYS_S if pauses is None else pauses
        response = self._repeated(method, address, request, between)
        if response.status_code == 401:  # revoked or expired early: a fresh token, once
            self._refresh()
            response = self._repeated(method, address, request, between)
        http.raise_for_problem(response)
        return _content(response)

    def _repeated(
        self, method: str, address: str, request: dict[str, Any], pauses: tuple[float, ...]
    ) -> httpx.Response:
        for pause in pauses:
            try:
                response = self._send(method, address, request)
            except httpx.TransportError as error:
                if not _may_repeat(method, error):
                    raise
            else:
                if response.status_code not in _RETRYABLE_STATUS:
                    return response
            time.sleep(pause)
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
        what = f"{response.request.url.host} answered with something that is not JSON"
        advice = "Is a proxy in between? `crosshaul whoami` shows the API's address."
        raise CliError(what, advice, Exit.UNREACHABLE) from None


def _may_repeat(method: str, error: httpx.TransportError) -> bool:
    """Only a DELETE could tell a lie when repeated: `not found` for what it has just removed itself."""
    return method != "DELETE" or isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)


def pool_of(signed_in: Session) -> cognito.Pool:
    return cognito.Pool(signed_in.region, signed_in.client_id, signed_in.endpoint)


@contextmanager
def connected() -> Iterator[ApiClient]:
    """The API where the stored session is signed in; NotSignedIn without one."""
    signed_in = session.load()
    with http.client(signed_in.url) as client:
        yield ApiClient(client, signed_in)
