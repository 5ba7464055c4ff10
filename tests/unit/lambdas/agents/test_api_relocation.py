"""Agents that use a former address of the API are moved to its present one, by a signed command."""

from datetime import UTC, datetime

import pytest
from chalice.app import Request

from events.commands import Relocate
from events.reports import Heartbeat
from lambdas import on_report
from lambdas.api.calls import Call

NAME = "server-b"
CURRENT = "https://api.example.com"
FORMER = ("https://a1b2c3.execute-api.eu-central-1.amazonaws.com/v1", "https://old.example.com")


@pytest.fixture
def domains(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSHAUL_API_URL", CURRENT)
    monkeypatch.setenv("CROSSHAUL_FORMER_API_URLS", ",".join(FORMER))


def heartbeat(here, url):
    here.fleet.sent.clear()
    report = Heartbeat(at=datetime.now(UTC), roots=(), api_url=url)
    on_report.apply(on_report.AgentReport(agent_id=NAME, report=report))
    return here.fleet.sent


@pytest.mark.parametrize("url", [*FORMER, FORMER[0] + "/"])
def test_who_uses_a_former_address_is_moved(domains, here, url):
    here.join(NAME)
    assert heartbeat(here, url) == [(NAME, Relocate(api_url=CURRENT))]


@pytest.mark.parametrize("url", [CURRENT, CURRENT + "/", None, "https://proxy.example.com/crosshaul"])
def test_who_uses_the_present_one_or_one_of_their_own_is_left_alone(domains, here, url):
    here.join(NAME)
    assert heartbeat(here, url) == []


def test_a_stage_without_addresses_moves_nobody(here):
    here.join(NAME)
    assert heartbeat(here, FORMER[0]) == []


@pytest.mark.parametrize("domain", ["api.example.com", "a1b2c3.execute-api.eu-central-1.amazonaws.com"])
def test_a_new_agent_is_told_the_present_address_whichever_the_person_uses(domains, here, domain):
    """Under a name of the company's own, the path has no stage in it."""
    event = {"multiValueQueryStringParameters": None, "headers": {}, "pathParameters": None, "body": None}
    context = {"httpMethod": "GET", "resourcePath": "/", "domainName": domain, "stage": "v1"}
    call = Call(Request({**event, "requestContext": context, "stageVariables": None}))
    assert call.address == CURRENT
