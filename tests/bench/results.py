"""Medians of runs, as stored in results.json."""

import statistics
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from tests.bench.running import Run

OWN_TOOLS = ("lane", "lane-source-dials", "agent")
"""Crosshaul: between servers, and between S3 and a server."""


@dataclass(frozen=True)
class Result:
    """Medians of one tool's runs in one case on one medium; bytes and seconds."""

    case: str
    medium: str
    tool: str
    command: str = ""
    runs: int = 0
    seconds: float | None = None
    """None if the tool could not run the case; `why_not` has the reason."""
    fastest: float | None = None
    slowest: float | None = None
    bytes: int = 0
    files: int = 0
    cpu_seconds: float | None = None
    near_memory: int = 0
    far_memory: int = 0
    """The largest of all runs, in bytes."""
    wire_bytes: int | None = None
    tries: int = 1
    cuts: int = 0
    requests: int | None = None
    why_not: str = ""

    @property
    def key(self) -> tuple[str, str]:
        return self.case, self.medium

    @property
    def mib_per_second(self) -> float:
        return self.bytes / 2**20 / self.seconds if self.seconds else 0.0

    @property
    def files_per_second(self) -> float:
        return self.files / self.seconds if self.seconds else 0.0

    @property
    def cpu_per_gib(self) -> float:
        return (self.cpu_seconds or 0.0) / (self.bytes / 2**30) if self.bytes else 0.0

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def results_of(runs: Iterable[Run], size: dict[str, tuple[int, int]]) -> list[Result]:
    """Return the medians of the runs; `size` maps each case to files and bytes."""
    groups: dict[tuple[str, str, str], list[Run]] = defaultdict(list)
    for run in runs:
        groups[run.case, run.medium, run.tool].append(run)
    return [_result(*key, group, *size[key[0]]) for key, group in groups.items()]


def _result(case: str, medium: str, tool: str, runs: list[Run], files: int, size: int) -> Result:
    reasons = [run.why_not for run in runs if run.why_not]
    costs = [run.cost for run in runs if run.cost]
    command = next((run.command for run in runs if run.command), "")
    if reasons or not costs:
        return Result(
            case, medium, tool, command, len(costs), why_not=reasons[0] if reasons else "was not run"
        )
    wires = [run.wire_bytes for run in runs if run.wire_bytes is not None]
    requests = [run.requests for run in runs if run.requests is not None]
    seconds = [cost.seconds for cost in costs]
    return Result(
        case,
        medium,
        tool,
        command,
        runs=len(costs),
        seconds=statistics.median(seconds),
        fastest=min(seconds),
        slowest=max(seconds),
        bytes=size,
        files=files,
        cpu_seconds=statistics.median(cost.cpu_seconds for cost in costs),
        near_memory=max(cost.near_memory for cost in costs),
        far_memory=max(cost.far_memory for cost in costs),
        wire_bytes=round(statistics.median(wires)) if wires else None,
        tries=round(statistics.median(run.tries for run in runs)),
        cuts=round(statistics.median(run.cuts for run in runs)),
        requests=round(statistics.median(requests)) if requests else None,
    )
