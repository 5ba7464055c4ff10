"""The destination's side of a lane connection: sends requests, and validates everything it receives."""

import http.client
import io
import json
import re
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pydantic import ValidationError

from agent import problems
from agent.errors import HopError
from agent.files.digests import CHUNK_BYTES, DIGEST_BYTES, file_digest, range_count
from agent.files.listing import FileEntry, Selection
from agent.lane import sparse_ranges, wire
from agent.lane.dialer import describe_error
from agent.lane.limits import LaneLimits
from agent.lane.sockets import has_no_data, shut_down
from agent.pull.source import FileError, Hole, PackedFile, Sink, SourceConnectionError
from agent.tcp import limit_unacknowledged, tcp_info
from events.base import Problem

BLOCK_BYTES = 64 * 1024
_NOT_SERVED = 401
_NOT_AVAILABLE = {404, 409}


class LaneClient:
    """HTTP on one connection, one request at a time.

    Either side may have dialed the connection.
    """

    has_checkpoints = False

    def __init__(
        self,
        connection: ssl.SSLSocket,
        peer_address: str,
        hop_id: str,
        token: str,
        chunk_bytes: int = CHUNK_BYTES,
        limits: LaneLimits = LaneLimits(),
    ) -> None:
        """Use an open connection; `peer_address` is the address that was dialed.

        `chunk_bytes` is the size in which the bytes of a range are passed on.
        """
        connection.settimeout(limits.read_timeout_s)
        limit_unacknowledged(connection, limits.silence_timeout_s)
        self._read_timeout_s = limits.read_timeout_s
        self._long_round_trip_s = limits.long_round_trip_s
        self.congestion_control: str | None = None
        """The algorithm by which the source sends on this connection, as it answered to `probe`."""
        self._chunk_bytes = chunk_bytes
        self._socket = connection
        self.endpoint = peer_address
        self._http = http.client.HTTPConnection(peer_address)
        self._http.auto_open = 0  # http.client would reconnect by itself, without TLS
        self._http.sock = connection
        self._http.response_class = _DirectResponse
        self._response: http.client.HTTPResponse | None = None
        """The last response: one without a length owns the connection, and closes it."""
        self._hop_id = hop_id
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def probe(self, timeout_s: float) -> None:
        """Check that the source answers and serves this hop, with a request for an empty pack.

        All versions understand that request. `timeout_s` is in seconds, for each read.

        Raises:
            OSError: the connection broke or timed out.
            SourceConnectionError: the source does not serve this hop, or does not serve it yet.
            HopError: the source refused, or violated the protocol.
        """
        self._socket.settimeout(timeout_s)
        try:
            answer = self._send_request("pack", wire.pack_request(()))
            if answer.status == _NOT_SERVED:
                raise SourceConnectionError(self._problem_of(answer).message)
            if answer.status != http.HTTPStatus.OK:
                raise HopError(self._problem_of(answer))
            if answer.read(1):
                raise HopError(
                    problems.SOURCE_MISBEHAVED.problem(
                        endpoint=self.endpoint, reason="a non-empty answer to an empty request"
                    )
                )
        except http.client.HTTPException as error:
            raise SourceConnectionError(describe_error(error)) from error
        self._socket.settimeout(self._read_timeout_s)
        self.congestion_control = _algorithm(answer.getheader(wire.CONGESTION_CONTROL))

    @property
    def is_far(self) -> bool:
        """Whether the line to the source is long, as the kernel measures it."""
        info = tcp_info(self._socket)
        return info is not None and info.round_trip_s >= self._long_round_trip_s

    @property
    def is_reusable(self) -> bool:
        """Return whether another request can be sent.

        It cannot if the source has closed the connection, or has sent data that was not requested.
        """
        return has_no_data(self._socket)

    def manifest(self, selection: Selection) -> Iterator[FileEntry]:
        """Yield all entries of the source.

        Raises:
            HopError: the source cannot be listed.
            SourceConnectionError: the connection broke before the end of the listing.
        """
        return self._list("manifest", selection)

    def list_incremental(self, selection: Selection) -> Iterator[FileEntry]:
        """Yield the entries that another hop is writing at the source, as each is complete.

        Raises:
            HopError: the source cannot be listed, or the other hop is not running.
            SourceConnectionError: the connection broke before the end of the listing.
        """
        return self._list("incremental", selection)

    def _list(self, verb: str, selection: Selection) -> Iterator[FileEntry]:
        with self._translate_errors():
            answer = self._post_json(verb, wire.manifest_request(selection))
            if answer.status != http.HTTPStatus.OK:
                raise HopError(self._problem_of(answer))
            lines, count = _read_lines(answer), 0
            for fields in lines:
                match fields[0] if fields else None:
                    case wire.END:
                        _require_count(fields, count)
                        _require_end(lines)
                        return answer.close()  # with a known length, it does not notice its end
                    case wire.KEEPALIVE:
                        continue
                    case wire.UPSTREAM_PAUSED:
                        raise HopError(problems.PREVIOUS_HOP_NOT_RUNNING.problem(endpoint=self.endpoint))
                    case wire.REFUSED:
                        raise HopError(_refusal(fields))
                yield wire.read_entry(fields)
                count += 1
            raise SourceConnectionError(f"{self.endpoint} closed the connection within its listing")

    def verify_resumed(self, entry: FileEntry, descriptor: int, check_stopped: Callable[[], None]) -> None:
        """Do nothing: the source sends a digest with each range."""

    def range(self, entry: FileEntry, start: int, length: int, sink: Sink, hole: Hole | None = None) -> bytes:
        """Pass a range of the file to `sink` and return the digest that the source computed.

        `length` is in bytes; `hole` receives the number of zero bytes that were not transferred.

        Raises:
            SourceConnectionError: the connection broke.
            FileError: this file cannot be read, or has changed.
        """
        body = {
            "path": entry.path,
            "size": entry.size,
            "mtime_ns": entry.mtime_ns,
            "ctime_ns": entry.ctime_ns,
        }
        holes = {"holes": True} if hole and entry.sparse else {}
        with self._translate_errors():
            answer = self._post_json("range", body | {"start": start, "length": length} | holes)
            self._require_ok(answer, entry)
            if holes and hole and answer.getheader("Content-Type") == sparse_ranges.MEDIA_TYPE:
                self._receive_parts(answer, start, length, sink, hole)
            else:
                self._receive_data(answer, length, sink)
            digest = answer.read(DIGEST_BYTES + 1)
        if len(digest) != DIGEST_BYTES:
            raise SourceConnectionError(f"{self.endpoint} closed the connection before the digest of a range")
        return digest

    def _receive_data(self, answer: http.client.HTTPResponse, length: int, sink: Sink) -> None:
        buffer = memoryview(bytearray(min(self._chunk_bytes, length)))
        while length:
            count = answer.readinto(buffer[:length])
            if not count:
                raise SourceConnectionError(f"{self.endpoint} closed the connection within a range")
            sink(buffer[:count])
            length -= count

    def _receive_parts(
        self, answer: http.client.HTTPResponse, start: int, length: int, sink: Sink, hole: Hole
    ) -> None:
        """Receive a range of a sparse file; holes between its parts are not transferred."""
        end = start + length
        for begin, size in [*sparse_ranges.decode(answer.read, start, length), (end, 0)]:
            if begin > start:
                hole(begin - start)
            self._receive_data(answer, size, sink)
            start = begin + size

    def pack(self, entries: Sequence[FileEntry]) -> Iterator[PackedFile]:
        """Yield small files, whole, in this order.

        Raises:
            SourceConnectionError: the connection broke.
        """
        with self._translate_errors():
            answer = self._post("pack", wire.pack_request(entries))
            if answer.status != http.HTTPStatus.OK:
                raise HopError(self._problem_of(answer))
            data = memoryview(answer.read(wire.pack_size(entries) + 1))
        start = 0
        for entry in entries:
            packed, start = _unpack(entry, data, start)
            yield packed

    def digests(self, entries: Sequence[FileEntry]) -> Iterator[PackedFile]:
        """Yield files with their digests and without their bytes, in this order.

        Raises:
            SourceConnectionError: the connection broke.
        """
        with self._translate_errors():
            answer = self._post("digests", wire.pack_request(entries))
            if answer.status != http.HTTPStatus.OK:
                raise HopError(self._problem_of(answer))
            for entry in entries:
                count = range_count(entry.size)
                received = answer.read(count * DIGEST_BYTES + 1)
                if len(received) != count * DIGEST_BYTES + 1:
                    raise SourceConnectionError(
                        f"{self.endpoint} closed the connection within the digests of a file"
                    )
                yield _parse_digests(entry, received)

    def delete_entries(self, entries: Sequence[FileEntry], mark: str, name: str) -> Iterator[Problem | None]:
        """Delete entries at the source; yield for each the problem that prevented it, or None.

        Raises:
            HopError: the source is too old, or refused.
            SourceConnectionError: the connection broke.
        """
        states = self._states("delete", wire.delete_request(entries, mark, name), len(entries))
        for entry, state in zip(entries, states, strict=True):
            yield None if bytes([state]) == wire.OK else _not_deleted(bytes([state]), entry)

    def has_mark(self, mark: str, directories: Sequence[str]) -> bool:
        """Return whether any of these directories of the source contains the destination's marker file."""
        return any(self._states("has-mark", wire.has_mark_request(mark, directories), len(directories)))

    def _states(self, verb: str, body: bytes, count: int) -> bytes:
        """Return one state byte for each entry of the request."""
        with self._translate_errors():
            answer = self._post(verb, body)
            if answer.status == http.HTTPStatus.NOT_FOUND:
                raise HopError(problems.SOURCE_TOO_OLD.problem(endpoint=self.endpoint))
            if answer.status != http.HTTPStatus.OK:
                raise HopError(self._problem_of(answer))
            states = answer.read(count + 1)
        if len(states) != count:
            raise SourceConnectionError(f"{self.endpoint} did not return one state for each entry")
        return states

    def interrupt(self) -> None:
        """Shut down the connection, from any thread."""
        shut_down(self._socket)

    def close(self) -> None:
        if self._response:
            self._response.close()
        self._http.close()
        self._socket.close()

    def _post_json(self, verb: str, body: dict[str, object]) -> http.client.HTTPResponse:
        return self._post(verb, wire.dump(body))

    def _send_request(self, verb: str, body: bytes) -> http.client.HTTPResponse:
        self._http.request("POST", f"/hops/{self._hop_id}/{verb}", body, self._headers)
        self._response = self._http.getresponse()
        return self._response

    def _post(self, verb: str, body: bytes) -> http.client.HTTPResponse:
        answer = self._send_request(verb, body)
        if answer.status == _NOT_SERVED:
            raise SourceConnectionError(f"{self.endpoint}: {self._problem_of(answer).message}")
        return answer

    def _require_ok(self, answer: http.client.HTTPResponse, entry: FileEntry) -> None:
        if answer.status in _NOT_AVAILABLE:
            raise FileError(self._problem_of(answer))
        if answer.status != http.HTTPStatus.OK:
            raise HopError(self._problem_of(answer))
        if entry.size and not answer.length:
            raise SourceConnectionError(f"{self.endpoint} sent a range without a length")

    def _problem_of(self, answer: http.client.HTTPResponse) -> Problem:
        try:
            return Problem.model_validate_json(answer.read(wire.MAX_LINE_BYTES))
        except ValidationError:
            return problems.SOURCE_MISBEHAVED.problem(
                endpoint=self.endpoint, reason=f"HTTP status {answer.status}"
            )

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        """Raise SourceConnectionError for connection errors, and HopError for protocol errors."""
        try:
            yield
        except wire.ProtocolError as error:
            raise HopError(
                problems.SOURCE_MISBEHAVED.problem(endpoint=self.endpoint, reason=error)
            ) from error
        except (OSError, http.client.HTTPException) as error:
            raise SourceConnectionError(f"{self.endpoint}: {describe_error(error)}") from error


