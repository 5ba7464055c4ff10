"""One of the threads that fetch: takes work, asks the source, and has it put in place."""

from agent.movers.checks import Checks
from agent.movers.hand import Bench, Hand
from agent.movers.landing import Landing
from agent.movers.packs import Packs
from agent.movers.ranges import Ranges
from agent.movers.work import CheckJob, Job, PackJob, RangeJob


class Fetching:
    def __init__(self, bench: Bench, landing: Landing) -> None:
        self._hand = Hand(bench, landing)
        self._work = bench.work
        self._ranges = Ranges(self._hand)
        self._packs = Packs(self._hand)
        self._checks = Checks(self._hand)

    def close(self) -> None:
        self._hand.close()

    def carry_out(self, job: Job) -> None:
        """LostError, HopError or StoppedError end the pass."""
        brought = True
        match job:
            case PackJob():
                brought = self._packs.fetch(job.entries)
            case CheckJob():
                self._checks.compare(job.entries)
            case RangeJob():
                self._ranges.fetch(job)
                brought = job.file.problem is None
                if self._work.fetched(job):
                    self._ranges.end(job.file)
        self._work.finished(brought=brought)
