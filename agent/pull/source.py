"""Where a pull gets its bytes from: the door between the pipeline and a lane, a disk, or S3."""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

from agent.errors import display_path, problem_of
from agent.files.digests import CHUNK_BYTES, MAX_PACK_FILES, file_digest, range_digest, ranges_of
from agent.files.disk import data_ranges
from agent.files.listing import FileEntry, Selection, entries, open_source
from agent.files.roots import Tree
from agent.files.source_deleter import SourceDeleter, kept, shows_mark
from events.base import Problem
from events.progress import Connection

Sink = Callable[[memoryview], None]
"""Takes the next bytes; raises no OSError, which would be taken for the source's."""

Hole = Callable[[int], None]
"""Told instead that so many zeros come next, which did not travel."""


class SourceConnectionError(Exception):
    """The way to the source broke, or does not stand yet; what was asked for can be asked for again."""


class FileError(Exception):
    """This one file cannot be had; the rest can."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


_NO_BYTES = memoryview(b"")


class PackedFile(NamedTuple):
    """A small file, whole; without bytes if it cannot be had."""

    entry: FileEntry
    data: memoryview = _NO_BYTES
    digest: bytes | None = None
    """As the source computed it; None where nothing lies between the source's disk and us."""
    problem: Problem | None = None


class Reader(Protocol):
    """One connection; for one thread at a time."""

    def range(
        self, entry: FileEntry, start: int, length: int, sink: Sink, hole: Hole | None = None
    ) -> bytes | None:
        """Give the bytes to `sink`, piece by piece, and where there are none say so to `hole`, if that can be
        told; the digest as in `Packed`. LostError, FileError."""

    def pack(self, requested: Sequence[FileEntry]) -> Iterator[PackedFile]:
        """Each of them, in this order. LostError."""

    def digests(self, requested: Sequence[FileEntry]) -> Iterator[PackedFile]:
        """Each of them, without its bytes. LostError."""

    def clear(self, entries_to_delete: Sequence[FileEntry], mark: str, name: str) -> Iterator[Problem | None]:
        """Remove each from the source, if it is still as it was and is not what stands at the destination;
        why not, or None. `mark` is in each directory there, `name` is what the place is called. LostError."""

    def shows(self, mark: str, directories: Sequence[str]) -> bool:
        """Is the mark in one of these directories of the source, as far as can be told? LostError."""

    def interrupt(self) -> None:
        """From any thread: whoever is reading gets LostError."""

    def close(self) -> None: ...


class Source(Protocol):
    """One hop's source."""

    streams: int
    """Connections to begin with."""
    most_streams: int
    """As many as there may be, as long as more bring more."""
    pack_files: int
    """How many small files are well asked for at once."""

    def connect(self) -> Connection:
        """Make sure that it is there; which way. LostError, HopError."""

    def entries(self, selection: Selection) -> Iterator[FileEntry]:
        """What there is. HopError if there is nothing to begin with; LostError before its end."""

    def reader(self) -> Reader:
        """Another connection. LostError."""

    def interrupt(self) -> None:
        """From any thread: whoever lists gets LostError."""

    def close(self) -> None: ...


def changed(path: str) -> FileError:
    name = display_path(path)
    return FileError(
        Problem(code="source-changed", message=f"{name} changed while it was being read.", path=name)
    )


def packed(requested: Sequence[FileEntry], read: Callable[[FileEntry], PackedFile]) -> Iterator[PackedFile]:
    """Each of them, read by itself."""
    for entry in requested:
        try:
            packed_file = read(entry)
        except FileError as error:
            packed_file = PackedFile(entry, problem=error.problem)
        yield packed_file


def read_all(reader: Reader, entry: FileEntry) -> memoryview:
    """A file's bytes as one range. LostError, FileError."""
    pieces = bytearray()
    reader.range(entry, 0, entry.size, pieces.extend)
    return memoryview(pieces)


class LocalSource:
    """A place on this very host."""

    pack_files = MAX_PACK_FILES

    def __init__(self, tree: Callable[[], Tree]) -> None:
        """`tree` makes one for each thread; HopError if the path is outside the roots, or is to be removed
        from one where nothing may be written."""
        self._tree = tree
        self.streams = self.most_streams = min(4, os.cpu_count() or 1)

    def connect(self) -> Connection:
        self._tree().close()
        return Connection(kind="local")

    def entries(self, selection: Selection) -> Iterator[FileEntry]:
        with self._tree() as tree:
            yield from entries(tree, selection)

    def reader(self) -> "LocalReader":
        return LocalReader(self._tree())

    def interrupt(self) -> None:
        """Nothing here waits for anyone."""

    def close(self) -> None: ...


class LocalReader:
    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._interrupted = False

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

    def clear(self, entries_to_delete: Sequence[FileEntry], mark: str, name: str) -> Iterator[Problem | None]:
        deleter = SourceDeleter(self._tree, mark, name)
        for entry in entries_to_delete:
            if self._interrupted:
                raise SourceConnectionError("interrupted")
            try:
                yield kept(self._tree, entry, deleter.clear(entry))
            except OSError as error:
                yield problem_of(error, self._tree.name(entry.path))

    def shows(self, mark: str, directories: Sequence[str]) -> bool:
        return any(shows_mark(self._tree, folder, mark) for folder in directories)

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
