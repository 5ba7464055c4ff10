"""A worker: one of the threads that take jobs, request bytes from the source, and write them."""

from contextlib import suppress

from agent.pull.destination import Destination
from agent.pull.fetchers import ChecksumFetcher, PackFetcher, RangeFetcher
from agent.pull.job_queue import ChecksumJob, Job, PackJob, RangeJob
from agent.pull.source import SourceConnectionError
from agent.pull.worker_context import WorkerConnection, WorkerContext


class Worker:
    """One thread's fetchers, which share a connection to the source."""

    def __init__(self, context: WorkerContext, destination: Destination) -> None:
        self._connection = WorkerConnection(context, destination)
        self._jobs = context.jobs
        self._ranges = RangeFetcher(self._connection)
        self._packs = PackFetcher(self._connection)
        self._checksums = ChecksumFetcher(self._connection)

    def connect(self) -> None:
        """Connect to the source in advance, so that the first request need not wait for that."""
        with suppress(SourceConnectionError):  # the request will try again
            self._connection.reader()

    def close(self) -> None:
        self._connection.close()

    def execute(self, job: Job) -> None:
        """Run one job.

        Raises SourceConnectionError, HopError or PullStoppedError, each of which ends the pass.
        """
        progressed = True
        match job:
            case PackJob():
                progressed = self._packs.fetch(job.entries)
            case ChecksumJob():
                self._checksums.fetch(job.entries)
            case RangeJob():
                self._ranges.fetch(job)
                progressed = job.file.problem is None
                if self._jobs.range_done(job):
                    self._ranges.end(job.file)
        self._jobs.job_done(progressed=progressed)
