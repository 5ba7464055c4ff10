"""`make bench`: compare the lane with other tools on one machine, checking every byte that arrives.

make bench                                              all cases, takes hours; writes docs/benchmarks/
make bench ARGS="--repeat 3 --case small --tool lane"   some cases; writes .crosshaul/bench/
make bench ARGS="--case cut --add --out DIR"            add a case to the results in DIR
make bench ARGS="--scale 0.05 --medium memory"          with a twentieth of the bytes and files
"""

import argparse
import json
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from tests.bench.cases import CASES, Case, Medium
from tests.bench.goals import goal_results
from tests.bench.machine import about
from tests.bench.plot import plot
from tests.bench.preparation import clear, on_disk
from tests.bench.previous_results import read
from tests.bench.report import report
from tests.bench.results import OWN_TOOLS, results_of
from tests.bench.running import Run, Runner
from tests.bench.system import SystemResult, measure
from tests.bench.toolbox import TOOLS
from tests.bench.tools import Tool
from tests.bench.workloads import size_of

ROOT = Path(__file__).parents[2]
MEMORY = Path("/dev/shm")
DISK = ROOT / ".crosshaul"

CASE_NAMES = [case.name for case in CASES]
SYSTEM = "system"
"""Name of the case that measures the control plane instead of tools."""

out = Console(highlight=False, soft_wrap=True)


@dataclass
class RunPlan:
    """The requested runs and their results so far."""

    cases: list[Case]
    media: list[Medium]
    tools: list[Tool]
    repeat: int
    scale: float
    limit: float
    out: Path
    runs: list[Run] = field(default_factory=list)
    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)
    whole: SystemResult | None = None

    def run_all(self) -> bool:
        """Run everything and return whether every run that was possible succeeded."""
        for medium in self.media:
            with _folder(medium) as folder:
                for case in self.cases:
                    if medium in case.media:
                        self._case(case, medium, folder / case.name)
                        self.write()
        return not any(run.why_not for run in self.runs if run.tool in OWN_TOOLS)

    def through_the_system(self) -> None:
        """Measure the time from a request or an upload to the first byte, on the embedded cloud."""
        out.print("\n[bold]system[/], on the embedded cloud: from request and upload to the first byte")
        DISK.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="crosshaul-bench-", dir=DISK) as home:
            self.whole = measure(Path(home), self.repeat, self.scale)
        for one in self.whole.latencies:
            out.print(f"  {one.name:<50}{one.median:6.2f} s   [dim](the first, cold: {one.cold:.2f} s)[/]")
        out.print(f"  {'a chain saves by streaming':<50}{100 * self.whole.chains.saved:6.0f} %")
        for name, size in self.whole.memory.items():
            out.print(f"  {'peak memory of the agent at ' + name:<50}{size / 1e6:6.0f} MB")
        self.write()

    def about(self) -> dict[str, str]:
        return about() | {"scale": f"{self.scale:g}"}

    def load_previous(self) -> None:
        """Load earlier results, except for the cases of this plan.

        Raises:
            ValueError: They are of another machine, or of other versions or sizes.
        """
        again = {(case.name, medium) for case in self.cases for medium in self.media}
        before = read(self.out / "results.json", self.about()).without(again)
        self.runs, self.sizes, self.whole = before.runs, before.sizes, before.whole

    def write(self) -> None:
        results = results_of(self.runs, self.sizes)
        goals = goal_results(results, self.whole)
        machine = self.about()
        self.out.mkdir(parents=True, exist_ok=True)
        whole = {
            "about": machine,
            "goals": [{"goal": one.goal, "found": one.found, "reached": one.reached} for one in goals],
            "system": self.whole.as_json() if self.whole else None,
            "results": [one.as_json() for one in results],
            "runs": [run.as_json() for run in self.runs],
        }
        (self.out / "results.json").write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n")
        (self.out / "results.md").write_text(report(results, goals, machine, self.whole))
        (self.out / "results.svg").write_text(plot(results))

    def _case(self, case: Case, medium: Medium, folder: Path) -> None:
        out.print(f"\n[bold]{case.name}[/], {medium}: {case.title}" + _scaled(self.scale))
        source = folder / "source"
        case.workload.make(source, self.scale)
        size = size_of(source)
        self.sizes[case.name] = size.files, size.bytes
        on_disk(source)
        runner = Runner(source, folder, self.limit, self.scale)
        tools = [tool for tool in self.tools if tool.uses_bucket == bool(case.bucket)]
        hopeless: set[str] = set()
        for repetition in range(self.repeat):
            turn = repetition % max(1, len(tools))
            for tool in (*tools[turn:], *tools[:turn]):
                if tool.name in hopeless:
                    continue
                run = runner.run(case, medium, tool)
                self.runs.append(run)
                if run.why_not:
                    hopeless.add(tool.name)
                which = f"  {repetition + 1}/{self.repeat}  {tool.name:<15}"
                out.print(which + _summary(run, size.bytes, size.files))
        clear(source, medium)


