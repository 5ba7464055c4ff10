"""The benchmark's cases: workload, initial state of the destination, and network."""

from dataclasses import dataclass
from typing import Literal

from tests.bench.emulated_network import NetworkProfile
from tests.bench.workloads import ARCHIVE, BIG, BIG_FAR, SMALL, SMALL_FAR, Workload

Before = Literal["nothing", "everything", "all but 1 %"]
Medium = Literal["memory", "disk"]
LONG_DISTANCE = NetworkProfile(delay=0.040, window=4 * 1024 * 1024)
CUT = NetworkProfile(cut_every=2.0)
COUNTED = NetworkProfile()


@dataclass(frozen=True)
class Case:
    """One case of the benchmark."""

    name: str
    title: str
    workload: Workload
    media: tuple[Medium, ...] = ("memory", "disk")
    before: Before = "nothing"
    network: NetworkProfile | None = None
    killed: bool = False
    """Kill the tool at half of the bytes and start it again; only bytes after that are counted."""

    @property
    def resumes(self) -> bool:
        return self.killed or bool(self.network and self.network.cut_every)


CASES = (
    Case("big", BIG.title, BIG),
    Case("small", SMALL.title, SMALL),
    Case("archive", ARCHIVE.title, ARCHIVE),
    Case("unchanged", "20,000 small files, all at the destination already", SMALL, before="everything"),
    Case("changed", "20,000 small files, 1 % of them changed", SMALL, before="all but 1 %"),
    Case(
        "far-big",
        f"{BIG_FAR.title}; 80 ms round trip, 4 MiB in flight per connection",
        BIG_FAR,
        ("memory",),
        network=LONG_DISTANCE,
    ),
    Case("far-small", f"{SMALL_FAR.title}; 80 ms round trip", SMALL_FAR, ("memory",), network=LONG_DISTANCE),
    Case("cut", "one file of 4 GiB; the line is cut every 2 s", BIG, ("memory",), network=CUT),
    Case(
        "killed",
        "one file of 4 GiB; killed at half, started again",
        BIG,
        ("memory",),
        network=COUNTED,
        killed=True,
    ),
)
