"""The queue of fetch jobs: ranges of big files, packs of small files, and files to compare by digest.

Workers get ranges and packs alternately, so that neither kind waits for the other.
"""

import os
import threading
import time
from bisect import bisect_right
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.files.digests import MAX_PACK_BYTES, MAX_PACKED_FILE_BYTES, MIB, RANGE_BYTES, range_length
from agent.files.listing import FileEntry
from agent.pull.ledger import Piece
from agent.pull.limits import PullLimits
from agent.pull.shares import MIN_SHARE_BYTES, Shares
from events.base import Problem

MAX_QUEUED_BIG_FILES = 1000
"""Big files that may be planned and not yet taken."""
MAX_CHECKSUM_BYTES = 256 * MIB
"""Bytes per checksum job; a larger file is a job of its own."""


@dataclass(eq=False)
class BigFile:
    """A file that is fetched in ranges."""

    entry: FileEntry
    tries: int = 0
    """How often the file has changed while it was read."""
    lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    """Guards the fields below, which the workers of its ranges share."""
    descriptor: int = field(default=-1, init=False)
    is_new: bool = field(default=True, init=False)
    """Whether this pass created the partial file, so that unwritten parts are holes."""
    recorded: Mapping[int, Piece] = field(default_factory=dict, init=False)
    """Start → piece that an earlier attempt wrote, by start."""
    digests: dict[int, bytes] = field(default_factory=dict, init=False)
    """Start → digest of each range that is complete."""
    bytes_arrived: int = field(default=0, init=False)
    problem: Problem | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._next: int | None = 0
        self._arrived: dict[int, int] = {}
        """Start → bytes that have arrived of each range that is not complete."""
        self._recorded_starts: list[int] = []
        self.under_way = 0

    @property
    def exhausted(self) -> bool:
        """Whether nothing is left to be taken."""
        return self._next is None or self.problem is not None

    @property
    def bytes_left(self) -> int:
        """Bytes that no worker has taken yet."""
        return 0 if self._next is None or self.problem else self.entry.size - self._next

    def resume(self, recorded: Mapping[int, Piece]) -> None:
        """Set the pieces that an earlier attempt wrote."""
        self.is_new, self.recorded, self._recorded_starts = False, recorded, sorted(recorded)

    def next_recorded(self, position: int) -> int:
        """Return where the next recorded piece after this position begins; the file's size if none does."""
        index = bisect_right(self._recorded_starts, position)
        return self._recorded_starts[index] if index < len(self._recorded_starts) else self.entry.size

    def count_arrived(self, start: int, length: int) -> tuple[int, int] | None:
        """Count bytes that have arrived; return start and length of their range if they complete it."""
        range_start = start - start % RANGE_BYTES
        whole = range_length(self.entry.size, range_start)
        with self.lock:
            self.bytes_arrived += length
            arrived = self._arrived.pop(range_start, 0) + length
            if arrived >= whole:
                return range_start, whole
            self._arrived[range_start] = arrived
            return None

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def take(self, most: int) -> "RangeJob":
        """Take the next range, or at most about `most` bytes of it."""
        if self._next is None:
            raise ValueError("every range has been taken")
        start, range_start = self._next, self._next - self._next % RANGE_BYTES
        left = range_start + range_length(self.entry.size, range_start) - start
        length = left if left < most + MIN_SHARE_BYTES else most
        self._next = start + length if start + length < self.entry.size else None
        self.under_way += 1
        return RangeJob(self, start, length)


@dataclass(frozen=True)
class RangeJob:
    """A range of a big file, or a part of one, in bytes."""

    file: BigFile
    start: int
    length: int


@dataclass(frozen=True)
class PackJob:
    """Small files that one request fetches."""

    entries: tuple[FileEntry, ...]


@dataclass(frozen=True)
class ChecksumJob:
    """Files to compare by digest."""

    entries: tuple[FileEntry, ...]


Job = RangeJob | PackJob | ChecksumJob


class Batcher:
    """Collects files into batches: a batch is ready when it has enough files or bytes, or after a delay."""

    def __init__(self, files: int, size: int, limits: PullLimits) -> None:
        """Close a batch at `files` files or `size` bytes."""
        self._linger_s = limits.batch_linger_s
        self._max_ready = limits.max_queued_packs
        self._files = files
        self._size = size
        self._ready: deque[tuple[FileEntry, ...]] = deque()
        self._started: list[FileEntry] = []
        self._open_bytes = 0
        self._ready_at = 0.0
        self.complete = False
        """Whether no more files will come, so that batches are ready without delay."""

    @property
    def ready_in(self) -> float | None:
        """Seconds until a batch is ready; None if there is no file."""
        if self._ready:
            return 0.0
        if not self._started:
            return None
        return 0.0 if self.complete else max(0.0, self._ready_at - time.monotonic())

    def __bool__(self) -> bool:
        """Whether a batch is ready."""
        return self.ready_in == 0.0

    @property
    def is_full(self) -> bool:
        return len(self._ready) >= self._max_ready

    def add_file(self, entry: FileEntry) -> bool:
        """Add a file; return whether waiting workers must look again."""
        is_first = not self._started
        if is_first:
            self._ready_at = time.monotonic() + self._linger_s
        self._started.append(entry)
        self._open_bytes += entry.size
        is_enough = len(self._started) >= self._files or self._open_bytes >= self._size
        if is_enough:
            self._ready.append(self._close_batch())
        return is_first or is_enough

    def take(self) -> tuple[FileEntry, ...]:
        return self._ready.popleft() if self._ready else self._close_batch()

    def _close_batch(self) -> tuple[FileEntry, ...]:
        entries = tuple(self._started)
        self._started, self._open_bytes = [], 0
        return entries


