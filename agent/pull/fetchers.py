"""Fetch bytes from the source: ranges of big files, packs of small files, and digests to compare."""

import logging
from collections.abc import Sequence

import xxhash

from agent.files import disk
from agent.files.digests import MIB, RANGE_BYTES, digest_of, file_digest, range_digest, update_with_zeros
from agent.files.listing import FileEntry
from agent.problems import ARRIVED_DAMAGED
from agent.pull.job_queue import BigFile, RangeJob
from agent.pull.ledger import Ledger, Piece
from agent.pull.source import FileError, PackedFile
from agent.pull.worker_context import MAX_ATTEMPTS, WorkerConnection
from events.base import Problem

log = logging.getLogger(__name__)

MAX_CHECKPOINTS = 512
"""Rows in the ledger for the unfinished pieces of one file."""


class _WriteError(Exception):
    """An OSError of the destination, wrapped while it passes through the source's code."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(str(cause))
        self.cause = cause


class Checkpoints:
    """Records what has been written of a piece while the rest is still on its way.

    So an agent that is killed asks only for the rest.
    """

    def __init__(self, ledger: Ledger, piece: RangeJob) -> None:
        self._ledger = ledger
        self._path = piece.file.entry.path
        self._enough = max(MIB, piece.file.entry.size // MAX_CHECKPOINTS)
        self._start, self._length, self._state = piece.start, 0, xxhash.xxh3_128()

    def add(self, data: memoryview) -> None:
        """Note bytes that have been written; record them once there are enough."""
        self._state.update(data)
        self._length += len(data)
        if self._length >= self._enough:
            self._ledger.add_piece(self._path, self._start, Piece(self._state.digest(), self._length))
            self._start, self._length, self._state = self._start + self._length, 0, xxhash.xxh3_128()


class RangeFetcher:
    """Fetches and writes ranges of big files."""

    def __init__(self, connection: WorkerConnection) -> None:
        self._connection = connection
        self._context = connection.context

    def fetch(self, job: RangeJob) -> None:
        """Fetch and write a range or a part of one; a problem of its file is recorded there.

        Raises SourceConnectionError, HopError or PullStoppedError, each of which ends the pass.
        """
        file = job.file
        if file.problem:
            return
        try:
            self._open(file)
            self._fetch_pieces(job)
        except FileError as error:
            file.problem = error.problem
        except OSError as error:
            file.problem = self._connection.planner.write_problem(file.entry, error)

    def _open(self, file: BigFile) -> None:
        with file.lock:
            if file.descriptor < 0:
                self._connection.destination.open(file)

    def _fetch_pieces(self, job: RangeJob) -> None:
        """Fetch a job's bytes, in several pieces on a slow or unstable connection.

        Pieces that an earlier attempt wrote are verified instead.
        """
        path, position, end = job.file.entry.path, job.start, job.start + job.length

        def fetch_next() -> None:
            nonlocal position
            gap = min(end, job.file.next_recorded(position)) - position
            request = RangeJob(job.file, position, min(self._most_bytes(), gap))
            piece = Piece(self._fetch_piece(request), request.length)
            self._context.ledger.add_piece(path, position, piece)
            self._count_arrived(job.file, position, piece)
            position += piece.length

        while True:
            self._context.progress.set_current(path)
            if piece := self._verified_piece(job.file, position, end):
                self._context.progress.add_existing(piece.length)
                self._count_arrived(job.file, position, piece)
                position += piece.length
            else:
                self._connection.with_retry(fetch_next)
            if position >= end:
                return

    def _most_bytes(self) -> int:
        """Return how much one request may ask for: a whole range where little of it would be lost."""
        sizes = self._context.request_size
        keeps_most = self._connection.reader().has_checkpoints and not sizes.has_broken
        return RANGE_BYTES if keeps_most else sizes.size

    @staticmethod
    def _verified_piece(file: BigFile, position: int, end: int) -> Piece | None:
        """Return the piece that an earlier attempt wrote at a position, if it matches the ledger."""
        recorded = file.recorded.get(position)
        if recorded is None or not recorded.length:
            return None
        piece = recorded._replace(length=min(recorded.length, end - position))
        return piece if range_digest(file.descriptor, position, piece.length) == piece.digest else None

    @staticmethod
    def _count_arrived(file: BigFile, start: int, piece: Piece) -> None:
        """Count a piece; if it is the last one of its range, note the range's digest."""
        if completed := file.count_arrived(start, piece.length):
            range_start, length = completed
            is_whole = piece.length == length
            digest = piece.digest if is_whole else range_digest(file.descriptor, range_start, length)
            file.digests[range_start] = digest

    def _fetch_piece(self, piece: RangeJob) -> bytes:
        """Fetch a piece and return its digest, with retries if it arrives damaged.

        Raises SourceConnectionError; FileError if it is still damaged after the last attempt.
        """
        for _ in range(MAX_ATTEMPTS):
            digest, expected = self._request(piece)
            if expected in {None, digest}:
                return digest
            self._context.progress.subtract(piece.length)
            piece.file.is_new = False
            location = {"path": piece.file.entry.path, "start": piece.start}
            log.warning("range arrived damaged", extra={**self._context.log_fields, **location})
        path = self._connection.destination.name(piece.file.entry.path)
        raise FileError(ARRIVED_DAMAGED.problem(path=path, attempts=MAX_ATTEMPTS))

    def _request(self, piece: RangeJob) -> tuple[bytes, bytes | None]:
        """Fetch and write a piece once; return the digest of what arrived and the one that the source sent.

        If the request breaks off, the bytes of the piece are subtracted from the progress.
        """
        state, position = xxhash.xxh3_128(), piece.start
        reader = self._connection.reader()
        checkpoints = Checkpoints(self._context.ledger, piece) if reader.has_checkpoints else None

        def sink(data: memoryview) -> None:
            nonlocal position
            self._context.limiter.acquire(len(data))
            self._connection.check_stopped()
            try:
                self._connection.destination.write_range(piece.file, data, position)
            except OSError as error:
                raise _WriteError(error) from error
            state.update(data)
            position += len(data)
            self._context.progress.add_bytes(len(data))
            if checkpoints:
                checkpoints.add(data)

        def hole(length: int) -> None:
            nonlocal position
            self._connection.check_stopped()
            try:
                self._connection.destination.punch_hole(piece.file, position, length)
            except OSError as error:
                raise _WriteError(error) from error
            update_with_zeros(state, length)
            position += length
            self._context.progress.add_existing(length)

        try:
            expected = reader.range(piece.file.entry, piece.start, piece.length, sink, hole)
        except BaseException as error:
            self._context.progress.subtract(position - piece.start)
            if isinstance(error, _WriteError):
                raise error.cause from None
            raise
        disk.start_writeback(piece.file.descriptor, piece.start, piece.length)
        return state.digest(), expected

    def end(self, file: BigFile) -> None:
        """Complete a file whose last range is done, or requeue it if it has a problem.

        Raises:
            SourceConnectionError: the source cannot be asked about the whole.
            PullStoppedError: the pass was stopped.
            HopError: it refuses the hop.
        """
        try:
            if file.problem is None:
                self._complete(file)
        except FileError as error:
            file.problem = error.problem
        except OSError as error:
            file.problem = self._connection.planner.write_problem(file.entry, error)
        finally:
            file.close()
        if file.problem:
            self._abandon(file, file.problem)

    def _complete(self, file: BigFile) -> None:
        if file.recorded:  # the digests in the ledger are those of what arrived, whatever was sent
            reader = self._connection.reader()
            reader.verify_resumed(file.entry, file.descriptor, self._connection.check_stopped)
        digest = file_digest(file.digests[start] for start in sorted(file.digests))
        self._connection.destination.complete(file, digest)
        self._context.progress.finish_file(file.entry.path)

    def _abandon(self, file: BigFile, problem: Problem) -> None:
        self._context.progress.subtract(file.bytes_arrived)
        self._connection.destination.discard_file(file.entry.path)
        self._connection.requeue(file.entry, file.tries, problem)


