"""One file of a push, open for reading: its bytes for S3, and its digest and checksum."""

import os
from collections.abc import Callable
from types import TracebackType

import xxhash

from agent.errors import problem_of
from agent.files.digests import CHUNK_BYTES, RANGE_BYTES, file_digest
from agent.files.listing import FileEntry, open_source
from agent.files.roots import Tree
from agent.pull.source import FileError, changed
from agent.s3.checksums import Algorithm

HASH_CHUNK_BYTES = CHUNK_BYTES // 4
"""Bytes that are read at a time: many files are read at once."""


class SourceFile:
    """An open file that must stay as it was listed."""

    def __init__(self, tree: Tree, entry: FileEntry) -> None:
        """Open the file. Raises FileError."""
        self._name = tree.name(entry.path)
        try:
            self._descriptor = open_source(tree, entry.path)
        except OSError as error:
            raise FileError(problem_of(error, self._name)) from error
        try:
            self._listed = entry
            self.require_unchanged()
            self.entry = entry._replace(mode=os.fstat(self._descriptor).st_mode & 0o7777)
        except FileError:
            os.close(self._descriptor)
            raise

    def __enter__(self) -> "SourceFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.close(self._descriptor)

    def require_unchanged(self) -> None:
        """Raise FileError if the file has been written since it was listed."""
        if not self._listed.is_still(os.fstat(self._descriptor)):
            raise changed(self._name)

    def read(self) -> bytes:
        """Return all bytes of a small file. Raises FileError."""
        size = self.entry.size
        try:
            data = os.pread(self._descriptor, size + 1, 0)
        except OSError as error:
            raise FileError(problem_of(error, self._name)) from error
        if len(data) != size:
            raise changed(self._name)
        self.require_unchanged()
        return data

    def read_at(self, start: int, size: int) -> bytes:
        """Return bytes from `start`, at least one and at most `size`. Raises FileError."""
        try:
            data = os.pread(self._descriptor, size, start)
        except OSError as error:
            raise FileError(problem_of(error, self._name)) from error
        if not data:
            raise changed(self._name)
        return data


class FileHasher:
    """Computes a file's digest and S3's checksum of its parts, from the beginning to the end."""

    def __init__(self, file: SourceFile, algorithm: Algorithm, check_stopped: Callable[[], None]) -> None:
        self._file = file
        self._algorithm = algorithm
        self._check_stopped = check_stopped
        self._done: list[bytes] = []
        self._state = xxhash.xxh3_128()
        self._position = 0

    def hash_next(self, length: int) -> int:
        """Read the next `length` bytes and return S3's checksum of them.

        Raises:
            FileError: the file cannot be read, or has become shorter.
        """
        checksum, end = 0, self._position + length
        while self._position < end:
            self._check_stopped()
            left_in_range = RANGE_BYTES - self._position % RANGE_BYTES
            data = self._file.read_at(
                self._position, min(HASH_CHUNK_BYTES, end - self._position, left_in_range)
            )
            checksum = self._algorithm.update(data, checksum)
            self._state.update(data)
            self._position += len(data)
            if self._position % RANGE_BYTES == 0:
                self._done.append(self._state.digest())
                self._state = xxhash.xxh3_128()
        return checksum

    def digest(self) -> bytes:
        """Return the digest of the file, all of which has been read."""
        is_at_range_end = self._done and self._position % RANGE_BYTES == 0
        return file_digest(self._done if is_at_range_end else [*self._done, self._state.digest()])
