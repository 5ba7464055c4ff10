"""Read ranges of files over one connection to a hop's rclone server."""

import http.client
import json
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from agent.files.digests import CHUNK_BYTES
from agent.files.listing import FileEntry
from agent.problems import NO_RANGES, OBJECT_KEPT
from agent.pull.bandwidth import RateLimiter
from agent.pull.provisional_times import listed_mtime_ns
from agent.pull.source import (
    FileError,
    Hole,
    PackedFile,
    Sink,
    SourceConnectionError,
    changed,
    computed_digests,
    packed,
    read_all,
)
from agent.rclone.backend import Backend
from agent.rclone.lsjson import LATEST_TIME, whole_second
from agent.rclone.unsized_files import UnsizedFiles
from events.base import Problem

Connect = Callable[[], http.client.HTTPConnection]
Explain = Callable[[FileEntry, str], Exception]
"""Returns what it means that rclone could not read a file, with rclone's words if it said any."""


class RcloneReader:
    """Reads files, for one thread at a time."""

    has_checkpoints = True

    def __init__(
        self,
        connect: Connect,
        backend: Backend,
        unsized_files: UnsizedFiles,
        limiter: RateLimiter,
        explain: Explain,
    ) -> None:
        """Connect. Raise SourceConnectionError if rclone does not listen."""
        self._backend = backend
        self._unsized_files = unsized_files
        self._connect = connect
        self._limiter = limiter
        self._explain = explain
        self._http = connect()
        self._range_checked_path: str | None = None
        """The last file whose server was found to honor range requests."""

    def verify_resumed(self, entry: FileEntry, descriptor: int, check_stopped: Callable[[], None]) -> None:
        """Do nothing: rclone offers no checksum of every storage."""

    def range(self, entry: FileEntry, start: int, length: int, sink: Sink, _hole: Hole | None = None) -> None:
        """Pass a range of the file to `sink`; `start` and `length` are in bytes.

        There is no digest: the remote has none of ours.
        """
        if not length or self._unsized_files.read_range(entry, start, length, sink):
            return
        if length < entry.size and self._range_checked_path != entry.path:
            self._require_ranges(entry)
        answer = self._get(self._http, entry, start, length)
        buffer = memoryview(bytearray(min(CHUNK_BYTES, length)))
        while length:
            count = self._read(answer, buffer[:length])
            sink(buffer[:count])
            length -= count

    def pack(self, entries: Sequence[FileEntry]) -> Iterator[PackedFile]:
        return packed(entries, lambda entry: PackedFile(entry, read_all(self, entry)))

    def digests(self, entries: Sequence[FileEntry]) -> Iterator[PackedFile]:
        """Yield each file with its digest, which is computed here: the remote has none of ours."""
        return computed_digests(self, entries, self._limiter)

    def delete_entries(
        self, entries: Sequence[FileEntry], _mark: str, _name: str
    ) -> Iterator[Problem | None]:
        """Yield a problem for each file, since nothing is deleted from a remote."""
        return (OBJECT_KEPT.problem(path=self._backend.name_of(entry.path)) for entry in entries)

    def has_mark(self, mark: str, _folders: Sequence[str]) -> bool:
        """Return whether the mark is in the source's own directory, which contains those of all mounts."""
        try:
            self._http.request("HEAD", self._backend.url_path(mark))
            answer = self._http.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise SourceConnectionError(f"rclone: {error}") from error
        return answer.status != http.HTTPStatus.NOT_FOUND

    def interrupt(self) -> None:
        if self._http.sock:
            with suppress(OSError):
                self._http.sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._http.close()

    def _require_ranges(self, entry: FileEntry) -> None:
        """Check that the file's server honors range requests, by reading the last byte alone.

        Some servers answer with the whole file, and rclone passes its beginning on as the requested range,
        unless that is longer than what rclone writes at once.

        Raises:
            FileError: the server ignores ranges.
            HopError, SourceConnectionError: the file cannot be read now.
        """
        if not self._can_read(entry, entry.size - 1, 1):
            if self._can_read(entry, 0, entry.size):
                raise FileError(NO_RANGES.problem(path=self._backend.name_of(entry.path)))
            raise self._explain(entry, "")
        self._range_checked_path = entry.path

    def _can_read(self, entry: FileEntry, start: int, length: int) -> bool:
        """Return whether a request for this range, on a connection of its own, yields any bytes."""
        with closing(self._connect()) as connection:
            try:
                return bool(self._get(connection, entry, start, length).read(1))
            except (OSError, http.client.HTTPException, SourceConnectionError):
                return False

    def _get(
        self, connection: http.client.HTTPConnection, entry: FileEntry, start: int, length: int
    ) -> http.client.HTTPResponse:
        url, byte_range = self._backend.url_path(entry.path), f"bytes={start}-{start + length - 1}"
        try:
            connection.request("GET", url, headers={"Range": byte_range})
            answer = connection.getresponse()
            if answer.status != http.HTTPStatus.PARTIAL_CONTENT:
                raise self._error_of(entry, answer, answer.read())
        except (OSError, http.client.HTTPException) as error:
            raise SourceConnectionError(f"rclone: {error}") from error
        if _is_other_version(answer, entry):
            raise changed(self._backend.name_of(entry.path))
        return answer

    def _read(self, answer: http.client.HTTPResponse, buffer: memoryview) -> int:
        try:
            count = answer.readinto(buffer)
        except (OSError, http.client.HTTPException) as error:
            raise SourceConnectionError(f"rclone: {error}") from error
        if not count:
            raise SourceConnectionError("rclone closed the connection within a range")
        return count

    def _error_of(self, entry: FileEntry, answer: http.client.HTTPResponse, body: bytes) -> Exception:
        """Return what rclone's refusal means.

        A file that it found and could not open has a `Content-Range`, and no reason.
        """
        found = answer.getheader("Content-Range") is not None
        if answer.status == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or (
            answer.status == http.HTTPStatus.NOT_FOUND and not found
        ):
            return changed(self._backend.name_of(entry.path))
        return self._explain(entry, "" if found else _error_text(body))


def _error_text(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"])
    except (ValueError, LookupError, TypeError):
        return body.decode("utf-8", "replace")


def _is_other_version(answer: http.client.HTTPResponse, entry: FileEntry) -> bool:
    """Return whether this is another version than the listed one; HTTP has times in whole seconds."""
    total = (answer.getheader("Content-Range") or "").rpartition("/")[2]
    return total != str(entry.size) or whole_second(_modified(answer)) != listed_mtime_ns(entry)


def _modified(answer: http.client.HTTPResponse) -> datetime:
    try:
        return parsedate_to_datetime(answer.getheader("Last-Modified") or "").astimezone(UTC)
    except (ValueError, OverflowError):
        return LATEST_TIME
