"""The API's routes for agents: registration, new keys, signed update orders, S3 credentials of a hop."""

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
"""How long before they expire credentials are renewed."""


def register(api_url: str, request: RegisterRequest) -> RegisteredView:
    """Register this host; the token is used up by a success.

    Raises http.ApiProblem or httpx.TransportError.
    """
    with http.client(api_url) as client:
        response = client.post("agents/register", json=request.model_dump(mode="json", exclude_none=True))
    http.raise_for_problem(response)
    return RegisteredView.model_validate_json(response.content)


def renew(
    client: httpx.Client, agent_id: str, api_keys: Sequence[str], request: RenewalRequest
) -> RenewalView:
    """Request a certificate for new keys.

    Raises http.ApiProblem or httpx.TransportError.
    """
    body = request.model_dump(mode="json")
    response = post(client, f"agents/{agent_id}/certificates", body, api_keys)
    return RenewalView.model_validate_json(response.content)


def fetch_update_order(
    api_url: str, agent_id: str, api_keys: Sequence[str], update_id: UpdateId
) -> UpdateOrderView:
    """Return the signed order of an update, if this agent is to install it.

    Raises HostError if the API does not answer.
    """
    body = UpdateOrderRequest(update_id=update_id).model_dump(mode="json")
    try:
        with http.client(api_url) as client:
            response = post(client, f"agents/{agent_id}/update", body, api_keys)
        return UpdateOrderView.model_validate_json(response.content)
    except (http.ApiProblem, httpx.TransportError, ValueError) as error:
        raise HostError(
            f"the API returns no update order: {error}", "none needed: the agent tries again"
        ) from error


def post(client: httpx.Client, path: str, body: object, api_keys: Sequence[str]) -> httpx.Response:
    """Post a request with the agent's API key.

    While the key is being replaced there are two, and either may be the valid one. Raises http.ApiProblem or
    httpx.TransportError.
    """
    for key in api_keys:
        response = client.post(path, json=body, headers={KEY_HEADER: key})
        if response.status_code != httpx.codes.UNAUTHORIZED:
            break
    http.raise_for_problem(response)
    return response


class HopCredentials:
    """S3 credentials for single hops, cached until shortly before they expire. Safe from any thread."""

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
        self._cached: dict[HopId, CredentialsView] = {}
        self._lock = threading.Lock()

    def __call__(self, hop_id: HopId, /, refused: CredentialsView | None = None) -> CredentialsView:
        """Return the credentials of a hop: others than those that S3 has `refused`.

        Raises http.ApiProblem if the hop is not assigned to this agent, httpx.TransportError if the API is
        unreachable and the cached credentials have expired.
        """
        with self._lock:
            if refused and self._cached.get(hop_id) == refused:
                del self._cached[hop_id]
            cached = self._cached.get(hop_id)
            if cached is None or cached.expires_at - self._now() < RENEW_BEFORE:
                cached = self._cached[hop_id] = self._renew(hop_id, cached)
                self._forget_expired()
            return cached

    def forget(self, hop_id: HopId, /) -> None:
        """Forget those of a hop, so that the next ones are issued."""
        with self._lock:
            self._cached.pop(hop_id, None)

    def _renew(self, hop_id: HopId, cached: CredentialsView | None) -> CredentialsView:
        try:
            return self._request(hop_id)
        except httpx.TransportError:
            if cached is None or cached.expires_at <= self._now():
                raise
            return cached

    def _request(self, hop_id: HopId) -> CredentialsView:
        body = CredentialsRequest(hop_id=hop_id).model_dump(mode="json")
        response = post(self._client, self._path, body, self._api_keys())
        return CredentialsView.model_validate_json(response.content)

    def _forget_expired(self) -> None:
        now = self._now()
        self._cached = {hop: view for hop, view in self._cached.items() if view.expires_at > now}
