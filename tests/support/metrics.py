"""Metrics as CloudWatch reads them from the log: the embedded metric format.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Datum:
    """The values of one metric that one line of the log has."""

    namespace: str
    name: str
    dimensions: frozenset[tuple[str, str]]
    unit: str
    values: tuple[float, ...]


def data_in(log: str) -> list[Datum]:
    """Return what CloudWatch would take out of a function's log."""
    return [datum for line in log.splitlines() if '"CloudWatchMetrics"' in line for datum in _data(line)]


def values_in(log: str) -> dict[str, list[float]]:
    """Return all values of each metric, by name, whatever its dimensions."""
    found: dict[str, list[float]] = {}
    for datum in data_in(log):
        found.setdefault(datum.name, []).extend(datum.values)
    return found


def _data(line: str) -> Iterator[Datum]:
    body = json.loads(line)
    for entry in body["_aws"]["CloudWatchMetrics"]:
        for names in entry["Dimensions"]:
            dimensions = frozenset((name, body[name]) for name in names)
            for metric in entry["Metrics"]:
                value = body[metric["Name"]]
                values = tuple(value) if isinstance(value, list) else (value,)
                yield Datum(entry["Namespace"], metric["Name"], dimensions, metric["Unit"], values)
