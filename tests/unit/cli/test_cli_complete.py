"""Completion of agents, locations and ids, as bash and zsh ask for it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent.cli import complete
from events import views
from events.reports import DirectoryEntry
from events.states import TransferState
from tests.support.fakes_api import TRANSFER, FakeApi, sample, transfer_view
from tests.support.waiting import HANG_TIMEOUT_S

HOSTILE = "$(touch owned)`x`;'.mov"


@pytest.fixture
def fleet(signed_in: FakeApi) -> FakeApi:
    entries = tuple(
        DirectoryEntry(name=name, type=kind, size=None, modified=None)
        for name, kind in (("raw", "directory"), ("readme.txt", "file"), (HOSTILE, "file"), ("x y", "file"))
    )
    signed_in.entries = [sample(views.ListingView, entries=entries, next=None)]
    signed_in.stories[TRANSFER] = [transfer_view(TransferState.RUNNING)]
    return signed_in


def test_agents_ids_and_paths_are_offered(fleet: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COMP_WORDS", raising=False)
    assert complete.agents("serv") == ["server-b"]
    assert complete.agents("x") == []
    assert complete.transfer_ids("k3") == [TRANSFER]
    assert complete.locations("ser") == ["server-b:"]
    root = fleet.agents[0].roots[0].path
    assert f"server-b:{root}/" in complete.locations("server-b:/")
    assert complete.locations(f"server-b:{root}/r") == [
        f"server-b:{root}/raw/",
        f"server-b:{root}/readme.txt",
    ]


def test_one_of_ten_thousand_agents_is_found_by_its_beginning(fleet: FakeApi) -> None:
    """The first page of all agents would not have it."""
    [agent] = fleet.agents
    others = [agent.model_copy(update={"agent_id": f"a-{number}"}) for number in range(300)]
    fleet.agents = [*others, agent]
    assert complete.agents("server") == ["server-b"]
    assert len(complete.agents("a-")) == 50


def test_bash_ends_a_word_at_the_colon_and_wants_only_the_rest(
    fleet: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = fleet.agents[0].roots[0].path
    monkeypatch.setenv("COMP_WORDS", f"crosshaul\ncp\nserver-b\n:\n{root}/ra")
    monkeypatch.setenv("COMP_CWORD", "4")
    assert complete.locations(f"{root}/ra") == [f"{root}/raw/"]
    monkeypatch.setenv("COMP_WORDS", "crosshaul\ncp\nserver-b\n:\n/")
    assert f"{root}/" in complete.locations("/")


def test_a_name_that_a_shell_would_carry_out_is_not_offered(
    fleet: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """zsh evaluates what a completion prints."""
    monkeypatch.delenv("COMP_WORDS", raising=False)
    root = fleet.agents[0].roots[0].path
    offered = complete.locations(f"server-b:{root}/")
    assert f"server-b:{root}/readme.txt" in offered
    assert not [name for name in offered if "$" in name or " " in name]


def test_without_a_session_or_an_api_nothing_is_offered_and_nothing_is_said(
    api: FakeApi, home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert complete.agents("") == complete.locations("x:/") == complete.transfer_ids("") == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_the_shells_get_what_they_can_read(fleet: FakeApi, home: Path, shell: str) -> None:
    asked = {
        "bash": {"COMP_WORDS": "crosshaul\nshow\nk3", "COMP_CWORD": "2"},
        "zsh": {"_TYPER_COMPLETE_ARGS": "crosshaul show k3"},
    }
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; sys.argv[0] = 'crosshaul'\nfrom agent.cli.main import main; main()",
        ],
        env=os.environ
        | asked[shell]
        | {"CROSSHAUL_HOME": str(home), "_CROSSHAUL_COMPLETE": f"complete_{shell}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_TIMEOUT_S,
    )
    assert TRANSFER in done.stdout, done.stderr
