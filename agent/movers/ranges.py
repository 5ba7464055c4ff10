"""Big files, range by range."""

import logging

import xxhash

from agent import disk
from agent.digests import file_digest, range_digest, range_length, update_by_zeros
from agent.movers.hand import MAX_ATTEMPTS, WorkerConnection, damaged
from agent.movers.ledger import Piece
from agent.movers.source import FileError
from agent.movers.work import BigFile, RangeJob
from events.base import Problem

log = logging.getLogger(__name__)


class _WriteError(Exception):
    """The destination's OSError, on its way through the source's code."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(str(cause))
        self.cause = cause


class RangeFetcher:
    def __init__(self, hand: WorkerConnection) -> None:
        self._hand = hand
        self._bench = hand.bench

    def fetch(self, job: RangeJob) -> None:
        """LostError, HopError or StoppedError end the pass."""
        file = job.file
        if file.problem:
            return
        try:
            self._open(file)
            file.digests[job.start] = self._brought(job)
        except FileError as error:
            file.problem = error.problem
        except OSError as error:
            file.problem = self._hand.comparing.problem(file.entry, error)

    def _open(self, file: BigFile) -> None:
        with file.lock:
            if file.descriptor < 0:
                self._hand.landing.open(file)

    def _brought(self, job: RangeJob) -> bytes:
        """Its digest, once it is there; on a line that is slow or breaks often in several pieces."""
        path, end = job.file.entry.path, job.start + job.length
        pieces = self._standing(job)
        start = job.start + sum(piece.length for piece in pieces)

        def ask() -> None:
            nonlocal start
            asked = RangeJob(job.file, start, min(self._bench.stride.size, end - start))
            piece = Piece(self._piece(asked), asked.length)
            self._bench.ledger.add_piece(path, start, piece)
            pieces.append(piece)
            start += asked.length

        while start < end or not pieces:
            self._bench.tally.set_current(path)
            self._hand.with_retry(ask)
        one = len(pieces) == 1
        return pieces[0].digest if one else range_digest(job.file.descriptor, job.start, job.length)

    def _standing(self, job: RangeJob) -> list[Piece]:
        """What an earlier attempt brought of it, from its beginning, as far as it is as it was noted."""
        pieces, start, left = list[Piece](), job.start, job.length
        while left and (noted := job.file.recorded.get(start)):
            piece = noted._replace(length=min(noted.length, left))
            if range_digest(job.file.descriptor, start, piece.length) != piece.digest:
                break
            pieces.append(piece)
            start, left = start + piece.length, left - piece.length
        self._bench.tally.add_existing(job.length - left)
        return pieces

    def _piece(self, piece: RangeJob) -> bytes:
        """LostError; FileError if it arrives damaged again and again."""
        for _ in range(MAX_ATTEMPTS):
            digest, told = self._asked(piece)
            if told in {None, digest}:
                return digest
            self._bench.tally.subtract(piece.length)
            piece.file.fresh = False
            about = {"path": piece.file.entry.path, "start": piece.start}
            log.warning("range arrived damaged", extra=about)
        raise FileError(damaged(self._hand.landing.name(piece.file.entry.path)))

    def _asked(self, piece: RangeJob) -> tuple[bytes, bytes | None]:
        """The digest of what arrived, and what the source says it should be. What arrived of a range that
        broke off does not count."""
        state, position = xxhash.xxh3_128(), piece.start

        def sink(data: memoryview) -> None:
            nonlocal position
            self._bench.limiter.take(len(data))
            self._hand.check_stopped()
            try:
                self._hand.landing.write(piece.file, data, position)
            except OSError as error:
                raise _WriteError(error) from error
            state.update(data)
            position += len(data)
            self._bench.tally.add_bytes(len(data))

        def hole(length: int) -> None:
            nonlocal position
            self._hand.check_stopped()
            try:
                self._hand.landing.punch_hole(piece.file, position, length)
            except OSError as error:
                raise _WriteError(error) from error
            update_by_zeros(state, length)
            position += length
            self._bench.tally.add_existing(length)

        try:
            told = self._hand.connection().range(piece.file.entry, piece.start, piece.length, sink, hole)
        except BaseException as error:
            self._bench.tally.subtract(position - piece.start)
            if isinstance(error, _WriteError):
                raise error.cause from None
            raise
        disk.start_writeback(piece.file.descriptor, piece.start, piece.length)
        return state.digest(), told

    def end(self, file: BigFile) -> None:
        """Its last range is there, or it cannot be had."""
        try:
            if file.problem is None:
                self._complete(file)
        except OSError as error:
            file.problem = self._hand.comparing.problem(file.entry, error)
        finally:
            file.close()
        if file.problem:
            self._abandon(file, file.problem)

    def _complete(self, file: BigFile) -> None:
        digest = file_digest(file.digests[start] for start in sorted(file.digests))
        self._hand.landing.complete(file, digest)
        self._bench.tally.finish_file(file.entry.path)

    def _abandon(self, file: BigFile, problem: Problem) -> None:
        done = sum(range_length(file.entry.size, start) for start in file.digests)
        self._bench.tally.subtract(done)
        self._hand.landing.drop(file.entry.path)
        self._hand.requeue(file.entry, file.tries, problem)