class ChecksumFetcher:
    """Compares files by their digests."""

    def __init__(self, connection: WorkerConnection) -> None:
        self._connection = connection
        self._context = connection.context

    def fetch(self, entries: Sequence[FileEntry]) -> None:
        """Compare files by digest and apply the results.

        Raises SourceConnectionError, HopError or PullStoppedError, each of which ends the pass.
        """
        waiting = list(entries)
        self._connection.with_retry(lambda: self._compare(waiting))

    def _compare(self, waiting: list[FileEntry]) -> None:
        """Compare each file with the source's digest, and remove it from `waiting`."""
        for checked in self._connection.reader().digests(waiting.copy()):
            self._connection.check_stopped()
            waiting.remove(checked.entry)
            self._context.progress.set_current(checked.entry.path)
            if checked.problem:
                self._connection.requeue(checked.entry, 0, checked.problem)
            else:
                self._apply(checked)

    def _apply(self, checked: PackedFile) -> None:
        entry, digest = checked.entry, checked.digest
        try:
            is_same = self._connection.destination.comparer.digest(entry) == digest
            self._connection.planner.apply_checksum(entry, digest or b"", is_same=is_same)
        except FileError as error:
            self._context.failures.add_problem(error.problem, entry)
        except OSError as error:
            self._context.failures.add_problem(self._connection.planner.write_problem(entry, error), entry)


