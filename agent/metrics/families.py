"""Metrics as they are kept and passed on: counters, distributions, and families of points with labels.

Names and labels follow OpenMetrics 1.0. A label has few values: never a path, a name of a file or a person.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

MAX_SERIES = 100
"""Number of combinations of labels that one counter keeps; what is beyond them is counted as `other`."""
OTHER = "other"

Kind = Literal["counter", "gauge", "histogram", "info"]
Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Distribution:
    """How many observations fell into each bucket."""

    bounds: tuple[float, ...]
    """Upper bounds of all buckets but the last, which has none; ascending."""
    counts: tuple[int, ...]
    """Observations in each bucket alone; one more than there are bounds."""
    sum: float


@dataclass(frozen=True)
class Point:
    """One value, with its labels."""

    value: float | Distribution
    labels: Labels = ()


@dataclass(frozen=True)
class Family:
    """All points of one metric."""

    name: str
    """Without the suffixes `_total` and `_info`; it ends with its unit, if it has one."""
    kind: Kind
    help: str
    points: tuple[Point, ...]
    unit: str = ""


class Counter:
    """A number that only grows, for each combination of labels. Use it from one thread."""

    def __init__(self, *label_names: str) -> None:
        self._label_names = label_names
        self._values: dict[tuple[str, ...], float] = {}

    def add(self, amount: float, *label_values: str) -> None:
        """Add to the series of these labels; without room for another one, to `other`."""
        if label_values not in self._values and len(self._values) >= MAX_SERIES:
            label_values = (OTHER,) * len(self._label_names)
        self._values[label_values] = self._values.get(label_values, 0) + amount

    def points(self, running: Iterable[tuple[float, tuple[str, ...]]] = ()) -> tuple[Point, ...]:
        """Return the sums, each with what is still `running`, amounts with their labels, added to it."""
        sums = dict(self._values)
        for amount, label_values in running:
            sums[label_values] = sums.get(label_values, 0) + amount
        return tuple(
            Point(value, tuple(zip(self._label_names, labels, strict=True)))
            for labels, value in sorted(sums.items())
        )


class Histogram:
    """Durations in seconds, by buckets. Use it from one thread."""

    def __init__(self, *bounds: float) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def points(self) -> tuple[Point, ...]:
        """Return the only point: what has been observed so far."""
        return (Point(Distribution(self._bounds, tuple(self._counts), self._sum)),)


def gauge(name: str, help_text: str, value: float, unit: str = "") -> Family:
    """Return a gauge of one value."""
    return Family(name, "gauge", help_text, (Point(value),), unit)


def gauges(name: str, help_text: str, label: str, values: Mapping[str, float], unit: str = "") -> Family:
    """Return a gauge with a value for each value of a label."""
    points = tuple(Point(value, ((label, of),)) for of, value in values.items())
    return Family(name, "gauge", help_text, points, unit)
