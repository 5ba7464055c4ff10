"""What is still to be fetched: ranges of big files and packs of small ones, side by side.

Neither kind waits for the other: whoever takes work is given the two in turn.
"""

import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from agent.files.digests import MAX_PACK_BYTES, MAX_PACKED_FILE_BYTES, MIB, ranges_of
from agent.files.listing import FileEntry
from agent.pull.ledger import Piece
from events.base import Problem

MAX_QUEUED_BIG_FILES = 1000
MAX_QUEUED_PACKS = 8
"""How much may be planned and not yet taken."""
MAX_CHECKSUM_FILES = 64
MAX_CHECKSUM_BYTES = 256 * MIB
"""What one thread compares before it looks for other work; a larger file is compared by itself."""
BATCH_LINGER_S = 0.02
"""Seconds in which others may join a small file: to fetch one by itself costs a question of its own."""


@dataclass(eq=False)
class BigFile:
    """A file that travels in ranges."""

    entry: FileEntry
    tries: int = 0
    """How often it has changed under our hands."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    """For those who fetch its ranges: what follows is theirs."""
    descriptor: int = -1
    fresh: bool = True
    """Was its half-done file made by this very pass, with nothing but holes in it?"""
    recorded: dict[int, Piece] = field(default_factory=dict)
    """Start → what an earlier attempt brought."""
    digests: dict[int, bytes] = field(default_factory=dict)
    problem: Problem | None = None

    def __post_init__(self) -> None:
        self._todo: Iterator[tuple[int, int]] = ranges_of(self.entry.size)
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
    entries: tuple[FileEntry, ...]


@dataclass(frozen=True)
class ChecksumJob:
    """Files to be compared by their digests."""

    entries: tuple[FileEntry, ...]


Job = RangeJob | PackJob | ChecksumJob


class Batcher:
    """Files that are taken several at once: when they are many, or large together, or no more join them."""

    def __init__(self, files: int, size: int) -> None:
        """So many, or so many bytes, are enough."""
        self._files = files
        self._size = size
        self._ready: deque[tuple[FileEntry, ...]] = deque()
        self._begun: list[FileEntry] = []
        self._begun_bytes = 0
        self._ripe_at = 0.0
        self.complete = False
        """No more will come: nobody is waited for."""

    @property
    def ready_in(self) -> float | None:
        """Seconds until there is something to take; None if there is nothing."""
        if self._ready:
            return 0.0
        if not self._begun:
            return None
        return 0.0 if self.complete else max(0.0, self._ripe_at - time.monotonic())

    def __bool__(self) -> bool:
        """Is there something to take?"""
        return self.ready_in == 0.0

    @property
    def is_high(self) -> bool:
        return len(self._ready) >= MAX_QUEUED_PACKS

    def add(self, entry: FileEntry) -> bool:
        """Is that news to who waits? Something can be taken now, or there is a time from which it can."""
        is_first = not self._begun
        if is_first:
            self._ripe_at = time.monotonic() + BATCH_LINGER_S
        self._begun.append(entry)
        self._begun_bytes += entry.size
        is_enough = len(self._begun) >= self._files or self._begun_bytes >= self._size
        if is_enough:
            self._ready.append(self._closed())
        return is_first or is_enough

    def take(self) -> tuple[FileEntry, ...]:
        return self._ready.popleft() if self._ready else self._closed()

    def _closed(self) -> tuple[FileEntry, ...]:
        entries = tuple(self._begun)
        self._begun, self._begun_bytes = [], 0
        return entries


class JobQueue:
    """Planned by one thread, carried out by several."""

    def __init__(self, pack_files: int) -> None:
        self._changed = threading.Condition()
        self._big: deque[BigFile] = deque()
        self._small = Batcher(pack_files, MAX_PACK_BYTES)
        self._unsure = Batcher(MAX_CHECKSUM_FILES, MAX_CHECKSUM_BYTES)
        self._taken = 0
        self._planned = self._aborted = False
        self._range_next = False
        self._begun: set[BigFile] = set()
        self.carried_out = 0
        """Jobs that brought something."""

    def add(self, entry: FileEntry, tries: int = 0, *, waits: bool = True) -> None:
        """Plan a file; `waits`, as a fetching thread must not: only when there is need of more."""
        with self._changed:
            self._wait_for_need(waits=waits)
            if entry.size > MAX_PACKED_FILE_BYTES or tries:
                self._big.append(BigFile(entry, tries))
                self._changed.notify()
            elif self._small.add(entry):
                self._changed.notify()

    def check(self, entry: FileEntry, *, waits: bool = True) -> None:
        """Plan to compare a file, likewise."""
        with self._changed:
            self._wait_for_need(waits=waits)
            if self._unsure.add(entry):
                self._changed.notify()

    def _wait_for_need(self, *, waits: bool) -> None:
        while waits and self._is_full() and not self._aborted:
            self._changed.wait()

    def planned(self) -> None:
        """The plan is complete."""
        with self._changed:
            self._planned = self._small.complete = self._unsure.complete = True
            self._changed.notify_all()

    def abort(self) -> None:
        """Nobody is given anything any more."""
        with self._changed:
            self._aborted = True
            self._changed.notify_all()

    def take(self) -> Job | None:
        """Something to do; waits for it. None when all is done, or nothing is to be done any more."""
        with self._changed:
            while not self._is_decided():
                self._changed.wait(self._ready_in())
            if self._aborted or not self._is_waiting():
                return None
            job = self._next()
            self._taken += 1
            if isinstance(job, RangeJob):
                self._begun.add(job.file)
            self._changed.notify_all()
            return job

    def finished(self, *, brought: bool) -> None:
        """Say so of each job, once nothing more follows from it: until then nobody is told that all is done,
        since a file may have to come again."""
        with self._changed:
            self._taken -= 1
            self.carried_out += brought
            self._changed.notify_all()

    def fetched(self, job: RangeJob) -> bool:
        """Say so for each range, before that. True for the last one of a file: nobody is at it."""
        with self._changed:
            job.file.under_way -= 1
            if not job.file.exhausted or job.file.under_way:
                return False
            self._begun.discard(job.file)
            return True

    def close(self) -> None:
        """Once no thread is at it any more: files that were left in the middle are closed."""
        for file in self._begun:
            file.close()

    def _is_full(self) -> bool:
        return len(self._big) >= MAX_QUEUED_BIG_FILES or self._small.is_high or self._unsure.is_high

    def _is_waiting(self) -> bool:
        while self._big and self._big[0].exhausted:
            self._big.popleft()
        return bool(self._big or self._small or self._unsure)

    def _ready_in(self) -> float | None:
        """Seconds until somebody need not wait any longer; None: until there is news."""
        times = (self._small.ready_in, self._unsure.ready_in)
        return min((one for one in times if one is not None), default=None)

    def _is_decided(self) -> bool:
        return self._aborted or self._is_waiting() or (self._planned and not self._taken)

    def _next(self) -> Job:
        self._range_next = not self._range_next
        if self._big and (self._range_next or not self._small):
            return self._big[0].take()
        return PackJob(self._small.take()) if self._small else ChecksumJob(self._unsure.take())
