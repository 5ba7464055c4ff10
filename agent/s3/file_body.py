"""The body of a request: a part of a file, read while it is sent."""

from agent.pull.bandwidth import RateLimiter
from agent.pull.progress import ProgressCounter
from agent.pull.worker_context import PullStoppedError
from agent.s3.source_file import SourceFile


class FileBody:
    """A part of a file as a stream. It counts what is read as progress, until that is taken back."""

    def __init__(
        self, file: SourceFile, start: int, length: int, progress: ProgressCounter, limiter: RateLimiter
    ) -> None:
        self.length = length
        """Bytes."""
        self._file = file
        self._start = start
        self._progress = progress
        self._limiter = limiter
        self._position = 0

    def read(self, size: int, /) -> bytes:
        """Return the next bytes, at most `size`; the last ones only if the file is still as it was listed.

        Raises:
            FileError: the file cannot be read, or has changed.
            PullStoppedError: the hop was stopped.
        """
        left = self.length - self._position
        data = self._file.read_at(self._start + self._position, min(size, left)) if left else b""
        if data and len(data) == left:
            self._file.require_unchanged()
        self._limiter.acquire(len(data))
        if self._limiter.is_stopped:
            raise PullStoppedError
        self._position += len(data)
        self._progress.add_bytes(len(data))
        return data

    def seek(self, offset: int, /) -> int:
        """Go back to the beginning, before the request is sent again."""
        self.take_back()
        return offset

    def take_back(self) -> None:
        """Count nothing of it as progress any more: S3 has not stored it."""
        self._progress.subtract(self._position)
        self._position = 0
