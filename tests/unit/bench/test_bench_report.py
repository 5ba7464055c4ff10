"""The report of runs: medians, ratios, goals, and reasons of runs that were not possible."""

import json
from xml.etree import ElementTree

import pytest

from tests.bench import previous_results
from tests.bench.goals import goal_results
from tests.bench.measuring import RunCost
from tests.bench.plot import plot
from tests.bench.report import report
from tests.bench.results import results_of
from tests.bench.running import Run
from tests.bench.system import Chains, Latency, SystemResult
from tests.bench.tools import Job, as_shown

GIB = 2**30
SIZES = {"big": (1, 4 * GIB), "killed": (1, 4 * GIB)}


def run(tool, seconds, case="big", **more):
    return Run(
        case, "memory", tool, RunCost(seconds, seconds / 2, 40 * 2**20, 50 * 2**20), f"{tool} a | b", **more
    )


RUNS = [
    *(run("lane", seconds) for seconds in (4.0, 9.0, 5.0)),
    *(run("rsync", seconds) for seconds in (11.0, 12.0, 10.0)),
    run("scp", 6.0),
    run("cp", 1.0),
    Run("big", "memory", "syncthing", why_not="left out: syncthing is not installed"),
    run("lane", 3.0, "killed", wire_bytes=3 * GIB),
]


def results():
    return results_of(RUNS, SIZES)


def test_the_median_counts_and_the_range_is_told():
    lane = results()[0]
    assert (lane.seconds, lane.fastest, lane.slowest, lane.runs) == (5.0, 4.0, 9.0, 3)
    assert lane.cpu_per_gib == 2.5 / 4
    assert round(lane.mib_per_second) == 819


def test_a_goal_is_reached_not_reached_or_not_measured():
    found = {one.goal: (one.found, one.word) for one in goal_results(results())}
    assert found["big, memory: at least 2.0 × rsync"] == ("2.20 × (rsync)", "reached")
    assert found["big, memory: at least 1.1 × the fastest other tool"] == ("1.20 × (scp)", "reached")
    assert found["killed at half: the second run sends under 55 % of the bytes"] == (
        "75 %",
        "**not reached**",
    )
    assert found["peak memory of the lane and of S3 copies under 150 MB in every case"] == (
        "52 MB",
        "reached",
    )


def test_a_goal_of_a_line_is_a_share_of_what_the_line_can_carry():
    """256 MiB in 12 s are 179 of 200 Mbit/s; in 14 s they are 153."""
    runs = [run("lane", 12.0, "line-lossy"), run("lane", 14.0, "line-bad"), run("rsync", 300.0, "line-lossy")]
    found = {
        one.goal: (one.found, one.word)
        for one in goal_results(results_of(runs, dict.fromkeys(("line-lossy", "line-bad"), (1, GIB // 4))))
    }
    assert found["line-lossy: at least 85 % of 200 Mbit/s"] == ("89 %", "reached")
    assert found["line-bad: at least 85 % of 200 Mbit/s"] == ("77 %", "**not reached**")
    assert found["line-lossy, memory: at least 20.0 × rsync"] == ("25.00 × (rsync)", "reached")


def test_requests_to_s3_are_told_and_no_more_than_the_fewest_reach_the_goal():
    runs = [
        run("agent", 6.0, "s3pull-small", requests=10_010),
        run("rclone", 6.6, "s3pull-small", requests=10_010),
        run("aws-cli", 60.0, "s3pull-small", requests=20_010),
        run("agent", 2.0, "s3push-big", requests=40),
        run("rclone", 1.0, "s3push-big", requests=22),
    ]
    sizes = {"s3pull-small": (10_000, 40_960_000), "s3push-big": (1, 300 * 2**20)}
    found = goal_results(results_of(runs, sizes))
    words = {one.goal: (one.found, one.word) for one in found}
    assert words["s3pull-small, memory: at least 1.0 × the fastest other tool"] == (
        "1.10 × (rclone)",
        "reached",
    )
    fewest = "no more requests than the fewest of others"
    assert words[f"s3pull-small: {fewest}"] == ("10,010, rclone 10,010", "reached")
    assert words[f"s3push-big: {fewest}"] == ("40, rclone 22", "**not reached**")
    assert words[f"s3pull-big: {fewest}"] == ("", "not measured")
    told = report(results_of(runs, sizes), found, {})
    assert "| **agent** | 6.00 |" in told
    assert "| 10,010 | 1.00 |" in told
    assert "| 40 | 40.00 |" in told


def test_the_table_has_ratios_and_reasons():
    told = report(results(), goal_results(results()), {"kernel": "6.1"})
    assert "| **lane** | 5.00 | 4.00–9.00 | 819 |  | 2.20 × | 1.20 × |" in told
    assert "| syncthing | — left out: syncthing is not installed |" in told
    assert "75 %" in told
    assert "`scp a \\| b`" in told


def test_one_failure_among_the_runs_is_not_hidden():
    mixed = results_of([run("scp", 1.0), Run("big", "memory", "scp", why_not="it broke")], SIZES)
    assert [(one.seconds, one.why_not) for one in mixed] == [(None, "it broke")]


def test_the_plot_is_a_picture_with_a_bar_for_each_tool_that_could():
    drawn = ElementTree.fromstring(plot(results()))
    assert len([one for one in drawn.iter() if one.tag.endswith("rect") and one.get("rx")]) == 5


def test_a_command_is_shown_without_any_path_or_port_of_this_machine(tmp_path):
    places = [tmp_path / name for name in ("source", "destination", "scratch")]
    job = Job(*places, dial=lambda port: port)
    argv = ["rsync", "-e", f"ssh -F {places[2]}/ssh_config", f"{places[0]}/", "https://127.0.0.1:4460/x"]
    assert as_shown(argv, job) == "rsync -e ssh -F KEYS/ssh_config SOURCE/ https://127.0.0.1:PORT/x"


def test_a_case_measured_later_stands_beside_those_measured_before(tmp_path):
    machine = {"kernel": "6.1", "scale": "1"}
    whole = SystemResult(
        [Latency("to the first byte", 0.7, 1.5, [0.2, 0.3])], Chains(9, 3, 1, [2.0], [4.0]), {"b": 7}
    )
    told = {
        "about": machine,
        "system": whole.as_json(),
        "results": [one.as_json() for one in results()],
        "runs": [one.as_json() for one in RUNS],
    }
    (tmp_path / "results.json").write_text(json.dumps(told))
    before = previous_results.read(tmp_path / "results.json", machine)
    assert (before.runs, before.sizes, before.whole) == (RUNS, SIZES, whole)
    later = before.without({("big", "memory"), ("small", "memory")})
    assert [one.case for one in later.runs] == ["killed"]
    with pytest.raises(ValueError, match="another kernel: leave --add out"):
        previous_results.read(tmp_path / "results.json", machine | {"kernel": "6.2"})
    assert previous_results.read(tmp_path / "none.json", machine) == previous_results.PreviousResults()
