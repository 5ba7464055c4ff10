"""The protocols `Source` and `Reader`, from which a pull gets its bytes, and the source on this host."""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

import xxhash

from agent.errors import problem_of
from agent.files.digests import CHUNK_BYTES, MAX_PACK_FILES, file_digest, range_digest, ranges_of
from agent.files.disk import data_ranges
from agent.files.listing import FileEntry, OwnChanges, Selection, entries, open_source
from agent.files.roots import Roots, Tree
from agent.files.source_deleter import SourceDeleter, kept_problem, may_have_mark
from agent.problems import SOURCE_CHANGED
from agent.pull.bandwidth import RateLimiter
from events.base import Problem
from events.commands import Move
from events.locations import AgentLocation
from events.progress import Connection

Sink = Callable[[memoryview], None]
"""Receives the next bytes. Must not raise OSError, which would count as an error of the source."""

Hole = Callable[[int], None]
"""Receives the length in bytes of zeros that come next and were not transferred."""


class SourceConnectionError(Exception):
    """The connection to the source broke or cannot be made yet; the request can be retried."""

    def __init__(self, reason: str, problem: Problem | None = None) -> None:
        """Create the error; `problem` is what to report if it does not pass."""
        super().__init__(reason)
        self.problem = problem


class FileError(Exception):
    """One file cannot be transferred; the others can."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


_NO_BYTES = memoryview(b"")


class PackedFile(NamedTuple):
    """A small file with all its bytes, or with the problem that prevented it."""

    entry: FileEntry
    data: memoryview = _NO_BYTES
    digest: bytes | None = None
    """The digest that the source computed; None if there is no network between its disk and this host."""
    problem: Problem | None = None


class Reader(Protocol):
    """One connection to the source. For one thread at a time."""

    has_checkpoints: bool
    """Whether a range is recorded piece by piece while it arrives: it has no holes, no digest that must be
    compared first, and to ask for it again is dear."""

    def range(
        self, entry: FileEntry, start: int, length: int, sink: Sink, hole: Hole | None = None
    ) -> bytes | None:
        """Read bytes `start` to `start + length` and return the digest, as `PackedFile.digest`.

        `sink` gets the bytes in pieces; `hole`, if given, gets the lengths of holes, where the source knows
        them.

        Raises:
            SourceConnectionError: the connection broke.
            FileError: the file cannot be read or has changed.
        """

    def verify_resumed(self, entry: FileEntry, descriptor: int, check_stopped: Callable[[], None]) -> None:
        """Compare a file that an earlier attempt began with the checksum of the whole that the source keeps.

        Ranges that carry a digest of their own need no more: they were compared when they arrived. Reading
        the others may take hours; `check_stopped` is called now and then, and what it raises is passed on.

        Raises:
            SourceConnectionError: the connection broke.
            FileError: the file has arrived damaged, or has changed.
        """

    def pack(self, requested: Sequence[FileEntry]) -> Iterator[PackedFile]:
        """Yield each file with its bytes, in this order. Raises SourceConnectionError."""

    def digests(self, requested: Sequence[FileEntry]) -> Iterator[PackedFile]:
        """Yield each file with its digest, without its bytes. Raises SourceConnectionError."""

    def delete_entries(
        self, requested: Sequence[FileEntry], mark: str, name: str
    ) -> Iterator[Problem | None]:
        """Delete each entry at the source; yield the problem for one that is kept, otherwise None.

        An entry is kept if it has changed or is the file at the destination, whose directories all have a
        marker file named `mark`; `name` is the last component of the destination's path.

        Raises SourceConnectionError.
        """

    def has_mark(self, mark: str, directories: Sequence[str]) -> bool:
        """Return whether one of these directories of the source has the marker file.

        False if the source cannot tell. Raises SourceConnectionError.
        """

    def interrupt(self) -> None:
        """Make a running read raise SourceConnectionError. Thread-safe."""

    def close(self) -> None: ...


class Source(Protocol):
    """The source of a hop. Only after `connect` it is known how many connections are good for it."""

    streams: int
    """Initial number of connections."""
    max_streams: int
    """Maximum number of connections, if more connections increase the throughput."""
    pack_files: int
    """Number of small files per request."""
    is_far: bool
    """Whether an answer takes long on its way, so that one file is fetched over several connections."""

    def connect(self) -> Connection:
        """Connect, and return how. Raises SourceConnectionError, HopError."""

    def entries(self, selection: Selection) -> Iterator[FileEntry]:
        """List the entries. Raises HopError if the path does not exist; SourceConnectionError on a break."""

    def reader(self) -> Reader:
        """Open another connection. Raises SourceConnectionError."""

    def interrupt(self) -> None:
        """Make a running listing raise SourceConnectionError. Thread-safe."""

    def close(self) -> None: ...


def changed(path: str) -> FileError:
    return FileError(SOURCE_CHANGED.problem(path=path))


def packed(requested: Sequence[FileEntry], read: Callable[[FileEntry], PackedFile]) -> Iterator[PackedFile]:
    """Yield each entry as `read` returns it; a FileError becomes its problem."""
    for entry in requested:
        try:
            packed_file = read(entry)
        except FileError as error:
            packed_file = PackedFile(entry, problem=error.problem)
        yield packed_file


def read_all(reader: Reader, entry: FileEntry) -> memoryview:
    """Read a file's bytes as one range. Raises SourceConnectionError, FileError."""
    pieces = bytearray()
    reader.range(entry, 0, entry.size, pieces.extend)
    return memoryview(pieces)


