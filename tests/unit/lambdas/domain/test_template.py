"""Loops of templates: those whose objects would start them again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.requests import TemplateRequest
from lambdas.domain import template as domain
from lambdas.domain.errors import LoopError
from lambdas.domain.template import Template, check_loops, written
from tests.support.fakes import ADA, MORNING


def a_template(number: int, writes: set[int]) -> Template:
    """Return a template that reads below its number, and writes below these."""
    request = TemplateRequest.model_validate(
        {
            "name": f"t{number}",
            "trigger": {"bucket": "media", "prefix": f"{number}/"},
            "destinations": [f"s3://media/{each}/" for each in sorted(writes)] or ["server-b:/p/"],
            "shape": "fan_out",
        }
    )
    return written(request, ADA, MORNING)


def reached(graph: dict[int, set[int]], start: int) -> set[int]:
    """Return what is written to because of an object below `start`."""
    found: set[int] = set(graph[start])
    while more := {further for each in found for further in graph[each]} - found:
        found |= more
    return found


@given(st.lists(st.sets(st.integers(0, 6), max_size=4), min_size=7, max_size=7))
def test_a_template_is_refused_exactly_if_it_would_start_itself(writes):
    graph = dict(enumerate(writes))
    templates = [a_template(number, targets) for number, targets in graph.items()]
    if 0 not in reached(graph, 0):
        return check_loops(templates[0], templates)
    with pytest.raises(LoopError) as caught:
        check_loops(templates[0], templates)
    named = caught.value.problem.message
    assert "t0" in named
    return None


@pytest.mark.parametrize("count", [10, 40])
def test_each_template_is_looked_at_once_however_many_ways_lead_to_it(monkeypatch, count):
    asked = []
    starts = domain._starts

    def counting(one: Template, other: Template) -> bool:
        asked.append((one.template_id, other.template_id))
        return starts(one, other)

    monkeypatch.setattr(domain, "_starts", counting)
    layers = [a_template(number, {number + 1, number + 2}) for number in range(count)]
    check_loops(layers[0], layers)
    assert len(asked) == len(set(asked)) <= count * count
