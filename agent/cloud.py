"""The API's routes for agents: registering, and S3 credentials for a hop."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx

from agent import http
from events.base import HopId
from events.requests import CredentialsRequest, RegisterRequest
from events.views import CredentialsView, RegisteredView

KEY_HEADER = "X-Agent-Key"
RENEW_BEFORE = timedelta(minutes=5)
"""How long before they expire credentials are asked for again."""


def register(api_url: str, request: RegisterRequest) -> RegisteredView:
    """Raises http.ApiProblem or httpx.TransportError. The token is good for one success."""
    with http.client(api_url) as client:
        response = client.post("agents/register", json=request.model_dump(mode="json"))
    http.raise_for_problem(response)
    return RegisteredView.model_validate_json(response.content)


class HopCredentials:
    """S3 credentials as wide as one hop, kept until shortly before they expire. Safe from any thread."""

    def __init__(
        self,
        agent_id: str,
        api_key: str,
        client: httpx.Client,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._path = f"agents/{agent_id}/credentials"
        self._headers = {KEY_HEADER: api_key}
        self._client = client
        self._now = now
        self._known: dict[HopId, CredentialsView] = {}
        self._lock = threading.Lock()

    def __call__(self, hop_id: HopId) -> CredentialsView:
        """Raises http.ApiProblem when the hop is not this agent's to carry out, httpx.TransportError when
        the API is away and what is known has expired."""
        with self._lock:
            known = self._known.get(hop_id)
            if known is None or known.expires_at - self._now() < RENEW_BEFORE:
                known = self._known[hop_id] = self._renewed(hop_id, known)
                self._forget_expired()
            return known

    def _renewed(self, hop_id: HopId, known: CredentialsView | None) -> CredentialsView:
        try:
            return self._ask(hop_id)
        except httpx.TransportError:
            if known is None or known.expires_at <= self._now():
                raise
            return known

    def _ask(self, hop_id: HopId) -> CredentialsView:
        body = CredentialsRequest(hop_id=hop_id).model_dump(mode="json")
        response = self._client.post(self._path, json=body, headers=self._headers)
        http.raise_for_problem(response)
        return CredentialsView.model_validate_json(response.content)

    def _forget_expired(self) -> None:
        now = self._now()
        self._known = {hop: view for hop, view in self._known.items() if view.expires_at > now}
