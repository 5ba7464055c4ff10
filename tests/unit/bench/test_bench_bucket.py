"""The cases with S3: objects come from and go to a bucket, and its requests are counted."""

import pytest

from tests.bench import running
from tests.bench.cases import CASES
from tests.bench.running import Runner
from tests.bench.s3 import AGENT
from tests.bench.tools import FailedError, Job
from tests.bench.workloads import files_of, write
from tests.support.waiting import HANG_TIMEOUT_S


def runner_and_case(tmp_path, name):
    case = next(one for one in CASES if one.name == name)
    case.workload.make(tmp_path / "source", 0.0001)
    return Runner(tmp_path / "source", tmp_path, HANG_TIMEOUT_S, 0.0001), case


@pytest.mark.parametrize(("name", "listings"), [("s3pull-small", 1), ("s3push-small", 1)])
def test_a_run_with_s3_is_compared_byte_by_byte_and_its_requests_are_counted(
    tmp_path, monkeypatch, name, listings
):
    monkeypatch.setattr(running, "warm", lambda _: None)  # its time does not matter here
    runner, case = runner_and_case(tmp_path, name)
    run = runner.run(case, "memory", AGENT)
    assert run.why_not == ""
    assert run.cost
    assert run.cost.near_memory > 0
    assert run.requests == len(files_of(runner.source)) + listings


def test_a_wrong_byte_in_the_bucket_fails_the_run(tmp_path, monkeypatch):
    """The agent pushes the old bytes; the source has others by the time of the comparison."""
    runner, case = runner_and_case(tmp_path, "s3push-small")
    changed = files_of(runner.source)[0]
    monkeypatch.setattr(running, "warm", lambda _: None)
    compare = running.differences

    def change_and_compare(source, *others):
        write(changed, changed.stat().st_size)
        return compare(source, *others)

    monkeypatch.setattr(running, "differences", change_and_compare)
    run = runner.run(case, "memory", AGENT)
    assert run.why_not == f"1 entries differ: {changed.relative_to(runner.source)} differs"


def test_a_tool_for_buckets_says_so_where_there_is_none(tmp_path):
    job = Job(*(tmp_path / name for name in ("source", "destination", "scratch")), dial=lambda port: port)
    job.scratch.mkdir()
    with pytest.raises(FailedError, match="no bucket"), AGENT.prepare(job):
        pass
