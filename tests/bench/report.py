"""Write the report in Markdown from the results."""

import statistics
from collections.abc import Iterable

from tests.bench.cases import CASES, Case
from tests.bench.goals import GoalResult
from tests.bench.results import OWN_TOOLS, Result
from tests.bench.system import SystemResult
from tests.bench.workloads import MIB

_PLACES = {"memory": "in memory", "disk": "on disk"}

HEAD = """\
# Benchmark results

Written by `make bench`; do not edit. [README.md](README.md) describes the method.

![Seconds of each tool](results.svg)
"""


def report(
    results: list[Result],
    goal_results: Iterable[GoalResult],
    about: dict[str, str],
    whole: SystemResult | None = None,
) -> str:
    parts = [HEAD, _table(("", ""), list(about.items()))]
    parts += ["## Goals\n", _goals(goal_results)]
    for case in CASES:
        for medium in case.media:
            here = [one for one in results if one.key == (case.name, medium)]
            if here:
                runs = max(one.runs for one in here)
                summary = f"{case.title[0].upper()}{case.title[1:]}. Medians of {runs} runs.\n"
                parts += [f"## Case `{case.name}`, files {_PLACES[medium]}\n", summary, _case(case, here)]
    if whole:
        parts += ["## The whole system on the embedded cloud\n", _whole(whole)]
    parts += ["## Commands\n", _commands(results)]
    return "\n".join(parts)


def _whole(whole: SystemResult) -> str:
    heads = ("from a request to the first byte", "median, s", "range, s", "first run, with cold functions, s")
    rows = [
        (one.name, f"{one.median:.2f}", f"{min(one.warm):.2f}–{max(one.warm):.2f}", f"{one.cold:.2f}")
        for one in whole.latencies
    ]
    chains = whole.chains
    saved = (
        f"\nA chain from S3 through server-b to server-d with {chains.files} files, "
        f"{chains.bytes / MIB:.0f} MiB in total, and at most {chains.limit / MIB:.0f} MiB/s per hop takes "
        f"{statistics.median(chains.streamed):.1f} s if each file is forwarded at once, and "
        f"{statistics.median(chains.whole):.1f} s if server-d waits until all files are at server-b. "
        f"Streaming saves "
        f"{100 * chains.saved:.0f} % of the time.\n"
    )
    peaks = ", ".join(f"{name} {size / 1e6:.0f} MB" for name, size in whole.memory.items())
    return (
        _table(heads, rows)
        + saved
        + f"\nPeak memory of the agents, including a transfer of the `archive` case: {peaks}.\n"
    )


def _goals(goal_results: Iterable[GoalResult]) -> str:
    rows = [(one.goal, one.found, one.word) for one in goal_results]
    return _table(("goal", "measured", "result"), rows)


def _case(case: Case, results: list[Result]) -> str:
    done = sorted((one for one in results if one.seconds), key=lambda one: one.seconds or 0)
    heads = ["tool", "seconds", "range", "MiB/s", "files/s"]
    heads += [
        "speed / rsync's",
        "speed / fastest other's",
        "CPU s",
        "CPU s/GiB",
        "peak memory in MiB, near / far",
    ]
    if case.network:
        heads += ["bytes on the wire / size", "starts", "cuts"]
    if case.bucket:
        heads += ["requests", "requests / object"]
    rows = [_row(case, one, results) for one in done]
    blanks = ("",) * (len(heads) - 2)
    rows += [(_name(one.tool), f"— {_escaped(one.why_not)}", *blanks) for one in results if not one.seconds]
    return _table(heads, rows)


def _row(case: Case, one: Result, results: list[Result]) -> tuple[str, ...]:
    cells = (
        _name(one.tool),
        f"{one.seconds:.2f}",
        f"{one.fastest:.2f}–{one.slowest:.2f}",
        f"{one.mib_per_second:,.0f}",
        f"{one.files_per_second:,.0f}" if one.files > 1 else "",
        ratio(seconds_of(results, "rsync"), one.seconds),
        ratio(best_other(results, one.tool), one.seconds),
        f"{one.cpu_seconds:.2f}",
        f"{one.cpu_per_gib:.2f}",
        f"{one.near_memory / 2**20:.0f} / {one.far_memory / 2**20:.0f}",
    )
    if case.bucket:
        return (*cells, f"{one.requests or 0:,}", f"{(one.requests or 0) / one.files:.2f}")
    if not case.network:
        return cells
    share = f"{100 * (one.wire_bytes or 0) / one.bytes:.0f} %"
    return (*cells, share, str(one.tries), str(one.cuts))


def seconds_of(results: Iterable[Result], tool: str) -> float | None:
    return next((one.seconds for one in results if one.tool == tool), None)


def best_other(results: Iterable[Result], tool: str) -> float | None:
    """Return the seconds of the fastest other tool; the baseline `cp` does not count."""
    return min((one.seconds for one in results if one.seconds and one.tool not in (tool, "cp")), default=None)


def ratio(other: float | None, own: float | None) -> str:
    """Format how many times as fast one's own time is, as in `2.10 ×`."""
    return f"{other / own:.2f} ×" if other and own else ""


def _commands(results: list[Result]) -> str:
    seen = {(one.tool, one.command): one.case for one in reversed(results) if one.command}
    rows = [
        (tool, case, f"`{command.replace('|', chr(92) + '|')}`")
        for (tool, command), case in reversed(seen.items())
    ]
    return _table(("tool", "first used in case", "command"), sorted(rows))


def _name(tool: str) -> str:
    return f"**{tool}**" if tool in OWN_TOOLS else tool


def _escaped(words: str) -> str:
    return words.replace("|", "\\|")


def _table(heads: Iterable[str], rows: Iterable[tuple[str, ...]]) -> str:
    heads = tuple(heads)
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"
