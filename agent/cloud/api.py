"""The API's routes for agents: registering, new keys, orders of updates, and S3 credentials for a hop."""

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import httpx

from agent.cloud import http
from agent.errors import HostError
from events.base import HopId, UpdateId
from events.requests import CredentialsRequest, RegisterRequest, RenewalRequest
from events.updates import UpdateOrderRequest, UpdateOrderView
from events.views import CredentialsView, RegisteredView, RenewalView

KEY_HEADER = "X-Agent-Key"
RENEW_BEFORE = timedelta(minutes=5)
"""How long before they expire credentials are asked for again."""


def register(api_url: str, request: RegisterRequest) -> RegisteredView:
    """Raises http.ApiProblem or httpx.TransportError. The token is good for one success."""
    with http.client(api_url) as client:
        response = client.post("agents/register", json=request.model_dump(mode="json", exclude_none=True))
    http.raise_for_problem(response)
    return RegisteredView.model_validate_json(response.content)


def renew(
    client: httpx.Client, agent_id: str, api_keys: Sequence[str], request: RenewalRequest
) -> RenewalView:
    """Raises http.ApiProblem or httpx.TransportError."""
    body = request.model_dump(mode="json")
    response = post(client, f"agents/{agent_id}/certificates", body, api_keys)
    return RenewalView.model_validate_json(response.content)


def fetch_update_order(
    api_url: str, agent_id: str, api_keys: Sequence[str], update_id: UpdateId
) -> UpdateOrderView:
    """The signed order of an update, if this agent is to have one; HostError if the API does not answer."""
    body = UpdateOrderRequest(update_id=update_id).model_dump(mode="json")
    try:
        with http.client(api_url) as client:
            response = post(client, f"agents/{agent_id}/update", body, api_keys)
        return UpdateOrderView.model_validate_json(response.content)
    except (http.ApiProblem, httpx.TransportError, ValueError) as error:
        raise HostError(f"the API gives no order: {error}", "nothing: it is tried again") from error


def post(client: httpx.Client, path: str, body: object, api_keys: Sequence[str]) -> httpx.Response:
    """Raises http.ApiProblem or httpx.TransportError. While the API key is being replaced there are two, of
    which either may be the one that counts."""
    for key in api_keys:
        response = client.post(path, json=body, headers={KEY_HEADER: key})
        if response.status_code != httpx.codes.UNAUTHORIZED:
            break
    http.raise_for_problem(response)
    return response


class HopCredentials:
    """S3 credentials as wide as one hop, kept until shortly before they expire. Safe from any thread."""

    def __init__(
        self,
        agent_id: str,
        api_keys: Callable[[], Sequence[str]],
        client: httpx.Client,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._path = f"agents/{agent_id}/credentials"
        self._api_keys = api_keys
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
        response = post(self._client, self._path, body, self._api_keys())
        return CredentialsView.model_validate_json(response.content)

    def _forget_expired(self) -> None:
        now = self._now()
        self._known = {hop: view for hop, view in self._known.items() if view.expires_at > now}
