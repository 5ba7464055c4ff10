"""Decide what state a synthesized alarm would have, as CloudWatch does.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/AlarmThatSendsEmail.html
"""

import operator
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_COMPARE = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "LessThanThreshold": operator.lt,
}
_STATISTICS = {
    "Sum": sum,
    "Maximum": max,
    "Minimum": min,
}
_JOIN = {"SUM": sum, "MIN": min}


@dataclass(frozen=True)
class Series:
    """A metric that an alarm reads."""

    namespace: str
    name: str
    dimensions: frozenset[tuple[str, str]]
    statistic: str
    period: int
    """Seconds."""


Values = dict[Series, list[float]]
"""What was recorded of each metric in one period."""


def series_of(alarm: dict[str, Any]) -> dict[str, Series]:
    """Return the metrics of an alarm's properties, by their ids in its expression."""
    if "Metrics" not in alarm:
        return {"m0": _series(alarm, alarm["Statistic"], alarm["Period"])}
    stats = {one["Id"]: one["MetricStat"] for one in alarm["Metrics"] if "MetricStat" in one}
    return {name: _series(one["Metric"], one["Stat"], one["Period"]) for name, one in stats.items()}


def _series(metric: dict[str, Any], statistic: str, period: int) -> Series:
    dimensions = frozenset((one["Name"], str(one["Value"])) for one in metric.get("Dimensions", ()))
    return Series(metric["Namespace"], metric["MetricName"], dimensions, statistic, period)


def rings(alarm: dict[str, Any], periods: Sequence[Values]) -> bool:
    """Return whether the alarm is in the state ALARM after these periods, the latest last."""
    needed = alarm["EvaluationPeriods"]
    latest = list(periods)[-needed:]
    latest = [{} for _ in range(needed - len(latest))] + latest
    return all(_breaches(alarm, values) for values in latest)


def _breaches(alarm: dict[str, Any], values: Values) -> bool:
    found = {
        name: _STATISTICS[series.statistic](values[series])
        for name, series in series_of(alarm).items()
        if values.get(series)
    }
    if not found:
        return {"breaching": True, "notBreaching": False}[alarm["TreatMissingData"]]
    value = _joined(alarm, found)
    return bool(_COMPARE[alarm["ComparisonOperator"]](value, alarm["Threshold"]))


def _joined(alarm: dict[str, Any], found: dict[str, float]) -> float:
    expressions = [one["Expression"] for one in alarm.get("Metrics", ()) if "Expression" in one]
    if not expressions:
        return next(iter(found.values()))
    [expression] = expressions
    parsed = re.fullmatch(r"(\w+)\(\[([\w, ]+)\]\)", expression)
    assert parsed, expression
    assert set(parsed[2].split(", ")) == set(series_of(alarm)), "each metric counts"
    return float(_JOIN[parsed[1]](found.values()))
