"""The agent's catalogue of problems: complete, safe to fill in, and the only place that makes problems."""

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from string import Formatter

import pytest

import agent
from agent import problems
from events.base import Problem
from events.problem_type import ProblemType, catalogue, wordings
from lambdas.domain import problems as control_plane

AGENT = Path(agent.__file__).parent
TYPES = {name: value for name, value in vars(problems).items() if isinstance(value, ProblemType)}

WITHOUT_ADVICE = {
    "command-malformed": "only a faulty control plane sends such a command",
    "command-misdelivered": "only a faulty broker delivers it here",
    "command-not-trusted": "an attacker's command is refused, and nothing needs to be done",
    "command-replayed": "the command was executed already",
    "command-too-large": "only a faulty control plane sends such a command",
    "malformed": "only a faulty peer sends such a request",
    "not-served": "the destination asks again by itself",
    "not-to-remove": "only a faulty peer sends such a request",
    "only-compared": "only a faulty peer sends such a request",
    "source-changed": "the destination fetches the file again by itself",
    "still-arriving": "the destination asks again by itself",
    "unreadable": "only a faulty peer lists such an entry without a reason",
}
"""Codes with words that say nothing about what to do, and why."""
API_CODES = "cloud/http.py"
"""Passes on the problems of the API, whose codes are in the API's own catalogue."""


def fields(template: str) -> Iterator[tuple[str, str | None, str | None]]:
    for _, name, spec, conversion in Formatter().parse(template):
        if name is not None:
            yield name, spec, conversion


def calls(path: Path, name: str) -> list[int]:
    """Return the lines that call something of this name."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and name in {getattr(node.func, "id", ""), getattr(node.func, "attr", "")}
    ]


def test_every_code_is_in_the_catalogue():
    assert {kind.code for kind in TYPES.values()} == set(problems.CATALOGUE)
    assert all(kind.code == code for code, kind in problems.CATALOGUE.items())


@pytest.mark.parametrize("name", TYPES)
def test_words_are_complete(name):
    kind = TYPES[name]
    assert re.fullmatch(r"[A-Za-z][^{}]*[^.{}]", kind.title)
    assert kind.message
    assert kind.advice or kind.code in WITHOUT_ADVICE


def test_no_reason_is_given_where_there_is_advice():
    assert {kind.code for kind in TYPES.values() if not kind.advice} == set(WITHOUT_ADVICE)


@pytest.mark.parametrize("name", TYPES)
def test_templates_take_plain_parameters(name):
    kind = TYPES[name]
    found = [*fields(kind.message), *fields(kind.advice)]
    assert all(field.isidentifier() and not spec and not conversion for field, spec, conversion in found)

    problem = kind.problem(**{field: f"<{field}>" for field, _, _ in found})

    assert (problem.code, problem.retryable) == (kind.code, kind.retryable)
    assert all(f"<{field}>" in problem.message + problem.advice for field, _, _ in found)


@pytest.mark.parametrize("hostile", ["{}", "{0}", "{path.__class__}", "{detail!r:>99999999}", "{", "%s"])
def test_parameters_are_not_templates(hostile):
    assert problems.SOURCE_MISSING.problem(path=hostile).message == f"{hostile} does not exist."
    assert problems.COMMAND_MALFORMED.problem(detail=hostile).message == hostile


def test_templates_are_constants():
    tree = ast.parse((AGENT / "problems.py").read_text())
    assert not [node.lineno for node in ast.walk(tree) if isinstance(node, ast.JoinedStr | ast.BinOp)]


def test_problems_are_made_by_the_catalogue_only():
    files = [path for path in AGENT.rglob("*.py") if path != AGENT / "problems.py"]
    made = {str(path.relative_to(AGENT)) for path in files if calls(path, Problem.__name__)}
    assert made == {API_CODES}
    assert not [path for path in files if calls(path, ProblemType.__name__)]


def test_every_problem_is_in_use():
    texts = (path.read_text() for path in AGENT.rglob("*.py") if path != AGENT / "problems.py")
    words = {word for text in texts for word in re.findall(r"\b[A-Z][A-Z0-9_]+\b", text)}
    assert set(TYPES) - words == set()


def test_each_wording_has_one_name_in_all_rooms():
    assert not problems.WORDINGS.keys() & control_plane.WORDINGS.keys()
    assert {kind.wording_id for kind in TYPES.values()} == set(problems.WORDINGS)
    with pytest.raises(ValueError, match="io-error"):
        wordings([problems.IO_ERROR, replace(problems.IO_ERROR, advice="Another one.")])


def test_a_problem_can_be_put_into_words_again_from_what_is_sent():
    """So a console in another language has all names and numbers, and the path only once."""
    sent = problems.READ_ONLY_ROOT.problem(path="/data/x", root="/data", roots="/archive")
    received = Problem.model_validate_json(sent.model_dump_json())
    kind = problems.WORDINGS[received.wording]
    filling = {**received.parameters, "path": received.path}
    assert kind.message.format(**filling) == received.message
    assert kind.advice.format(**filling) == received.advice
    assert received.parameters == {"root": "/data", "roots": "/archive"}


def test_two_problems_cannot_share_a_code():
    one, other = ProblemType("taken", title="One"), ProblemType("taken", title="Other")
    with pytest.raises(ValueError, match="taken"):
        catalogue([one, other])
