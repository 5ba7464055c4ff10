"""Whatever texts the control plane answers with, wherever in them, no command lets them steer a terminal."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from events import views
from events.states import TransferState
from tests.support import fakes_api
from tests.support.fakes_api import TRANSFER, FakeApi, problem, sample, transfer_view
from tests.unit.cli.conftest import Run

STEERING = "\x1b]0;title\x07\x9b31m\u202e\r"
COMMANDS = (
    "agents",
    "agents show server-b",
    "agents logs server-b",
    "agents rotate server-b",
    "agents drain server-b --why maintenance",
    "agents rollout list",
    "agents updates",
    "agents updates show 5f0c9a31be42",
    "audit list",
    "audit export --format csv",
    "browse server-b:/data/",
    "browse s3://media/",
    "costs",
    "cp server-b:/data/a server-c:/archive/",
    "policies list",
    "policies show night-only",
    "show {}",
    "templates",
    "transfers",
    "whoami",
)


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield where there are texts in a JSON value."""
    match value:
        case dict():
            for name, inner in value.items():
                yield from places(inner, (*path, name))
        case list():
            for number, inner in enumerate(value):
                yield from places(inner, (*path, number))
        case str():
            yield path


def hostile(answer: BaseModel) -> BaseModel:
    """Return the answer with the steering text added to every text that the model does not check."""
    for place in list(places(answer.model_dump(mode="json"))):
        fields = json.loads(answer.model_dump_json())
        *parents, last = place
        parent = fields
        for name in parents:
            parent = parent[name]
        parent[last] += STEERING
        try:
            answer = type(answer).model_validate(fields)
        except ValidationError:
            continue
    return answer


@pytest.fixture
def hostile_api(signed_in: FakeApi, monkeypatch: pytest.MonkeyPatch) -> FakeApi:
    honest = fakes_api._ApiHandler._answer

    def answer(handler: Any, status: int, value: Any) -> None:
        honest(handler, status, hostile(value) if isinstance(value, BaseModel) else value)

    monkeypatch.setattr(fakes_api._ApiHandler, "_answer", answer)
    failed = transfer_view(TransferState.FAILED)
    signed_in.stories = {TRANSFER: [failed]}
    signed_in.templates = {"new-videos": sample(views.TemplateView)}
    return signed_in


def assert_harmless(text: str) -> None:
    assert not set(STEERING) - set("0;title31m]") & set(text), repr(text)


@pytest.mark.parametrize("command", COMMANDS)
def test_no_text_of_an_answer_drives_the_terminal(hostile_api: FakeApi, run: Run, command: str) -> None:
    result = run(*command.format(TRANSFER).split())
    assert result.code == 0, result
    assert_harmless(result.out + result.err)


@pytest.mark.parametrize("command", ["agents", "show {}", "costs"])
def test_no_text_of_a_refusal_drives_the_terminal(hostile_api: FakeApi, run: Run, command: str) -> None:
    hostile_api.problems = [problem(403, "no", "ask")]
    result = run(*command.format(TRANSFER).split())
    assert result.code != 0
    assert_harmless(result.out + result.err)
