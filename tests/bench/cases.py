"""The benchmark's cases: workload, initial state of the destination, and network."""

from dataclasses import dataclass
from typing import Literal

from tests.bench.bucket import DELAY_S, Direction
from tests.bench.emulated_network import NetworkProfile
from tests.bench.workloads import (
    ARCHIVE,
    BIG,
    BIG_FAR,
    LINE_BIG,
    LINE_FILE,
    LINE_SMALL,
    S3_BIG,
    S3_SMALL,
    SMALL,
    SMALL_FAR,
    Workload,
)
from tests.support.long_line import LineProfile

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
    """Emulated by a proxy."""
    line: LineProfile | None = None
    """Emulated packet by packet, below the kernel's TCP."""
    bucket: Direction | None = None
    """Between a directory and a stand-in for S3."""
    killed: bool = False
    """Kill the tool at half of the bytes and start it again; only bytes after that are counted."""

    @property
    def resumes(self) -> bool:
        return self.killed or bool(self.network and self.network.cut_every)


def _line(name: str, workload: Workload, loss: float, congestion_control: str = "reno") -> Case:
    profile = LineProfile(loss=loss, congestion_control=congestion_control)
    words = [
        f"{workload.title}; {profile.rate_bits / 1e6:.0f} Mbit/s",
        f"{1000 * profile.round_trip_s:.0f} ms round trip",
        f"{100 * loss:g} % loss",
        f"hosts with {congestion_control}",
    ]
    return Case(name, ", ".join(words), workload, ("memory",), line=profile)


def _s3(name: str, workload: Workload, direction: Direction) -> Case:
    words = {"pull": "pulled from", "push": "pushed to"}[direction]
    title = f"{workload.title} {words} a stand-in for S3 that takes {1000 * DELAY_S:.0f} ms for each answer"
    return Case(name, title, workload, ("memory",), bucket=direction)


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
    _line("line", LINE_BIG, 0.0),
    _line("line-lossy", LINE_BIG, 0.001),
    _line("line-bad", LINE_BIG, 0.01),
    _line("line-lossy-bbr", LINE_BIG, 0.001, "bbr"),
    _line("line-bad-bbr", LINE_BIG, 0.01, "bbr"),
    _line("line-file", LINE_FILE, 0.0),
    _line("line-file-lossy", LINE_FILE, 0.001),
    _line("line-small", LINE_SMALL, 0.0),
    _line("line-small-lossy", LINE_SMALL, 0.001),
    _line("line-small-bad", LINE_SMALL, 0.01),
    _s3("s3pull-small", S3_SMALL, "pull"),
    _s3("s3pull-big", S3_BIG, "pull"),
    _s3("s3push-small", S3_SMALL, "push"),
    _s3("s3push-big", S3_BIG, "push"),
)
