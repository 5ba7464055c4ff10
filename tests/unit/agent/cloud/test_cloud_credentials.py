"""S3 credentials of a hop: requested once, renewed in time, kept while the API is unreachable."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from agent.cloud.api import HopCredentials
from agent.cloud.http import ApiProblem
from tests.support.fakes_agent import AGENT, TRANSFER

HOP = f"{TRANSFER}-0"
START = datetime(2026, 11, 24, tzinfo=UTC)


class CredentialsApi:
    """A fake API that issues credentials."""

    def __init__(self) -> None:
        self.now = START
        self.requests = []
        self.is_unreachable = False
        self.status = 200
        self.keys = ("the-key",)
        self.valid_key = "the-key"

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.is_unreachable:
            raise httpx.ConnectError("refused")
        self.requests.append((request.url.path, request.headers["X-Agent-Key"]))
        body = {
            "access_key_id": f"AK{len(self.requests)}",
            "secret_access_key": "s",
            "session_token": "t",
            "expires_at": (self.now + timedelta(hours=1)).isoformat(),
            "region": "eu-central-1",
            "endpoint": None,
        }
        status = self.status if request.headers["X-Agent-Key"] == self.valid_key else 401
        return httpx.Response(status, json=body)


@pytest.fixture
def api():
    return CredentialsApi()


@pytest.fixture
def credentials(api):
    with httpx.Client(base_url="http://x/stage", transport=httpx.MockTransport(api)) as client:
        yield HopCredentials(AGENT, lambda: api.keys, client, now=lambda: api.now)


def test_requested_once_with_the_agents_key(api, credentials):
    assert credentials(HOP) == credentials(HOP)
    assert api.requests == [("/stage/agents/server-b/credentials", "the-key")]


def test_each_hop_has_its_own_credentials(api, credentials):
    assert credentials(HOP) != credentials(f"{TRANSFER}-1")


def test_renewed_shortly_before_they_expire(api, credentials):
    first = credentials(HOP)
    api.now = START + timedelta(minutes=56)
    assert credentials(HOP).access_key_id != first.access_key_id


def test_while_the_api_is_unreachable_cached_credentials_serve_until_they_expire(api, credentials):
    first = credentials(HOP)
    api.is_unreachable = True
    api.now = START + timedelta(minutes=56)
    assert credentials(HOP) == first
    api.now = START + timedelta(minutes=61)
    with pytest.raises(httpx.ConnectError):
        credentials(HOP)


def test_credentials_that_s3_refused_are_discarded_once(api, credentials):
    """Not kept until they would have expired, and the next ones are not refused on their word."""
    refused = credentials(HOP)
    other = credentials(HOP, refused=refused)
    assert other != refused
    assert credentials(HOP, refused=refused) == credentials(HOP) == other
    assert len(api.requests) == 2


def test_a_refusal_raises_api_problem(api, credentials):
    api.status = 403
    with pytest.raises(ApiProblem):
        credentials(HOP)


def test_while_the_key_is_being_replaced_either_may_be_valid(api, credentials):
    api.keys = ("the-key", "the-new-key")
    credentials(HOP)
    assert [key for _, key in api.requests] == ["the-key"]
    api.valid_key = "the-new-key"
    credentials(f"{TRANSFER}-1")
    assert [key for _, key in api.requests] == ["the-key", "the-key", "the-new-key"]
    api.valid_key = "neither"
    with pytest.raises(ApiProblem):
        credentials(f"{TRANSFER}-2")
