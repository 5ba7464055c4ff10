"""Run one tool in one case: prepare, start, measure, check, clean up."""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tests.bench.bucket import bucket
from tests.bench.cases import Case, Medium
from tests.bench.checking import differences
from tests.bench.emulated_network import EmulatedNetwork, emulated_network
from tests.bench.measuring import Meter, RunCost
from tests.bench.preparation import clear, on_disk, warm
from tests.bench.tools import FailedError, Job, Tool, ToolSession
from tests.bench.workloads import change
from tests.support import long_line

MIN_CUT_INTERVAL_S = 1.0
"""Shortest time between two cuts, however small the scale."""
MAX_STARTS = 100
"""How often an interrupted tool is started before the run fails."""


@dataclass(frozen=True)
class Run:
    """The outcome of one run."""

    case: str
    medium: str
    tool: str
    cost: RunCost | None = None
    command: str = ""
    wire_bytes: int | None = None
    """Bytes over the network: of the whole run, or after the restart if the tool was killed."""
    tries: int = 1
    cuts: int = 0
    requests: int | None = None
    """That S3 got."""
    why_not: str = ""

    def as_json(self) -> dict[str, object]:
        return asdict(self)


@dataclass
class Runner:
    """Runs tools from a source folder into new destinations."""

    source: Path
    folder: Path
    """Folder for destinations, on the same medium."""
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
        profile = case.network
        if profile and profile.cut_every:
            profile = replace(profile, cut_every=max(MIN_CUT_INTERVAL_S, profile.cut_every * self.scale))
        with ExitStack() as stack:
            network = stack.enter_context(emulated_network(profile))
            scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-"))
            job = Job(
                source=self.source,
                destination=destination,
                scratch=Path(scratch),
                dial=network.dial,
                one_file=case.workload.one_file,
                compares=case.before != "nothing",
                resumes=case.resumes,
            )
            if case.line:
                line = stack.enter_context(long_line.long_line(case.line))
                stack.enter_context(line.near())
                job = replace(job, address=line.far_address, near_address=line.near_address, at_far=line.far)
            if case.bucket:
                job = replace(job, bucket=stack.enter_context(bucket(case.bucket)))
            try:
                return self._measured(case, tool, job, network, blank)
            except (FailedError, TimeoutError) as error:
                return replace(
                    blank, why_not=_one_line(error, job), cuts=network.passed().cuts if profile else 0
                )
            finally:
                clear(destination, medium)
                for name in tool.leaves:
                    shutil.rmtree(self.source / name, ignore_errors=True)

    def _measured(self, case: Case, tool: Tool, job: Job, network: EmulatedNetwork, blank: Run) -> Run:
        if case.before != "nothing":
            subprocess.run(["cp", "-a", f"{job.source}/.", f"{job.destination}/"], check=True)
        if job.bucket and job.bucket.direction == "pull":
            job.bucket.load(job.source)
        on_disk(job.destination)
        with tool.prepare(job) as session:
            if case.before == "all but 1 %":
                self.generation += 1
                change(job.source, 0.01, self.generation)
                on_disk(job.source)
            blank = replace(blank, command=session.command)
            began = network.passed().bytes if case.network else 0
            warm(job.source)
            if case.killed:
                began += self._killed_at_half(session, network)
            with Meter(session.far, session.near) as meter:
                tries = self._run_until_done(session, meter, restart=case.resumes)
                on_disk(job.destination)
            passed = network.passed() if case.network else None
        if job.bucket and job.bucket.direction == "push":
            job.bucket.save(job.destination)
        wrong = differences(job.source, job.destination, tool.leaves)
        if wrong:
            raise FailedError(f"{len(wrong)} entries differ: {wrong[0]}")
        wire = passed.bytes - began if passed else None
        return replace(
            blank,
            cost=meter.cost,
            wire_bytes=wire,
            tries=tries,
            cuts=passed.cuts if passed else 0,
            requests=job.bucket.requests() if job.bucket else None,
        )

    def _run_until_done(self, session: ToolSession, meter: Meter, *, restart: bool) -> int:
        """Start the tool until it succeeds and return the number of starts."""
        deadline = time.monotonic() + self.limit
        for tries in range(1, MAX_STARTS + 1):
            running = session.start()
            meter.joined(running.pid)
            try:
                running.wait(max(0.0, deadline - time.monotonic()))
            except FailedError:
                if not restart or tries == MAX_STARTS:
                    raise
            except TimeoutError:
                raise TimeoutError(f"it was not done after {self.limit:.0f} s and {tries} starts") from None
            except KeyboardInterrupt:
                running.kill()
                raise
            else:
                return tries
        raise AssertionError("the last start either returns or raises")

    def _killed_at_half(self, session: ToolSession, network: EmulatedNetwork) -> int:
        """Kill the tool at half of the bytes and return the bytes forwarded until then."""
        half = sum(path.stat().st_size for path in self.source.rglob("*") if path.is_file()) / 2
        running = session.start()
        _until(lambda: network.passed().bytes >= half, self.limit)
        running.kill()
        passed = -1
        while passed != (passed := network.passed().bytes):
            time.sleep(0.3)
        return passed


def _cannot(case: Case, tool: Tool) -> str | None:
    if lacking := tool.lacks():
        return f"left out: {lacking}"
    if case.line and (reason := long_line.lacks()):
        return f"left out: {reason}"
    if (case.network or case.line) and not tool.uses_network:
        return "cannot use the emulated network"
    if tool.lines_only and not case.line:
        return "is measured over lossy lines only"
    if case.before != "nothing" and not tool.compares:
        return "sends everything again: it does not compare"
    if not case.workload.one_file and not tool.many:
        return "copies single files only"
    return None


def _until(true: Callable[[], bool], timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"half had not passed after {timeout_s:.0f} s")
        time.sleep(0.005)


def _one_line(error: Exception, job: Job) -> str:
    words = " ".join(str(error).split())
    for path, name in ((job.source, "SOURCE"), (job.destination, "DESTINATION"), (job.scratch, "KEYS")):
        words = words.replace(str(path), name)
    return words[:300] or type(error).__name__
