"""`cp` as the baseline: what disk or memory can do without a network."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.bench.tools import CommandSession, Job, Tool, ToolSession, as_shown


@contextmanager
def _prepare(job: Job) -> Iterator[ToolSession]:
    argv = ["cp", "-a", f"{job.source}/.", f"{job.destination}/"]
    yield CommandSession(argv, as_shown(argv, job), job.scratch / "tool.log")


CP = Tool("cp", _prepare, ("cp",), compares=False, uses_network=False)
