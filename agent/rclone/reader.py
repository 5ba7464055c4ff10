"""One connection to the rclone that serves a hop's store: ranges of objects, over HTTP."""

import http.client
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from agent.errors import display_path
from agent.files.digests import CHUNK_BYTES
from agent.files.listing import FileEntry
from agent.pull.source import (
    FileError,
    Hole,
    PackedFile,
    Sink,
    SourceConnectionError,
    changed,
    packed,
    read_all,
)
from agent.rclone.backend import Backend
from agent.rclone.lsjson import LATEST, whole_second
from agent.rclone.unsized_files import UnsizedFiles
from events.base import Problem

Connect = Callable[[], http.client.HTTPConnection]


class RcloneReader:
    """For one thread at a time."""

    def __init__(self, connect: Connect, store: Backend, aside: UnsizedFiles) -> None:
        """LostError if nobody listens."""
        self._store = store
        self._aside = aside
        self._connect = connect
        self._http = connect()
        self._parted: str | None = None
        """The file that was last seen to be given in parts."""

    def range(self, entry: FileEntry, start: int, length: int, sink: Sink, _hole: Hole | None = None) -> None:
        """rclone gives no digest: TLS and S3's own checksums have guarded the bytes."""
        if not length or self._aside.gives(entry, start, length, sink):
            return
        if length < entry.size and self._store.kind != "s3" and self._parted != entry.path:
            self._see_parts(entry)
        answer = self._get(self._http, entry, start, length)
        buffer = memoryview(bytearray(min(CHUNK_BYTES, length)))
        while length:
            count = self._read(answer, buffer[:length])
            sink(buffer[:count])
            length -= count

    def pack(self, wanted: Sequence[FileEntry]) -> Iterator[PackedFile]:
        return packed(wanted, lambda entry: PackedFile(entry, read_all(self, entry)))

    def digests(self, wanted: Sequence[FileEntry]) -> Iterator[PackedFile]:
        """There are none of ours: each is taken for another."""
        return (PackedFile(entry) for entry in wanted)

    def clear(self, gone: Sequence[FileEntry], _mark: str, _name: str) -> Iterator[Problem | None]:
        """The hop is to read."""
        return (_stays(self._name(entry)) for entry in gone)

    def shows(self, mark: str, _folders: Sequence[str]) -> bool:
        """In the source's own directory, which is below that of whatever is mounted."""
        try:
            self._http.request("HEAD", self._store.address(mark))
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

    def _name(self, entry: FileEntry) -> str:
        return display_path(f"{self._store.place}{entry.path}")

    def _see_parts(self, entry: FileEntry) -> None:
        """Some servers give a whole file to whoever asks for a part of it, and rclone passes its beginning on
        as that part, unless it is longer than what rclone writes at once: the last byte alone shows it."""
        if not self._gives(entry, entry.size - 1, 1):
            if self._gives(entry, 0, entry.size):
                raise FileError(_no_parts(self._name(entry)))
            raise SourceConnectionError("rclone cannot read now")
        self._parted = entry.path

    def _gives(self, entry: FileEntry, start: int, length: int) -> bool:
        """Does it begin to give this, when asked by itself?"""
        with closing(self._connect()) as connection:
            try:
                return bool(self._get(connection, entry, start, length).read(1))
            except (OSError, http.client.HTTPException, SourceConnectionError):
                return False

    def _get(
        self, connection: http.client.HTTPConnection, entry: FileEntry, start: int, length: int
    ) -> http.client.HTTPResponse:
        url, part = self._store.address(entry.path), f"bytes={start}-{start + length - 1}"
        try:
            connection.request("GET", url, headers={"Range": part})
            answer = connection.getresponse()
            if answer.status != http.HTTPStatus.PARTIAL_CONTENT:
                self._refuse(entry, answer.status, answer.read())
        except (OSError, http.client.HTTPException) as error:
            raise SourceConnectionError(f"rclone: {error}") from error
        if _is_other(answer, entry):
            raise changed(self._name(entry))
        return answer

    def _read(self, answer: http.client.HTTPResponse, buffer: memoryview) -> int:
        try:
            count = answer.readinto(buffer)
        except (OSError, http.client.HTTPException) as error:
            raise SourceConnectionError(f"rclone: {error}") from error
        if not count:
            raise SourceConnectionError("rclone ended in the middle of a range")
        return count

    def _refuse(self, entry: FileEntry, status: int, body: bytes) -> None:
        name = self._name(entry)
        if status in {http.HTTPStatus.NOT_FOUND, http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE}:
            raise changed(name)
        words = body.decode("utf-8", "replace")
        if problem := self._store.known_problem(words, name):
            raise FileError(problem)
        raise SourceConnectionError(self._store.passing_problem(words, name).message)


def _is_other(answer: http.client.HTTPResponse, entry: FileEntry) -> bool:
    """Another version than the one that was listed. HTTP tells whole seconds."""
    total = (answer.getheader("Content-Range") or "").rpartition("/")[2]
    return total != str(entry.size) or whole_second(_modified(answer)) != entry.mtime_ns


def _modified(answer: http.client.HTTPResponse) -> datetime:
    try:
        return parsedate_to_datetime(answer.getheader("Last-Modified") or "").astimezone(UTC)
    except (ValueError, OverflowError):
        return LATEST


def _stays(name: str) -> Problem:
    return Problem(
        code="source-kept",
        message=f"{name} arrived, and stays in S3.",
        advice="Let a life cycle rule of the bucket remove it.",
        path=name,
    )


def _no_parts(name: str) -> Problem:
    return Problem(
        code="no-ranges",
        message=f"{name} can be had from its server only as a whole, which is too much for one piece.",
        advice="Let its server answer requests for ranges, or bring the file by other means.",
        path=name,
    )
