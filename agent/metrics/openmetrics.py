"""Write metrics as OpenMetrics text, version 1.0.0, which Prometheus and its relatives scrape."""

from collections.abc import Iterable, Iterator
from itertools import accumulate
from math import inf, isnan

from agent.metrics.families import Distribution, Family, Labels, Point

CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"
_SUFFIXES = {"counter": "_total", "info": "_info"}


def text(families: Iterable[Family]) -> str:
    """Return the exposition of these families."""
    return "".join(f"{line}\n" for line in (*_lines(families), "# EOF"))


def _lines(families: Iterable[Family]) -> Iterator[str]:
    for family in families:
        yield f"# TYPE {family.name} {family.kind}"
        if family.unit:
            yield f"# UNIT {family.name} {family.unit}"
        yield f"# HELP {family.name} {_escaped(family.help)}"
        for point in family.points:
            yield from _samples(family, point)


def _samples(family: Family, point: Point) -> Iterator[str]:
    if not isinstance(point.value, Distribution):
        yield _sample(family.name + _SUFFIXES.get(family.kind, ""), point.labels, point.value)
        return
    found = point.value
    for bound, count in zip((*found.bounds, inf), accumulate(found.counts), strict=True):
        yield _sample(f"{family.name}_bucket", (*point.labels, ("le", _number(float(bound)))), count)
    yield _sample(f"{family.name}_count", point.labels, sum(found.counts))
    yield _sample(f"{family.name}_sum", point.labels, found.sum)


def _sample(name: str, labels: Labels, value: float) -> str:
    if not labels:
        return f"{name} {_number(value)}"
    pairs = ",".join(f'{label}="{_escaped(of)}"' for label, of in labels)
    return f"{name}{{{pairs}}} {_number(value)}"


def _number(value: float) -> str:
    if isnan(value):
        return "NaN"
    if value in {inf, -inf}:
        return "+Inf" if value > 0 else "-Inf"
    return repr(value)


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
