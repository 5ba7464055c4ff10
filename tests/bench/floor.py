"""`cp`: what the disk or the memory itself can do, without a line."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.bench.tools import CommandSession, Job, Session, Tool, as_shown


@contextmanager
def _put_up(job: Job) -> Iterator[Session]:
    argv = ["cp", "-a", f"{job.source}/.", f"{job.destination}/"]
    yield CommandSession(argv, as_shown(argv, job), job.scratch / "tool.log")


CP = Tool("cp", _put_up, ("cp",), compares=False, lined=False)
