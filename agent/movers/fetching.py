"""One of the threads that fetch: takes work, asks the source, and has it put in place."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from threading import Event

import xxhash

from agent.digests import digest_of, file_digest, range_digest, ranges_of
from agent.errors import shown
from agent.listing import Entry, Meant
from agent.movers.base import Tally
from agent.movers.comparing import Comparing
from agent.movers.failures import Failures
from agent.movers.landing import Landing
from agent.movers.ledger import Ledger
from agent.movers.limiter import Limiter
from agent.movers.source import FileError, LostError, Packed, Reader, Source
from agent.movers.work import BigFile, CheckJob, Job, PackJob, RangeJob, Work
from events.base import Problem

log = logging.getLogger(__name__)

TRIES = 3
"""How often a range is asked for whose digest is wrong or whose connection broke, and a file that changes
while it is read."""


class StoppedError(Exception):
    """The hop was paused or cancelled."""


class _WriteError(Exception):
    """The destination's OSError, on its way through the source's code."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(str(cause))
        self.cause = cause


@dataclass(frozen=True)
class Bench:
    """What the threads of a pass share."""

    source: Source
    meant: Meant
    ledger: Ledger
    tally: Tally
    work: Work
    failures: Failures
    limiter: Limiter
    comparing: Callable[[Landing], Comparing]
    """One for each thread."""
    stopped: Event
    opened: Callable[[], Reader]
    """Another connection that a stop will interrupt; LostError."""
    closed: Callable[[Reader], None]


