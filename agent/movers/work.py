"""What is still to be fetched: ranges of big files and packs of small ones, side by side.

Neither kind waits for the other: whoever takes work is given the two in turn.
"""

import os
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from agent.digests import MIB, ranges_of
from agent.lane import wire
from agent.listing import Entry
from events.base import Problem

BIG_FILES_AHEAD = 1000
PACKS_AHEAD = 8
"""How much may be planned and not yet taken."""
CHECK_FILES = 64
CHECK_BYTES = 256 * MIB
"""What one thread compares before it looks for other work; a larger file is compared by itself."""


@dataclass(eq=False)
class BigFile:
    """A file that travels in ranges."""

    entry: Entry
    tries: int = 0
    """How often it has changed under our hands."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    """For those who fetch its ranges: what follows is theirs."""
    descriptor: int = -1
    fresh: bool = True
    """Was its half-done file made by this very pass, with nothing but holes in it?"""
    recorded: dict[int, bytes] = field(default_factory=dict)
    """Start → digest of the ranges that an earlier attempt finished."""
    digests: dict[int, bytes] = field(default_factory=dict)
    problem: Problem | None = None

    def __post_init__(self) -> None:
        self._todo: Iterator[tuple[int, int]] = iter(ranges_of(self.entry.size))
        self._next = next(self._todo, None)
        self.under_way = 0

    @property
    def exhausted(self) -> bool:
        """Nothing of it is left to be taken."""
        return self._next is None or self.problem is not None

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def take(self) -> "RangeJob":
        if self._next is None:
            raise ValueError("every range has been taken")
        start, length = self._next
        self._next = next(self._todo, None)
        self.under_way += 1
        return RangeJob(self, start, length)


@dataclass(frozen=True)
class RangeJob:
    file: BigFile
    start: int
    length: int


@dataclass(frozen=True)
class PackJob:
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class CheckJob:
    """Files to be compared by their digests."""

    entries: tuple[Entry, ...]


Job = RangeJob | PackJob | CheckJob


class Work:
    """Planned by one thread, carried out by several."""

    def __init__(self, pack_files: int) -> None:
        self._pack_files = pack_files
        self._changed = threading.Condition()
        self._big: deque[BigFile] = deque()
        self._packs: deque[PackJob] = deque()
        self._small: list[Entry] = []
        self._small_bytes = 0
        self._checks: deque[CheckJob] = deque()
        self._unsure: list[Entry] = []
        self._unsure_bytes = 0
        self._taken = 0
        self._planned = self._aborted = False
        self._range_next = False
        self._begun: set[BigFile] = set()
        self.carried_out = 0
        """Jobs."""

    def add(self, entry: Entry, tries: int = 0, *, waits: bool = True) -> None:
        """Plan a file; `waits`, as a fetching thread must not: only when there is need of more."""
        with self._changed:
            self._changed.wait_for(lambda: not waits or self._aborted or not self._is_full())
            if entry.size > wire.SMALL or tries:
                self._big.append(BigFile(entry, tries))
            else:
                self._add_small(entry)
            self._changed.notify()

    def check(self, entry: Entry, *, waits: bool = True) -> None:
        """Plan to compare a file, likewise."""
        with self._changed:
            self._changed.wait_for(lambda: not waits or self._aborted or not self._is_full())
            self._unsure.append(entry)
            self._unsure_bytes += entry.size
            if len(self._unsure) >= CHECK_FILES or self._unsure_bytes >= CHECK_BYTES:
                self._checks.append(self._to_check())
            self._changed.notify()

    def planned(self) -> None:
        """The plan is complete."""
        with self._changed:
            self._planned = True
            self._changed.notify_all()

    def abort(self) -> None:
        """Nobody is given anything any more."""
        with self._changed:
            self._aborted = True
            self._changed.notify_all()

    def take(self) -> Job | None:
        """Something to do; waits for it. None when all is done, or nothing is to be done any more."""
        with self._changed:
            self._changed.wait_for(self._is_decided)
            if self._aborted or not self._is_waiting():
                return None
            job = self._next()
            self._taken += 1
            if isinstance(job, RangeJob):
                self._begun.add(job.file)
            self._changed.notify_all()
            return job

    def finished(self, job: Job) -> bool:
        """Say so for each job that was carried out. True for the last range of a file: nobody is at it."""
        with self._changed:
            self._taken -= 1
            self.carried_out += 1
            self._changed.notify_all()
            if not isinstance(job, RangeJob):
                return False
            job.file.under_way -= 1
            if not job.file.exhausted or job.file.under_way:
                return False
            self._begun.discard(job.file)
            return True

    def close(self) -> None:
        """Once no thread is at it any more: files that were left in the middle are closed."""
        for file in self._begun:
            file.close()

    def _add_small(self, entry: Entry) -> None:
        self._small.append(entry)
        self._small_bytes += entry.size
        if len(self._small) >= self._pack_files or self._small_bytes >= wire.PACK_BYTES:
            self._packs.append(self._packed())

    def _packed(self) -> PackJob:
        job = PackJob(tuple(self._small))
        self._small, self._small_bytes = [], 0
        return job

    def _to_check(self) -> CheckJob:
        job = CheckJob(tuple(self._unsure))
        self._unsure, self._unsure_bytes = [], 0
        return job

    def _is_full(self) -> bool:
        return len(self._big) >= BIG_FILES_AHEAD or max(len(self._packs), len(self._checks)) >= PACKS_AHEAD

    def _is_waiting(self) -> bool:
        while self._big and self._big[0].exhausted:
            self._big.popleft()
        return bool(self._big or self._packs or self._small or self._checks or self._unsure)

    def _is_decided(self) -> bool:
        return self._aborted or self._is_waiting() or (self._planned and not self._taken)

    def _next(self) -> Job:
        self._range_next = not self._range_next
        if self._big and (self._range_next or not (self._packs or self._small)):
            return self._big[0].take()
        if self._packs or self._small:
            return self._packs.popleft() if self._packs else self._packed()
        return self._checks.popleft() if self._checks else self._to_check()
