"""Browse an agent's directories and remotes: what is sent to the agent, and what is refused first."""

from typing import Any

import pytest

from events.commands import Browse
from events.reports import Browsed, Capabilities, DirectoryEntry, RemoteState
from events.requests import BrowseRequest
from lambdas.agents.directory_browser import DirectoryBrowser, location_of
from lambdas.agents.inquiry import Inquiry
from lambdas.domain import problems
from lambdas.domain.authorization import path_of
from lambdas.domain.errors import AgentTooOldError, RemoteUnknownError
from tests.support.fakes import FakeAgents, an_agent

OFFERED = (RemoteState(name="archive", access="ro", type="s3"),)


class RecordingSender:
    def __init__(self) -> None:
        self.given: list[Browse] = []

    def send_command(self, agent_id: str, command: Browse) -> None:
        self.given.append(command)


class Answering:
    """An agent that answers every listing with one file."""

    def get(self, agent_id: str, request_id: str) -> Browsed:
        return Browsed(request_id=request_id, entries=(DirectoryEntry(name="one", type="file", size=1),))


@pytest.fixture
def browsing() -> tuple[DirectoryBrowser, RecordingSender]:
    known = Capabilities(remotes=OFFERED, browses_remotes=True)
    agents = FakeAgents(
        an_agent("new", capabilities=known), an_agent("old", capabilities=Capabilities(remotes=OFFERED))
    )
    commands = RecordingSender()
    return DirectoryBrowser(Inquiry(agents, commands, Answering(), wait=lambda _: None)), commands  # type: ignore[arg-type]


def test_a_remote_s_directory_is_asked_for_as_the_agent_s_own_are(browsing: Any) -> None:
    look, commands = browsing
    listing = look.browse("new", BrowseRequest(path="/photos/", remote="archive", limit=5))
    assert (listing.remote, listing.path) == ("archive", "/photos/")
    assert [one.name for one in listing.entries] == ["one"]
    (command,) = commands.given
    assert (command.remote, command.path, command.limit) == ("archive", "/photos/", 5)


def test_a_remote_that_is_not_offered_is_refused_with_those_that_are(browsing: Any) -> None:
    look, commands = browsing
    with pytest.raises(RemoteUnknownError) as caught:
        look.browse("new", BrowseRequest(path="/", remote="private"))
    assert "archive" in caught.value.problem.advice
    assert commands.given == []


def test_an_agent_that_would_take_it_for_its_own_directory_is_not_asked(browsing: Any) -> None:
    look, commands = browsing
    with pytest.raises(AgentTooOldError) as caught:
        look.browse("old", BrowseRequest(path="/data", remote="archive"))
    assert caught.value.problem.code == problems.AGENT_TOO_OLD.code
    assert commands.given == []
    look.browse("old", BrowseRequest(path="/data"))
    assert [one.remote for one in commands.given] == [None]


def test_policies_see_a_remote_s_path_as_they_do_of_transfers() -> None:
    assert path_of(location_of("b", BrowseRequest(path="/photos", remote="archive"))) == "archive:/photos/"
    assert path_of(location_of("b", BrowseRequest(path="/", remote="archive"))) == "archive:/"
    assert path_of(location_of("b", BrowseRequest(path="/photos"))) == "/photos/"