def computed_digests(
    reader: Reader, requested: Sequence[FileEntry], limiter: RateLimiter
) -> Iterator[PackedFile]:
    """Read files within the hop's bandwidth limit and yield each with its digest, which its source lacks."""
    return packed(requested, lambda entry: PackedFile(entry, digest=_computed_digest(reader, entry, limiter)))


def _computed_digest(reader: Reader, entry: FileEntry, limiter: RateLimiter) -> bytes:
    digests = []
    for start, length in ranges_of(entry.size):
        state = xxhash.xxh3_128()

        def sink(data: memoryview, state: xxhash.xxh3_128 = state) -> None:
            limiter.acquire(len(data))
            state.update(data)

        reader.range(entry, start, length, sink)
        digests.append(state.digest())
    return file_digest(digests)


def local_source(move: Move, roots: Roots) -> "LocalSource":
    """Return the source of a hop from one path of this host to another."""
    source = move.source
    if not isinstance(source, AgentLocation):
        raise TypeError(f"{move.hop_id} has no source on this host")
    options = move.options
    return LocalSource(
        lambda: roots.tree(source.path, writing=options.clears_source, following=options.symlinks == "follow")
    )


class LocalSource:
    """A source on this host."""

    pack_files = MAX_PACK_FILES
    is_far = False

    def __init__(self, tree: Callable[[], Tree]) -> None:
        """Open one tree per thread with `tree`.

        It raises HopError if the path is outside the roots, or if a move needs a writable root.
        """
        self._tree = tree
        self.streams = self.max_streams = min(4, os.cpu_count() or 1)

    def connect(self) -> Connection:
        self._tree().close()
        return Connection(kind="local")

    def entries(self, selection: Selection) -> Iterator[FileEntry]:
        with self._tree() as tree:
            yield from entries(tree, selection)

    def reader(self) -> "LocalReader":
        return LocalReader(self._tree())

    def interrupt(self) -> None:
        """Do nothing: a local listing does not wait."""

    def close(self) -> None: ...


class LocalReader:
    """Reads files on this host."""

    has_checkpoints = False

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._interrupted = False
        self._own_changes: OwnChanges = {}

    def range(
        self, entry: FileEntry, start: int, length: int, sink: Sink, hole: Hole | None = None
    ) -> bytes | None:
        descriptor, end = self._open(entry), start + length
        try:
            found = data_ranges(descriptor, start, length) if hole and entry.sparse else [(start, length)]
            for begin, size in [*found, (end, 0)]:
                if hole and begin > start:
                    hole(begin - start)
                self._read(descriptor, entry, begin, size, sink)
                start = begin + size
            self._require_unchanged(descriptor, entry)
        except OSError as error:
            raise FileError(problem_of(error, self._tree.name(entry.path))) from error
        finally:
            os.close(descriptor)
        return None

    def verify_resumed(self, entry: FileEntry, descriptor: int, check_stopped: Callable[[], None]) -> None:
        """Do nothing: there is no network between the two disks."""

    def _read(self, descriptor: int, entry: FileEntry, start: int, length: int, sink: Sink) -> None:
        buffer, end = memoryview(bytearray(min(CHUNK_BYTES, length))), start + length
        while start < end:
            if self._interrupted:
                raise SourceConnectionError("interrupted")
            count = os.preadv(descriptor, [buffer[: end - start]], start)
            if not count:
                raise changed(self._tree.name(entry.path))
            sink(buffer[:count])
            start += count

    def pack(self, requested: Sequence[FileEntry]) -> Iterator[PackedFile]:
        return packed(requested, lambda entry: PackedFile(entry, read_all(self, entry)))

    def digests(self, requested: Sequence[FileEntry]) -> Iterator[PackedFile]:
        return packed(requested, lambda entry: PackedFile(entry, digest=self._digest(entry)))

    def delete_entries(
        self, requested: Sequence[FileEntry], mark: str, name: str
    ) -> Iterator[Problem | None]:
        deleter = SourceDeleter(self._tree, mark, name, self._own_changes)
        for entry in requested:
            if self._interrupted:
                raise SourceConnectionError("interrupted")
            try:
                yield kept_problem(self._tree, entry, deleter.delete_if_safe(entry))
            except OSError as error:
                yield problem_of(error, self._tree.name(entry.path))

    def has_mark(self, mark: str, directories: Sequence[str]) -> bool:
        return any(may_have_mark(self._tree, folder, mark) for folder in directories)

    def interrupt(self) -> None:
        self._interrupted = True

    def close(self) -> None:
        self._tree.close()

    def _digest(self, entry: FileEntry) -> bytes:
        descriptor, digests = self._open(entry), []
        try:
            for start, length in ranges_of(entry.size):
                if self._interrupted:
                    raise SourceConnectionError("interrupted")
                digests.append(range_digest(descriptor, start, length))
            self._require_unchanged(descriptor, entry)
        except OSError as error:
            raise FileError(problem_of(error, self._tree.name(entry.path))) from error
        finally:
            os.close(descriptor)
        return file_digest(digests)

    def _open(self, entry: FileEntry) -> int:
        try:
            descriptor = open_source(self._tree, entry.path)
        except OSError as error:
            raise FileError(problem_of(error, self._tree.name(entry.path))) from error
        try:
            self._require_unchanged(descriptor, entry)
        except FileError:
            os.close(descriptor)
            raise
        return descriptor

    def _require_unchanged(self, descriptor: int, entry: FileEntry) -> None:
        if not entry.is_still(os.fstat(descriptor)):
            raise changed(self._tree.name(entry.path))
