"""What the lane is to reach: ratios and bounds as data, and whether they were reached."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.bench.results import Result
from tests.bench.system import Whole

AGENT_MEMORY = 150.0
"""MB."""


@dataclass(frozen=True)
class Verdict:
    wish: str
    found: str
    reached: bool | None
    """None when it was not measured."""

    @property
    def word(self) -> str:
        return {True: "reached", False: "**not reached**", None: "not measured"}[self.reached]


@dataclass(frozen=True)
class Times:
    """At least so many times as fast as another tool, or as the best of all the others."""

    case: str
    factor: float
    than: str | None

    def judge(self, results: list[Result]) -> list[Verdict]:
        media = dict.fromkeys(one.medium for one in results if one.case == self.case)
        return [
            self._judge(medium, [one for one in results if one.key == (self.case, medium)])
            for medium in media
        ]

    def _judge(self, medium: str, here: list[Result]) -> Verdict:
        wish = f"{self.case}, {medium}: at least {self.factor} × {self.than or 'the best of all the others'}"
        own = [one for one in here if one.tool == "lane" and one.seconds]
        others = [one for one in here if one.seconds and self._counts(one.tool)]
        if not own or not others:
            return Verdict(wish, "", None)
        best = min(others, key=lambda one: one.seconds or 0)
        times = (best.seconds or 0) / (own[0].seconds or 1)
        return Verdict(wish, f"{times:.2f} × ({best.tool})", times >= self.factor)

    def _counts(self, tool: str) -> bool:
        return tool == self.than if self.than else tool not in ("lane", "rsync", "cp")


@dataclass(frozen=True)
class Bound:
    """At most so much of something of the lane's own, whatever the medium."""

    wish: str
    case: str | None
    """None for the worst of all."""
    most: float
    value: Callable[[Result], float]
    unit: str

    def judge(self, results: list[Result]) -> list[Verdict]:
        own = [one for one in results if one.tool == "lane" and one.seconds and self.case in (None, one.case)]
        if not own:
            return [Verdict(self.wish, "", None)]
        worst = max(self.value(one) for one in own)
        return [Verdict(self.wish, f"{worst:.0f} {self.unit}", worst < self.most)]


GOALS: tuple[Times | Bound, ...] = (
    Times("big", 2.0, "rsync"),
    Times("big", 1.1, None),
    Times("small", 2.0, "rsync"),
    Times("small", 1.0, "tar"),
    Times("unchanged", 1.0, "rsync"),
    Times("far-small", 5.0, "scp"),
    Times("far-big", 2.0, "rsync"),
    Bound(
        "killed at half: under 55 % of the bytes of a full run",
        "killed",
        55.0,
        lambda one: 100 * (one.wire_bytes or 0) / one.bytes,
        "%",
    ),
    Bound(
        "agent memory under 150 MB in every case",
        None,
        AGENT_MEMORY,
        lambda one: max(one.near_memory, one.far_memory) / 1e6,
        "MB",
    ),
)


def verdicts(results: list[Result], whole: Whole | None = None) -> list[Verdict]:
    return [verdict for goal in GOALS for verdict in goal.judge(results)] + (
        _of_whole(whole) if whole else []
    )


def _of_whole(whole: Whole) -> list[Verdict]:
    found = [
        Verdict(f"{one.name}: under {one.goal} s", f"{one.median:.2f} s", one.median < one.goal)
        for one in whole.latencies
    ]
    most = max(whole.memory.values()) / 1e6
    wish = f"a real agent's memory under {AGENT_MEMORY:.0f} MB"
    return [*found, Verdict(wish, f"{most:.0f} MB", most < AGENT_MEMORY)]
