"""One of the threads that fetch: takes work, asks the source, and has it put in place."""

from agent.pull.destination import Destination
from agent.pull.fetchers import ChecksumFetcher, PackFetcher, RangeFetcher
from agent.pull.job_queue import ChecksumJob, Job, PackJob, RangeJob
from agent.pull.worker_context import WorkerConnection, WorkerContext


class Worker:
    def __init__(self, bench: WorkerContext, landing: Destination) -> None:
        self._hand = WorkerConnection(bench, landing)
        self._work = bench.work
        self._ranges = RangeFetcher(self._hand)
        self._packs = PackFetcher(self._hand)
        self._checks = ChecksumFetcher(self._hand)

    def close(self) -> None:
        self._hand.close()

    def run(self, job: Job) -> None:
        """LostError, HopError or StoppedError end the pass."""
        brought = True
        match job:
            case PackJob():
                brought = self._packs.fetch(job.entries)
            case ChecksumJob():
                self._checks.fetch(job.entries)
            case RangeJob():
                self._ranges.fetch(job)
                brought = job.file.problem is None
                if self._work.fetched(job):
                    self._ranges.end(job.file)
        self._work.finished(brought=brought)