class _DirectResponse(http.client.HTTPResponse):
    """An HTTP response that reads directly from the TLS connection.

    Through the socket's file object, each record of 16 KiB takes three calls, which is a twentieth of the
    total time of a large file.
    """

    def __init__(self, sock: Any, *more: Any, **named: Any) -> None:
        super().__init__(sock, *more, **named)
        self.fp = io.BufferedReader(_TlsReader(sock, self.fp))

    def _read_next_chunk_size(self) -> int:
        """Return the length of the next chunk; http.client itself would also take a negative one."""
        length: int = super()._read_next_chunk_size()  # type: ignore[misc]
        if length < 0:
            raise ValueError(f"a chunk of {length} bytes")  # as for one that is not a number
        return length


class _TlsReader(io.RawIOBase):
    def __init__(self, connection: ssl.SSLSocket, file: io.BufferedIOBase) -> None:
        """Read from `connection`; `file` keeps the connection open while the response is read."""
        self._connection = connection
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._connection.read(len(buffer), buffer)  # type: ignore[return-value]

    def close(self) -> None:
        self._file.close()
        super().close()


def _read_lines(answer: http.client.HTTPResponse) -> Iterator[list[object]]:
    """Yield the parsed lines of a manifest as they arrive.

    Lines that arrive together are parsed together, which takes a quarter of the time.
    """
    partial_line, size = [], 0
    while block := answer.read1(BLOCK_BYTES):
        partial_line.append(block)
        size += len(block)
        if size > wire.MAX_LINE_BYTES + BLOCK_BYTES:
            raise wire.ProtocolError("a manifest line is too long")
        if b"\n" in block:
            *lines, rest = b"".join(partial_line).split(b"\n")
            partial_line, size = [rest], len(rest)
            yield from _parse_lines(lines)
    if size:
        raise wire.ProtocolError("the manifest ends within a line")


