"""The performance goals as data, and whether they were reached."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.bench.cases import CASES
from tests.bench.results import OWN_TOOLS, Result
from tests.bench.system import SystemResult

AGENT_MEMORY_MB = 150.0
"""Largest peak memory of an agent, in MB."""


@dataclass(frozen=True)
class GoalResult:
    """One goal, the measured value and whether it was reached."""

    goal: str
    found: str
    reached: bool | None
    """None if it was not measured."""

    @property
    def word(self) -> str:
        return {True: "reached", False: "**not reached**", None: "not measured"}[self.reached]


@dataclass(frozen=True)
class SpeedGoal:
    """Crosshaul is at least `factor` times as fast as another tool, or as the best of the others."""

    case: str
    factor: float
    than: str | None

    def evaluate(self, results: list[Result]) -> list[GoalResult]:
        media = dict.fromkeys(one.medium for one in results if one.case == self.case)
        return [
            self._evaluate(medium, [one for one in results if one.key == (self.case, medium)])
            for medium in media
        ]

    def _evaluate(self, medium: str, here: list[Result]) -> GoalResult:
        goal = f"{self.case}, {medium}: at least {self.factor} × {self.than or 'the fastest other tool'}"
        own = [one for one in here if one.tool in OWN_TOOLS and one.seconds]
        others = [one for one in here if one.seconds and self._counts(one.tool)]
        if not own or not others:
            return GoalResult(goal, "", None)
        best = min(others, key=lambda one: one.seconds or 0)
        times = (best.seconds or 0) / (own[0].seconds or 1)
        return GoalResult(goal, f"{times:.2f} × ({best.tool})", times >= self.factor)

    def _counts(self, tool: str) -> bool:
        return tool == self.than if self.than else tool not in (*OWN_TOOLS, "rsync", "cp")


@dataclass(frozen=True)
class LimitGoal:
    """A value of Crosshaul stays below a limit on every medium."""

    goal: str
    case: str | None
    """None for the worst of all cases."""
    most: float
    value: Callable[[Result], float]
    unit: str

    def evaluate(self, results: list[Result]) -> list[GoalResult]:
        own = [
            one for one in results if one.tool in OWN_TOOLS and one.seconds and self.case in (None, one.case)
        ]
        if not own:
            return [GoalResult(self.goal, "", None)]
        worst = max(self.value(one) for one in own)
        return [GoalResult(self.goal, f"{worst:.0f} {self.unit}", worst < self.most)]


@dataclass(frozen=True)
class LineGoal:
    """The lane carries at least a share of what its line can."""

    case: str
    least: float

    def evaluate(self, results: list[Result]) -> list[GoalResult]:
        case = next(one for one in CASES if one.name == self.case)
        rate = case.line.rate_bits if case.line else 0
        goal = f"{self.case}: at least {100 * self.least:.0f} % of {rate / 1e6:.0f} Mbit/s"
        shares = [
            8 * one.bytes / one.seconds / rate
            for one in results
            if one.tool in OWN_TOOLS and one.case == self.case and one.seconds
        ]
        if not shares:
            return [GoalResult(goal, "", None)]
        return [GoalResult(goal, f"{100 * min(shares):.0f} %", min(shares) >= self.least)]


@dataclass(frozen=True)
class RequestsGoal:
    """Crosshaul asks S3 no more often than the most sparing of the others."""

    case: str

    def evaluate(self, results: list[Result]) -> list[GoalResult]:
        goal = f"{self.case}: no more requests than the fewest of others"
        here = {one.tool: one.requests for one in results if one.case == self.case and one.requests}
        own = here.pop("agent", None)
        if own is None or not here:
            return [GoalResult(goal, "", None)]
        fewest = min(here, key=lambda tool: here[tool])
        return [GoalResult(goal, f"{own:,}, {fewest} {here[fewest]:,}", own <= here[fewest])]


S3_CASES = tuple(case.name for case in CASES if case.bucket)

GOALS: tuple[SpeedGoal | LimitGoal | LineGoal | RequestsGoal, ...] = (
    SpeedGoal("big", 2.0, "rsync"),
    SpeedGoal("big", 1.1, None),
    SpeedGoal("small", 2.0, "rsync"),
    SpeedGoal("small", 1.0, "tar"),
    SpeedGoal("unchanged", 1.0, "rsync"),
    SpeedGoal("far-small", 5.0, "scp"),
    SpeedGoal("far-big", 2.0, "rsync"),
    LineGoal("line-lossy", 0.85),
    LineGoal("line-bad", 0.85),
    SpeedGoal("line-lossy", 20.0, "rsync"),
    SpeedGoal("line-bad", 20.0, "rsync"),
    *(LineGoal(case, 0.7) for case in ("line-small", "line-small-lossy", "line-small-bad")),
    *(
        LimitGoal(f"{case}: under 1,500 ms", case, 1500.0, lambda one: 1000 * (one.seconds or 0.0), "ms")
        for case in ("line-file", "line-file-lossy")
    ),
    LimitGoal(
        "killed at half: the second run sends under 55 % of the bytes",
        "killed",
        55.0,
        lambda one: 100 * (one.wire_bytes or 0) / one.bytes,
        "%",
    ),
    *(SpeedGoal(case, 1.0, None) for case in S3_CASES),
    *(RequestsGoal(case) for case in S3_CASES),
    LimitGoal(
        "peak memory of the lane and of S3 copies under 150 MB in every case",
        None,
        AGENT_MEMORY_MB,
        lambda one: max(one.near_memory, one.far_memory) / 1e6,
        "MB",
    ),
)


def goal_results(results: list[Result], whole: SystemResult | None = None) -> list[GoalResult]:
    return [result for one in GOALS for result in one.evaluate(results)] + (_of_whole(whole) if whole else [])


def _of_whole(whole: SystemResult) -> list[GoalResult]:
    found = [
        GoalResult(f"{one.name}: under {one.goal} s", f"{one.median:.2f} s", one.median < one.goal)
        for one in whole.latencies
    ]
    most = max(whole.memory.values()) / 1e6
    goal = f"peak memory of a running agent under {AGENT_MEMORY_MB:.0f} MB"
    return [*found, GoalResult(goal, f"{most:.0f} MB", most < AGENT_MEMORY_MB)]
