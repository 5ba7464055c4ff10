"""Find the API and the user pool of a stage by the address that people know: the console's, or the API's."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from pydantic import ValidationError

from agent.cli.cognito import Pool
from agent.cli.errors import CliError
from agent.cloud import http
from events.views import Health


@dataclass(frozen=True)
class StageApi:
    """One stage's API."""

    url: str
    """Without a trailing slash."""
    health: Health

    @property
    def stage(self) -> str:
        return self.health.stage

    @property
    def pool(self) -> Pool:
        """The Cognito pool where this API's users sign in."""
        pool = self.health.sign_in
        return Pool(pool.region, pool.client_id, pool.endpoint, pool.user_pool_id)


def find(url: str) -> StageApi:
    """Return the API at this address, which may be the console's.

    Raises:
        CliError: Neither is at this address.
    """
    address = _address(url)
    if health := _health(address):
        return StageApi(address, health)
    api = _api_of_console(address)
    if not api:
        what = f"there is no Crosshaul API at {address}, and no console"
        advice = "Give the console's address, or the API's with its stage, as the deployment printed them."
        raise CliError(what, advice)
    if health := _health(api):
        return StageApi(api, health)
    what = f"the console at {address} names {api}, where there is no Crosshaul API"
    raise CliError(what, "Publish the console again: python -m infra.publish STAGE.")


def _address(url: str) -> str:
    """Return the address without a trailing slash, query and fragment.

    Raises:
        CliError: It is not an address, or tokens would be sent unencrypted.
    """
    parts = urlsplit(url if "://" in url else f"https://{url}")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise CliError(
            f"{url!r} is not an address",
            "Give the console's, as in https://….cloudfront.net",
        )
    if parts.scheme == "http" and not _is_local(parts.hostname):
        raise CliError(
            f"{url} is not encrypted: tokens would be sent in the clear", "Use its https:// address."
        )
    return parts._replace(query="", fragment="").geturl().rstrip("/")


def _is_local(host: str) -> bool:
    return host in {"localhost", "127.0.0.1", "::1"} or host.endswith(".localhost")


def _health(address: str) -> Health | None:
    """Return the answer of GET /health; None if there is no API."""
    with http.client(address) as client:
        response = client.get("health")
    if response.status_code >= 500:
        http.raise_for_problem(response)
    try:
        return Health.model_validate_json(response.content)
    except ValidationError:
        return None


def _api_of_console(address: str) -> str:
    """Return the API's address from the console's config.json; empty if there is none.

    Raises:
        CliError: The address there would send tokens unencrypted.
    """
    parts = urlsplit(address)
    for place in dict.fromkeys((address, f"{parts.scheme}://{parts.netloc}")):  # it may be that of a page
        with http.client(place) as client:
            response = client.get("config.json")
        try:
            found = response.json() if response.is_success else None
        except ValueError:  # the console answers unknown paths with its page
            continue
        if isinstance(found, dict) and isinstance(named := found.get("api_url"), str):
            return _address(named)
    return ""
