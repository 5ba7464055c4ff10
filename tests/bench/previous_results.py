"""Earlier results from results.json, so that a benchmark of hours can run in parts, case by case."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.measuring import RunCost
from tests.bench.running import Run
from tests.bench.system import Chains, Latency, SystemResult

Key = tuple[str, str]
"""A case and a medium."""


@dataclass
class PreviousResults:
    """Runs and the system result of earlier benchmarks."""

    runs: list[Run] = field(default_factory=list)
    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Files and bytes of each case."""
    whole: SystemResult | None = None

    def without(self, repeated: set[Key]) -> "PreviousResults":
        """Return the results without what is measured again."""
        runs = [run for run in self.runs if (run.case, run.medium) not in repeated]
        return PreviousResults(runs, self.sizes, self.whole)


def read(file: Path, about: Mapping[str, str]) -> PreviousResults:
    """Read earlier results; none if there is no file.

    Raises:
        ValueError: They are of another machine, or of other versions or sizes.
    """
    if not file.exists():
        return PreviousResults()
    found = json.loads(file.read_text())
    if differs := sorted(name for name in about if found["about"].get(name) != about[name]):
        raise ValueError(f"{file.name} was measured with another {', '.join(differs)}: leave --add out")
    sizes = {one["case"]: (one["files"], one["bytes"]) for one in found["results"] if one["seconds"]}
    return PreviousResults([_run(one) for one in found["runs"]], sizes, _whole(found["system"]))


def _run(stored: dict[str, Any]) -> Run:
    cost = RunCost(**stored["cost"]) if stored["cost"] else None
    return Run(**{**stored, "cost": cost})


def _whole(stored: dict[str, Any] | None) -> SystemResult | None:
    if stored is None:
        return None
    latencies = [Latency(one["name"], one["goal"], one["cold"], one["warm"]) for one in stored["latencies"]]
    chains = {name: value for name, value in stored["chains"].items() if name != "saved"}
    return SystemResult(latencies, Chains(**chains), stored["memory"])
