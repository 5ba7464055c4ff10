"""S3 credentials for a hop: asked for once, renewed in time, kept while the API is away."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from agent.cloud.api import HopCredentials
from agent.cloud.http import ApiProblem
from tests.support.fakes_agent import AGENT, TRANSFER

HOP = f"{TRANSFER}-0"
START = datetime(2026, 11, 24, tzinfo=UTC)


class Api:
    def __init__(self) -> None:
        self.now = START
        self.asked = []
        self.away = False
        self.status = 200
        self.keys = ("the-key",)
        self.good = "the-key"

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.away:
            raise httpx.ConnectError("refused")
        self.asked.append((request.url.path, request.headers["X-Agent-Key"]))
        body = {
            "access_key_id": f"AK{len(self.asked)}",
            "secret_access_key": "s",
            "session_token": "t",
            "expires_at": (self.now + timedelta(hours=1)).isoformat(),
            "region": "eu-central-1",
            "endpoint": None,
        }
        status = self.status if request.headers["X-Agent-Key"] == self.good else 401
        return httpx.Response(status, json=body)


@pytest.fixture
def api():
    return Api()


@pytest.fixture
def credentials(api):
    with httpx.Client(base_url="http://x/stage", transport=httpx.MockTransport(api)) as client:
        yield HopCredentials(AGENT, lambda: api.keys, client, now=lambda: api.now)


def test_asked_once_with_the_agents_key(api, credentials):
    assert credentials(HOP) == credentials(HOP)
    assert api.asked == [("/stage/agents/server-b/credentials", "the-key")]


def test_each_hop_has_its_own(api, credentials):
    assert credentials(HOP) != credentials(f"{TRANSFER}-1")


def test_renewed_shortly_before_they_expire(api, credentials):
    first = credentials(HOP)
    api.now = START + timedelta(minutes=56)
    assert credentials(HOP).access_key_id != first.access_key_id


def test_while_the_api_is_away_what_is_known_serves_until_it_expires(api, credentials):
    first = credentials(HOP)
    api.away = True
    api.now = START + timedelta(minutes=56)
    assert credentials(HOP) == first
    api.now = START + timedelta(minutes=61)
    with pytest.raises(httpx.ConnectError):
        credentials(HOP)


def test_a_refusal_is_a_problem(api, credentials):
    api.status = 403
    with pytest.raises(ApiProblem):
        credentials(HOP)


def test_while_the_key_is_being_replaced_either_may_be_the_one_that_counts(api, credentials):
    api.keys = ("the-key", "the-new-key")
    credentials(HOP)
    assert [key for _, key in api.asked] == ["the-key"]
    api.good = "the-new-key"
    credentials(f"{TRANSFER}-1")
    assert [key for _, key in api.asked] == ["the-key", "the-key", "the-new-key"]
    api.good = "neither"
    with pytest.raises(ApiProblem):
        credentials(f"{TRANSFER}-2")
