"""What is measured: each case a workload, what stands at the destination before, and the line between."""

from dataclasses import dataclass
from typing import Literal

from tests.bench.lines import Kind
from tests.bench.workloads import ARCHIVE, BIG, BIG_FAR, SMALL, SMALL_FAR, Workload

Before = Literal["nothing", "everything", "all but 1 %"]
Medium = Literal["memory", "disk"]
FAR = Kind(delay=0.040, window=4 * 1024 * 1024)
CUT = Kind(cut_every=2.0)
COUNTED = Kind()


@dataclass(frozen=True)
class Case:
    name: str
    title: str
    workload: Workload
    media: tuple[Medium, ...] = ("memory", "disk")
    before: Before = "nothing"
    line: Kind | None = None
    killed: bool = False
    """Killed when half has passed, and started again; what passes from then on is counted."""

    @property
    def resumes(self) -> bool:
        return self.killed or bool(self.line and self.line.cut_every)


CASES = (
    Case("big", BIG.title, BIG),
    Case("small", SMALL.title, SMALL),
    Case("archive", ARCHIVE.title, ARCHIVE),
    Case("unchanged", "20,000 small files, all there already", SMALL, before="everything"),
    Case("changed", "20,000 small files, 1 % of them changed", SMALL, before="all but 1 %"),
    Case(
        "far-big",
        f"{BIG_FAR.title}; 80 ms round trip, 4 MiB under way per connection",
        BIG_FAR,
        ("memory",),
        line=FAR,
    ),
    Case("far-small", f"{SMALL_FAR.title}; 80 ms round trip", SMALL_FAR, ("memory",), line=FAR),
    Case("cut", "one file of 4 GiB; the line is cut every 2 s", BIG, ("memory",), line=CUT),
    Case(
        "killed",
        "one file of 4 GiB; killed at half, started again",
        BIG,
        ("memory",),
        line=COUNTED,
        killed=True,
    ),
)