def _algorithm(name: str | None) -> str | None:
    """Return the name of a congestion control if it is one: people see it."""
    return name if name and re.fullmatch(r"[a-z0-9_-]{1,15}", name) else None


def _require_end(lines: Iterator[list[object]]) -> None:
    if next(lines, None) is not None:
        raise wire.ProtocolError("the manifest continues after its last line")


def _parse_lines(lines: Sequence[bytes]) -> list[list[object]]:
    try:
        joined = b"[%b]" % b",".join(lines)
        parsed: list[list[object]] = json.loads(
            joined.decode()
        )  # decoded here, since json would guess the encoding
    except (ValueError, RecursionError) as error:
        raise wire.ProtocolError("a manifest line is not JSON") from error
    if len(parsed) != len(lines) or not all(isinstance(fields, list) for fields in parsed):
        raise wire.ProtocolError("a manifest line is not a JSON array")
    return parsed


def _require_count(fields: list[object], count: int) -> None:
    if fields != [wire.END, count]:
        raise wire.ProtocolError(f"the manifest ends with {fields} after {count} entries")


def _unpack(entry: FileEntry, data: memoryview, start: int) -> tuple[PackedFile, int]:
    """Return the file that starts at this offset of a pack, and the offset of the next one."""
    begin = start + wire.PACK_HEADER_BYTES
    head, end = bytes(data[start:begin]), begin + entry.size
    if len(head) != wire.PACK_HEADER_BYTES:
        raise SourceConnectionError("the source closed the connection within a pack")
    if head[:1] != wire.OK:
        return PackedFile(entry, problem=_not_readable(head[:1], entry)), begin
    if len(data) < end:
        raise SourceConnectionError("the source closed the connection within a file of a pack")
    return PackedFile(entry, data[begin:end], head[1:]), end


