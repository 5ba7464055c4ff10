"""What the API says of its own is a problem with a code, so that the console can say it in German."""

from collections.abc import Iterator
from types import ModuleType

from pydantic import BaseModel

from events import audit, policies, updates, views
from events.base import Problem, Request

SENTENCES = ("why", "reason", "message", "detail", "text", "because", "explanation", "comment", "warning")
"""Endings of the names of fields that would hold a sentence."""
IN_ONE_LANGUAGE = {
    ("Approval", "why"): "a person wrote it",
    ("PolicyView", "why"): "a person wrote it",
    ("PolicyView", "text"): "Cedar",
    ("PolicyDetails", "why"): "a person wrote it",
    ("PolicyDetails", "text"): "Cedar",
    ("AuditRecord", "why"): "the audit is in English",
    ("ProblemDetails", "detail"): "beside code, wording and parameters, in RFC 9457's names",
}


def views_of(module: ModuleType) -> Iterator[type[BaseModel]]:
    for one in vars(module).values():
        if isinstance(one, type) and issubclass(one, BaseModel) and one.__module__ == module.__name__:
            yield one


def test_no_view_has_a_sentence_without_a_code():
    found = {
        (view.__name__, name)
        for module in (audit, policies, updates, views)
        for view in views_of(module)
        if not issubclass(view, Request) and not {"code", "wording"} <= view.model_fields.keys()
        for name, field in view.model_fields.items()
        if name.endswith(SENTENCES) and field.annotation in (str, str | None)
    }
    assert found == IN_ONE_LANGUAGE.keys()


def test_a_problem_has_what_a_translation_needs():
    assert {"code", "wording", "parameters"} <= Problem.model_fields.keys()