class JobQueue:
    """Jobs, added by the planner and taken by the workers. Thread-safe."""

    def __init__(self, pack_files: int, limits: PullLimits) -> None:
        self._changed = threading.Condition()
        self._big_files: deque[BigFile] = deque()
        self._packs = Batcher(pack_files, MAX_PACK_BYTES, limits)
        self._to_check = Batcher(limits.max_checksum_files, MAX_CHECKSUM_BYTES, limits)
        self._running = 0
        self._planning_done = self._aborted = False
        self._range_next = False
        self._shares = Shares()
        self._started: set[BigFile] = set()
        self.jobs_done = 0
        """Number of finished jobs that transferred something."""

    def share_among(self, workers: int) -> None:
        """Divide ranges among so many workers, rather than give each a whole one."""
        with self._changed:
            self._shares.divide(workers)

    def add(self, entry: FileEntry, tries: int = 0, *, block: bool = True) -> None:
        """Add a file to fetch. With `block`, wait while the queue is full; workers must not."""
        with self._changed:
            self._wait_until_not_full(block=block)
            if entry.size > MAX_PACKED_FILE_BYTES or tries:
                self._big_files.append(BigFile(entry, tries))
                self._changed.notify()
            elif self._packs.add_file(entry):
                self._changed.notify()

    def add_check(self, entry: FileEntry, *, block: bool = True) -> None:
        """Add a file to compare by digest. With `block`, wait while the queue is full; workers must not."""
        with self._changed:
            self._wait_until_not_full(block=block)
            if self._to_check.add_file(entry):
                self._changed.notify()

    def _wait_until_not_full(self, *, block: bool) -> None:
        while block and self.is_full() and not self._aborted:
            self._changed.wait()

    def planning_done(self) -> None:
        """Record that the planner adds no more files."""
        with self._changed:
            self._planning_done = self._packs.complete = self._to_check.complete = True
            self._changed.notify_all()

    def abort(self) -> None:
        """Give out no more jobs."""
        with self._changed:
            self._aborted = True
            self._changed.notify_all()

    def take(self) -> Job | None:
        """Wait for a job and return it; None when all jobs are done or after `abort`."""
        with self._changed:
            while not self._can_take():
                self._changed.wait(self._ready_in())
            if self._aborted or not self._has_job():
                return None
            job = self._next_job()
            self._running += 1
            if isinstance(job, RangeJob):
                self._started.add(job.file)
            self._changed.notify_all()
            return job

    def job_done(self, *, progressed: bool) -> None:
        """Record that a job is done, after it has added any file that must be fetched again.

        Until then other workers wait, since more jobs may follow.
        """
        with self._changed:
            self._running -= 1
            self.jobs_done += progressed
            self._changed.notify_all()

    def range_done(self, job: RangeJob) -> bool:
        """Record that a range is done, before `job_done`; return whether it was the last one of its file."""
        with self._changed:
            job.file.under_way -= 1
            self._shares.end(threading.get_ident(), job.length)
            if not job.file.exhausted or job.file.under_way:
                return False
            self._started.discard(job.file)
            return True

    def close(self) -> None:
        """Close the files of unfinished ranges, after all workers have ended."""
        for file in self._started:
            file.close()

    def is_full(self) -> bool:
        return len(self._big_files) >= MAX_QUEUED_BIG_FILES or self._packs.is_full or self._to_check.is_full

    def _has_job(self) -> bool:
        while self._big_files and self._big_files[0].exhausted:
            self._big_files.popleft()
        return bool(self._big_files or self._packs or self._to_check)

    def _ready_in(self) -> float | None:
        """Return the seconds until a batch is ready; None if none is being collected."""
        times = (self._packs.ready_in, self._to_check.ready_in)
        return min((each for each in times if each is not None), default=None)

    def _can_take(self) -> bool:
        return self._aborted or self._has_job() or (self._planning_done and not self._running)

    def _next_job(self) -> Job:
        self._range_next = not self._range_next
        if self._big_files and (self._range_next or not self._packs):
            return self._big_files[0].take(self._shares.begin(threading.get_ident(), self._bytes_left()))
        return PackJob(self._packs.take()) if self._packs else ChecksumJob(self._to_check.take())

    def _bytes_left(self) -> int:
        """Return the bytes of big files that no worker has taken, or some number above `Shares.enough`."""
        left = 0
        for file in self._big_files:
            left += file.bytes_left
            if left >= self._shares.enough:
                break
        return left