def _summary(run: Run, size: int, files: int) -> str:
    if not run.cost:
        return f"[yellow]— {escape(run.why_not)}[/]"
    cost = run.cost
    speed = (
        f"{files / cost.seconds:9,.0f} files/s"
        if files > 1
        else f"{size / 2**20 / cost.seconds:9,.0f} MiB/s  "
    )
    words = f"{cost.seconds:8.2f} s {speed}  CPU {cost.cpu_seconds:6.2f} s  "
    words += f"memory {cost.near_memory / 2**20:4.0f} / {cost.far_memory / 2**20:4.0f} MiB"
    if run.wire_bytes is not None:
        words += f"  wire {100 * run.wire_bytes / size:.0f} %, {run.tries} starts, {run.cuts} cuts"
    if run.requests is not None:
        words += f"  {run.requests:,} requests"
    return words


def _scaled(scale: float) -> str:
    return "" if scale == 1 else f" [dim](× {scale:g})[/]"


@contextmanager
def _folder(medium: Medium) -> Iterator[Path]:
    parent = MEMORY if medium == "memory" else DISK
    parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="crosshaul-bench-", dir=parent) as folder:
        yield Path(folder)


def _space_problem(scale: float, media: list[Medium]) -> str | None:
    """Return why the runs do not fit, or None; space is needed for source, destination and buffers."""
    needed = 10 * 2**30 * scale + 2**30
    for medium in media:
        free = shutil.disk_usage(MEMORY if medium == "memory" else ROOT).free
        if free < needed:
            return (
                f"{medium}: {needed / 2**30:.0f} GiB are needed, {free / 2**30:.0f} are free; try --scale 0.1"
            )
    return None


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="make bench", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--case", action="append", choices=[*CASE_NAMES, SYSTEM], help="may be repeated")
    parser.add_argument(
        "--tool", action="append", choices=[tool.name for tool in TOOLS], help="may be repeated"
    )
    parser.add_argument("--medium", action="append", choices=["memory", "disk"])
    parser.add_argument("--repeat", type=int, default=5, help="runs of each tool; medians are reported (5)")
    parser.add_argument("--scale", type=float, default=1.0, help="of sizes and numbers of files (1)")
    parser.add_argument("--add", action="store_true", help="keep what other cases of --out gave before")
    parser.add_argument("--limit", type=float, default=900, help="seconds that a run may take (900)")
    parser.add_argument("--out", type=Path, help="folder for results.md, results.json and results.svg")
    chosen = parser.parse_args()
    whole = not (chosen.case or chosen.tool or chosen.medium) and chosen.scale == 1
    plan = RunPlan(
        cases=[case for case in CASES if not chosen.case or case.name in chosen.case],
        media=chosen.medium or ["memory", "disk"],
        tools=[tool for tool in TOOLS if not chosen.tool or tool.name in chosen.tool],
        repeat=chosen.repeat,
        scale=chosen.scale,
        limit=chosen.limit,
        out=chosen.out or (ROOT / "docs/benchmarks" if whole else DISK / "bench"),
    )
    if reason := _space_problem(plan.scale, plan.media):
        out.print(f"[red]{escape(reason)}[/]")
        return 2
    if chosen.add:
        try:
            plan.load_previous()
        except ValueError as reason:
            out.print(f"[red]{escape(str(reason))}[/]")
            return 2
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        well = plan.run_all()
        if not chosen.case or SYSTEM in chosen.case:
            plan.through_the_system()
    except KeyboardInterrupt:
        out.print("\nstopped before the end")
        return 130
    out.print(f"\nwritten to {plan.out / 'results.md'}")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