class Fetching:
    def __init__(self, bench: Bench, landing: Landing) -> None:
        self._bench = bench
        self._landing = landing
        self._comparing = bench.comparing(landing)
        self._reader: Reader | None = None

    def close(self) -> None:
        self._comparing.close()
        self._hang_up()

    def _hang_up(self) -> None:
        if self._reader:
            self._bench.closed(self._reader)
            self._reader = None

    def carry_out(self, job: Job) -> None:
        """LostError, HopError or StoppedError end the pass."""
        match job:
            case PackJob():
                self._pack(job.entries)
            case CheckJob():
                self._check(job.entries)
            case RangeJob():
                self._range(job)
        if self._bench.work.finished(job) and isinstance(job, RangeJob):
            self._end_file(job.file)

    # --- ranges ---

    def _range(self, job: RangeJob) -> None:
        file = job.file
        if file.problem:
            return
        try:
            self._open(file)
            file.digests[job.start] = self._stands(job) or self._fetched(job)
        except FileError as error:
            file.problem = error.problem
        except OSError as error:
            file.problem = self._comparing.problem(file.entry, error)

    def _open(self, file: BigFile) -> None:
        with file.lock:
            if file.descriptor < 0:
                self._landing.open(file)

    def _stands(self, job: RangeJob) -> bytes | None:
        """The digest of a range that an earlier attempt brought, if it is there as it was noted."""
        recorded = job.file.recorded.get(job.start)
        if recorded is None or range_digest(job.file.descriptor, job.start, job.length) != recorded:
            return None
        self._bench.tally.stood(job.length)
        return recorded

    def _fetched(self, job: RangeJob) -> bytes:
        entry = job.file.entry
        self._bench.tally.moving(entry.path)
        for left in reversed(range(TRIES)):
            try:
                digest, told = self._asked(job)
            except LostError:
                if not left:
                    raise
                continue
            if told in {None, digest}:
                self._bench.ledger.range_done(entry.path, job.start, digest)
                return digest
            self._bench.tally.undone(job.length)
            job.file.fresh = False
            log.warning("range arrived damaged", extra={"path": entry.path, "start": job.start})
        raise FileError(_damaged(self._landing.name(entry.path)))

    def _asked(self, job: RangeJob) -> tuple[bytes, bytes | None]:
        """The digest of what arrived, and what the source says it should be. What arrived of a range that
        broke off does not count."""
        state, position = xxhash.xxh3_128(), job.start

        def sink(data: memoryview) -> None:
            nonlocal position
            self._bench.limiter.take(len(data))
            if self._bench.stopped.is_set():
                raise StoppedError
            try:
                self._landing.write(job.file, data, position)
            except OSError as error:
                raise _WriteError(error) from error
            state.update(data)
            position += len(data)
            self._bench.tally.moved(len(data))

        try:
            told = self._connected().range(job.file.entry, job.start, job.length, sink)
        except BaseException as error:
            self._bench.tally.undone(position - job.start)
            if isinstance(error, LostError):
                self._hang_up()
            if isinstance(error, _WriteError):
                raise error.cause from None
            raise
        return state.digest(), told

    def _connected(self) -> Reader:
        if self._reader is None:
            self._reader = self._bench.opened()
        return self._reader

    def _end_file(self, file: BigFile) -> None:
        """Its last range is there, or it cannot be had."""
        try:
            if file.problem is None:
                self._complete(file)
        except OSError as error:
            file.problem = self._comparing.problem(file.entry, error)
        finally:
            file.close()
        if file.problem:
            self._abandon(file, file.problem)

    def _complete(self, file: BigFile) -> None:
        digest = file_digest(file.digests[start] for start in sorted(file.digests))
        self._landing.complete(file, digest)
        self._bench.tally.finished(file.entry.path)

    def _abandon(self, file: BigFile, problem: Problem) -> None:
        done = sum(length for start, length in ranges_of(file.entry.size) if start in file.digests)
        self._bench.tally.undone(done)
        self._landing.drop(file.entry.path)
        self._again(file.entry, file.tries, problem)

    # --- packs ---

    def _pack(self, entries: Sequence[Entry]) -> None:
        waiting = list(entries)
        self._bench.ledger.begun(waiting)
        self._tried(lambda: self._unpack(waiting))

    def _tried(self, ask: Callable[[], None]) -> None:
        """Ask again over another connection if this one breaks."""
        for left in reversed(range(TRIES)):
            try:
                ask()
            except LostError:
                self._hang_up()
                if not left:
                    raise
            else:
                return

    def _unpack(self, waiting: list[Entry]) -> None:
        """Put each in place as it comes, and take it from `waiting`."""
        whole: list[tuple[Entry, bytes]] = []
        try:
            for packed in self._connected().pack(waiting.copy()):
                self._bench.limiter.take(packed.entry.size)
                if self._bench.stopped.is_set():
                    raise StoppedError
                waiting.remove(packed.entry)
                digest = self._land(packed)
                if digest is not None:
                    whole.append((packed.entry, digest))
        finally:
            self._bench.ledger.all_done(whole)

    def _land(self, packed: Packed) -> bytes | None:
        """The digest of a file that stands now; None for one that does not."""
        entry, problem = packed.entry, packed.problem
        digest = digest_of(packed.data)
        if problem is None and packed.digest not in {None, digest}:
            problem = _damaged(self._landing.name(entry.path))
        if problem:
            self._landing.drop(entry.path)
            self._again(entry, 0, problem)
            return None
        try:
            self._landing.small(entry, packed.data)
        except OSError as error:
            problem = self._comparing.problem(entry, error)
            self._landing.drop(entry.path)
            self._bench.failures.add(problem)
            return None
        self._bench.tally.moved(entry.size)
        self._bench.tally.finished(entry.path)
        return digest

    # --- comparing ---

    def _check(self, entries: Sequence[Entry]) -> None:
        waiting = list(entries)
        self._tried(lambda: self._compare(waiting))

    def _compare(self, waiting: list[Entry]) -> None:
        """Each by the source's digest and that of what stands here; take it from `waiting`."""
        for checked in self._connected().digests(waiting.copy()):
            if self._bench.stopped.is_set():
                raise StoppedError
            waiting.remove(checked.entry)
            self._bench.tally.moving(checked.entry.path)
            if checked.problem:
                self._again(checked.entry, 0, checked.problem)
            else:
                self._decide(checked)

    def _decide(self, checked: Packed) -> None:
        entry = checked.entry
        try:
            is_same = self._landing.digest(entry) == checked.digest
            self._comparing.checked(entry, is_same=is_same)
        except FileError as error:
            self._bench.failures.add(error.problem)
        except OSError as error:
            self._bench.failures.add(self._comparing.problem(entry, error))

    # --- all ---

    def _again(self, entry: Entry, tries: int, problem: Problem) -> None:
        """A file that changed, or came damaged, is looked up anew; then it has failed."""
        if problem.code not in {"source-changed", _DAMAGED} or tries + 1 >= TRIES:
            self._bench.failures.add(problem)
            return
        again = replace(self._bench.meant, selection=(entry.path,) if entry.path else None)
        for fresh in self._bench.source.entries(again):
            self._bench.tally.resized(fresh.size - entry.size)
            self._comparing.consider(fresh, tries + 1)


_DAMAGED = "arrived-damaged"


def _damaged(path: str) -> Problem:
    return Problem(
        code=_DAMAGED,
        message=f"{shown(path)} arrived with another digest than it left with, {TRIES} times.",
        advice="Nothing of it was kept. Have the memory of both hosts checked.",
        path=shown(path),
        retryable=True,
    )
