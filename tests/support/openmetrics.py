"""Parse OpenMetrics 1.0 text as strictly as the specification, with which Prometheus' own parser agrees.

https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md
"""

import re
from dataclasses import dataclass, field
from math import inf

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_META = re.compile(rf"# (TYPE|UNIT|HELP) ({_NAME}) (.+)")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)')
_SAMPLE = re.compile(rf"({_NAME})(?:\{{(.*)\}})? (NaN|[+-]Inf|-?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?)")
_SUFFIXES = {
    "counter": {"_total"},
    "gauge": {""},
    "info": {"_info"},
    "histogram": {"_bucket", "_count", "_sum"},
}
_ESCAPES = {"\\n": "\n", '\\"': '"', "\\\\": "\\"}

Labels = frozenset[tuple[str, str]]


@dataclass
class Parsed:
    """One metric."""

    type: str = ""
    unit: str = ""
    help: str = ""
    samples: dict[tuple[str, Labels], float] = field(default_factory=dict)
    """By the suffix of the name, and the labels."""


def parse(text: str) -> dict[str, Parsed]:
    """Return the metrics of an exposition. Raises AssertionError if it is none."""
    assert text.endswith("\n# EOF\n")
    found: dict[str, Parsed] = {}
    for line in text.removesuffix("\n# EOF\n").split("\n"):
        if meta := _META.fullmatch(line):
            keyword, name, rest = meta.groups()
            assert keyword == "TYPE" or name == _last(found), f"{line}: not in the metric's own block"
            if keyword == "TYPE":
                assert name not in found, f"{line}: the metric was there before"
                found[name] = Parsed(type=rest)
            else:
                setattr(found[name], keyword.lower(), rest)
        else:
            _add(found, line)
    for name, metric in found.items():
        assert not metric.unit or name.endswith(f"_{metric.unit}"), f"{name}: its unit is not its suffix"
        if metric.type == "histogram":
            _check_histogram(metric)
    return found


def value(metrics: dict[str, Parsed], name: str, suffix: str = "", **labels: str) -> float:
    """Return a sample's value; 0 if there is none."""
    return metrics[name].samples.get((suffix, frozenset(labels.items())), 0.0)


def _last(found: dict[str, Parsed]) -> str:
    return next(reversed(found), "")


def _add(found: dict[str, Parsed], line: str) -> None:
    match = _SAMPLE.fullmatch(line)
    assert match, f"{line!r} is not a sample"
    name, labels, number = match.groups()
    family = _last(found)
    suffix = name.removeprefix(family)
    assert name.startswith(family), f"{line}: not in the metric's own block"
    assert suffix in _SUFFIXES[found[family].type], f"{line}: not a sample of a {found[family].type}"
    key = suffix, _labels(labels or "")
    assert key not in found[family].samples, f"{line}: twice"
    found[family].samples[key] = float(number.replace("Inf", "inf"))


def _labels(text: str) -> Labels:
    pairs, at = [], 0
    while at < len(text):
        match = _LABEL.match(text, at)
        assert match, f"{text[at:]!r} is not a label"
        escaped = re.sub(r"\\.", lambda found: _ESCAPES[found.group()], match[2])
        pairs.append((match[1], escaped))
        at = match.end()
    assert len({name for name, _ in pairs}) == len(pairs), f"{text}: a label is there twice"
    return frozenset(pairs)


def _check_histogram(metric: Parsed) -> None:
    buckets = sorted(
        (float(dict(labels)["le"].replace("Inf", "inf")), count)
        for (suffix, labels), count in metric.samples.items()
        if suffix == "_bucket"
    )
    counts = [count for _, count in buckets]
    assert counts == sorted(counts), "buckets are cumulative"
    assert buckets[-1] == (inf, metric.samples["_count", frozenset()])