class PackFetcher:
    """Fetches and writes packs of small files."""

    def __init__(self, connection: WorkerConnection) -> None:
        self._connection = connection
        self._context = connection.context
        self._arrived = 0

    def fetch(self, entries: Sequence[FileEntry]) -> bool:
        """Fetch a pack; return whether any file of it was written.

        Raises SourceConnectionError, HopError or PullStoppedError, each of which ends the pass.
        """
        waiting = list(entries)
        self._arrived = 0
        with self._context.ledger.pack(waiting):
            while waiting:
                self._connection.with_retry(lambda: self._unpack(waiting))
        return bool(self._arrived)

    def _unpack(self, waiting: list[FileEntry]) -> None:
        """Fetch as many files as one request may ask for, write each and remove it from `waiting`."""
        arrived = list(self._connection.reader().pack(self._context.request_size.limit(waiting.copy())))
        self._context.limiter.acquire(sum(packed.entry.size for packed in arrived))
        completed: list[tuple[FileEntry, bytes]] = []
        try:
            with self._context.write_lock:
                for packed in arrived:
                    self._connection.check_stopped()
                    waiting.remove(packed.entry)
                    digest = self._write(packed)
                    if digest is not None:
                        completed.append((packed.entry, digest))
        finally:
            self._context.ledger.complete_all(completed)
            self._arrived += len(completed)

    def _write(self, packed: PackedFile) -> bytes | None:
        """Write a file and return its digest; None if it failed or is queued again."""
        entry, problem = packed.entry, packed.problem
        digest = digest_of(packed.data)
        if problem is None and packed.digest not in {None, digest}:
            path = self._connection.destination.name(entry.path)
            problem = ARRIVED_DAMAGED.problem(path=path, attempts=MAX_ATTEMPTS)
        if problem:
            self._connection.destination.discard_file(entry.path)
            self._connection.requeue(entry, 0, problem)
            return None
        try:
            self._connection.destination.write_small(entry, packed.data)
        except OSError as error:
            problem = self._connection.planner.write_problem(entry, error)
            self._connection.destination.discard_file(entry.path)
            self._context.failures.add_problem(problem, entry)
            return None
        self._context.progress.add_file(entry.path, entry.size)
        return digest
