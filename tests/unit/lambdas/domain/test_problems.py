"""The catalogue of problems, the tree of errors and the API's answers fit together."""

import inspect
from collections.abc import Iterator
from datetime import UTC, datetime
from string import Formatter

import pytest

from events.base import Problem
from events.problem_type import ProblemType, catalogue
from lambdas.api.app import describe
from lambdas.api.problems import RequestError, details
from lambdas.domain import problems
from lambdas.domain.errors import ConflictError, CrosshaulError, NotFoundError, RefusedError
from lambdas.domain.policy_text import PolicySyntaxError

ABSTRACT = {NotFoundError, RefusedError, ConflictError, RequestError}
SAMPLES = {
    str: "server-b",
    str | None: "server-b",
    int: 14,
    float: 14.0,
    ProblemType: ProblemType("forbidden", "Not allowed", "No policy permits it."),
    bool: True,
    tuple[str, ...]: ("server-b", "server-c"),
    tuple[PolicySyntaxError, ...]: (PolicySyntaxError(1, 2, "unexpected end"),),
    Problem: Problem(code="source-missing", message="gone"),
    datetime: datetime(2026, 11, 30, tzinfo=UTC),
}


def subclasses(kind: type[CrosshaulError]) -> Iterator[type[CrosshaulError]]:
    for one in kind.__subclasses__():
        yield one
        yield from subclasses(one)


ERRORS = sorted(set(subclasses(CrosshaulError)) - ABSTRACT, key=lambda one: one.__name__)


def sample(kind: type[CrosshaulError]) -> CrosshaulError:
    parameters = inspect.signature(kind).parameters.values()
    return kind(
        **{one.name: SAMPLES.get(one.annotation) for one in parameters if one.kind != one.VAR_KEYWORD}
    )


@pytest.mark.parametrize("kind", ERRORS, ids=lambda one: one.__name__)
def test_every_error_fills_its_templates_and_is_answered_as_the_catalogue_says(kind):
    assert problems.CATALOGUE[kind.problem_type.code] is kind.problem_type
    answer = details(sample(kind), "r-1")
    assert (answer.status, answer.title) == (kind.problem_type.status, kind.problem_type.title)
    assert answer.detail


def test_each_type_of_problem_has_one_error_at_most():
    types = [one.problem_type for one in ERRORS]
    assert len(types) == len(set(types)) > 40


def test_the_api_describes_every_code_under_its_status_and_no_other():
    answers = describe()["components"]["responses"]
    for code, kind in problems.CATALOGUE.items():
        told = [name for name, answer in answers.items() if f"- `{code}`: " in answer["description"]]
        assert told == ([f"Problem{kind.status}"] if kind.status else []), code


@pytest.mark.parametrize("kind", problems.CATALOGUE.values(), ids=lambda one: one.code)
def test_templates_are_sentences(kind):
    assert kind.title[0].isupper()
    assert kind.title[-1] not in ".:"
    fields = [name for _, name, _, _ in Formatter().parse(kind.message + kind.advice) if name is not None]
    assert all(name.isidentifier() and name not in {"path", "retryable"} for name in fields)


def test_two_types_of_one_code_are_a_mistake():
    with pytest.raises(ValueError, match="stale"):
        catalogue([problems.STALE, ProblemType("stale", "Something else")])


def test_an_unexpected_error_reveals_nothing_but_the_request_s_id():
    answer = details(ZeroDivisionError("secret"), "r-1")
    assert (answer.status, answer.title) == (problems.INTERNAL.status, problems.INTERNAL.title)
    assert "r-1" in answer.detail
    assert "secret" not in answer.model_dump_json()
