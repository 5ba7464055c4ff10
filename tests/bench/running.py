"""One run of one tool: put up, clear, start, measure, check."""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tests.bench.cases import Case, Medium
from tests.bench.checking import differences
from tests.bench.ground import clear, on_disk, warm
from tests.bench.lines import Lines, lines
from tests.bench.measuring import Cost, Meter
from tests.bench.tools import FailedError, Job, Session, Tool
from tests.bench.workloads import change

SHORTEST = 1.0
"""Seconds between two cuts, however small the scale."""
TRIES = 100
"""How often a tool that was interrupted is started anew before it is given up."""


@dataclass(frozen=True)
class Run:
    """What came of it."""

    case: str
    medium: str
    tool: str
    cost: Cost | None = None
    command: str = ""
    wire_bytes: int | None = None
    """What passed the line: of the whole run, or from the new start on when it was killed."""
    tries: int = 1
    cuts: int = 0
    why_not: str = ""

    def as_json(self) -> dict[str, object]:
        return asdict(self)


@dataclass
class Bench:
    """Where runs take place."""

    source: Path
    folder: Path
    """For destinations; on the same medium."""
    limit: float
    scale: float
    generation: int = 0
    runs: int = 0

    def run(self, case: Case, medium: Medium, tool: Tool) -> Run:
        blank = Run(case.name, medium, tool.name)
        if reason := _cannot(case, tool):
            return replace(blank, why_not=reason)
        self.runs += 1
        destination = self.folder / f"destination-{self.runs}"
        destination.mkdir()
        kind = case.line
        if kind and kind.cut_every:
            kind = replace(kind, cut_every=max(SHORTEST, kind.cut_every * self.scale))
        with lines(kind) as between, tempfile.TemporaryDirectory(prefix="bench-") as scratch:
            job = Job(
                source=self.source,
                destination=destination,
                scratch=Path(scratch),
                dial=between.dial,
                one_file=case.workload.one_file,
                compares=case.before != "nothing",
                resumes=case.resumes,
            )
            try:
                return self._measured(case, tool, job, between, blank)
            except (FailedError, TimeoutError) as error:
                return replace(
                    blank, why_not=_in_a_line(error, job), cuts=between.passed().cuts if kind else 0
                )
            finally:
                clear(destination, medium)
                for name in tool.leaves:
                    shutil.rmtree(self.source / name, ignore_errors=True)

    def _measured(self, case: Case, tool: Tool, job: Job, between: Lines, blank: Run) -> Run:
        if case.before != "nothing":
            subprocess.run(["cp", "-a", f"{job.source}/.", f"{job.destination}/"], check=True)
        on_disk(job.destination)
        with tool.put_up(job) as session:
            if case.before == "all but 1 %":
                self.generation += 1
                change(job.source, 0.01, self.generation)
                on_disk(job.source)
            blank = replace(blank, command=session.command)
            began = between.passed().bytes if case.line else 0
            warm(job.source)
            if case.killed:
                began += self._killed_at_half(session, between)
            with Meter(session.far, session.near) as meter:
                tries = self._to_the_end(session, meter, again=case.resumes)
                on_disk(job.destination)
            passed = between.passed() if case.line else None
        wrong = differences(job.source, job.destination, tool.leaves)
        if wrong:
            raise FailedError(f"{len(wrong)} things arrived wrong: {wrong[0]}")
        wire = passed.bytes - began if passed else None
        return replace(
            blank, cost=meter.cost, wire_bytes=wire, tries=tries, cuts=passed.cuts if passed else 0
        )

    def _to_the_end(self, session: Session, meter: Meter, *, again: bool) -> int:
        """How often it had to be started."""
        deadline = time.monotonic() + self.limit
        for tries in range(1, TRIES + 1):
            running = session.start()
            meter.joined(running.pid)
            try:
                running.wait(max(0.0, deadline - time.monotonic()))
            except FailedError:
                if not again or tries == TRIES:
                    raise
            except TimeoutError:
                raise TimeoutError(f"it was not done after {self.limit:.0f} s and {tries} starts") from None
            except KeyboardInterrupt:
                running.kill()
                raise
            else:
                return tries
        raise AssertionError("the last try either ends well or raises")

    def _killed_at_half(self, session: Session, between: Lines) -> int:
        """Bytes that had passed when it was killed and all had come to rest."""
        half = sum(path.stat().st_size for path in self.source.rglob("*") if path.is_file()) / 2
        running = session.start()
        _until(lambda: between.passed().bytes >= half, self.limit)
        running.kill()
        passed = -1
        while passed != (passed := between.passed().bytes):
            time.sleep(0.3)
        return passed


def _cannot(case: Case, tool: Tool) -> str | None:
    if lacking := tool.lacks():
        return f"left out: {lacking}"
    if case.line and not tool.lined:
        return "knows no line"
    if case.before != "nothing" and not tool.compares:
        return "sends everything again: it does not compare"
    if not case.workload.one_file and not tool.many:
        return "is for single files"
    return None


def _until(true: Callable[[], bool], timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"half had not passed after {timeout_s:.0f} s")
        time.sleep(0.005)


def _in_a_line(error: Exception, job: Job) -> str:
    words = " ".join(str(error).split())
    for path, name in ((job.source, "SOURCE"), (job.destination, "DESTINATION"), (job.scratch, "KEYS")):
        words = words.replace(str(path), name)
    return words[:300] or type(error).__name__
