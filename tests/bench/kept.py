"""What was measured before, from results.json: a benchmark of hours can be made in parts, case by case."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.measuring import Cost
from tests.bench.running import Run
from tests.bench.system import Chains, Latency, Whole

Key = tuple[str, str]
"""A case and a medium."""


@dataclass
class Kept:
    runs: list[Run] = field(default_factory=list)
    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Of each case: files, bytes."""
    whole: Whole | None = None

    def without(self, again: set[Key]) -> "Kept":
        """Less what is measured once more."""
        runs = [run for run in self.runs if (run.case, run.medium) not in again]
        return Kept(runs, self.sizes, self.whole)


def read(file: Path, about: Mapping[str, str]) -> Kept:
    """Nothing if there is none. ValueError if it is of another machine, or of other versions or sizes."""
    if not file.exists():
        return Kept()
    found = json.loads(file.read_text())
    if differs := sorted(name for name in about if found["about"].get(name) != about[name]):
        raise ValueError(f"{file.name} was measured with another {', '.join(differs)}: leave --add out")
    sizes = {one["case"]: (one["files"], one["bytes"]) for one in found["results"] if one["seconds"]}
    return Kept([_run(one) for one in found["runs"]], sizes, _whole(found["system"]))


def _run(told: dict[str, Any]) -> Run:
    cost = Cost(**told["cost"]) if told["cost"] else None
    return Run(**{**told, "cost": cost})


def _whole(told: dict[str, Any] | None) -> Whole | None:
    if told is None:
        return None
    latencies = [Latency(one["name"], one["goal"], one["cold"], one["warm"]) for one in told["latencies"]]
    chains = {name: value for name, value in told["chains"].items() if name != "saved"}
    return Whole(latencies, Chains(**chains), told["memory"])