def _parse_digests(entry: FileEntry, received: bytes) -> PackedFile:
    state, digests = received[-1:], received[:-1]
    if state != wire.OK:
        return PackedFile(entry, problem=_not_readable(state, entry))
    pieces = range(0, len(digests), DIGEST_BYTES)
    return PackedFile(entry, digest=file_digest(digests[start : start + DIGEST_BYTES] for start in pieces))


def _not_deleted(state: bytes, entry: FileEntry) -> Problem:
    kinds = {wire.SAME: problems.SAME_FILE, wire.CHANGED: problems.SOURCE_KEPT_CHANGED}
    return kinds.get(state, problems.SOURCE_KEPT_UNDELETABLE).problem(path=entry.path)


def _not_readable(state: bytes, entry: FileEntry) -> Problem:
    return _UNREAD.get(state, problems.SOURCE_UNREADABLE).problem(path=entry.path)


_UNREAD = {
    wire.CHANGED: problems.SOURCE_CHANGED,
    wire.MISSING: problems.SOURCE_VANISHED,
    wire.DENIED: problems.SOURCE_PERMISSION_DENIED,
    wire.REPLACED: problems.REPLACED_BY_SPECIAL_FILE,
}


def _refusal(fields: list[object]) -> Problem:
    try:
        return Problem.model_validate(fields[1])
    except (IndexError, ValidationError) as error:
        raise wire.ProtocolError("a refusal has no problem") from error
