"""The destination's side of a connection, whoever dialled: asks, and believes nothing it is told unseen."""

import http.client
import io
import json
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pydantic import ValidationError

from agent.errors import HopError, display_path
from agent.files.digests import CHUNK_BYTES, DIGEST_BYTES, file_digest, range_count
from agent.files.listing import FileEntry, Selection
from agent.files.same_place import one_thing
from agent.lane import sparse_ranges, wire
from agent.lane.dialer import describe_error
from agent.lane.sockets import has_no_data, shut_down
from agent.pull.source import FileError, Hole, PackedFile, Sink, SourceConnectionError, changed
from events.base import Problem
from events.reports import PREVIOUS_HOP_RESTS

READ_TIMEOUT_S = 120.0
"""Seconds that the source may be silent; it may have a slow disk."""

BLOCK_BYTES = 64 * 1024
_NOT_SERVED = 401
_NOT_AVAILABLE = {404, 409}


class LaneClient:
    """HTTP on one connection, one request after the other."""

    def __init__(
        self, connection: ssl.SSLSocket, endpoint: str, hop_id: str, token: str, piece: int = CHUNK_BYTES
    ) -> None:
        """`endpoint`: the address that was dialled. `piece`: bytes of a range that are handed on at once."""
        connection.settimeout(READ_TIMEOUT_S)
        self._piece = piece
        self._socket = connection
        self.endpoint = endpoint
        self._http = http.client.HTTPConnection(endpoint)
        self._http.auto_open = 0  # it would dial again by itself, without TLS
        self._http.sock = connection
        self._http.response_class = _Answer
        self._answer: http.client.HTTPResponse | None = None
        """The last one: one without a length has the connection for itself, and closes it."""
        self._hop_id = hop_id
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def greet(self, within: float) -> None:
        """Make sure that the source is there and serves this hop to us, by asking for no files at all, which
        every version understands. OSError, LostError or HopError, also when that takes longer."""
        self._socket.settimeout(within)
        try:
            answer = self._request("pack", wire.pack_request(()))
        except http.client.HTTPException as error:
            raise SourceConnectionError(describe_error(error)) from error
        if answer.status == _NOT_SERVED:
            raise SourceConnectionError(self._problem(answer).message)
        if answer.status != http.HTTPStatus.OK:
            raise HopError(self._problem(answer))
        if answer.read(1):
            raise HopError(_strange(self.endpoint, "something, when asked for nothing"))
        self._socket.settimeout(READ_TIMEOUT_S)

    @property
    def is_quiet(self) -> bool:
        """Is it good for another question? A source that has hung up, or talks unasked, is not."""
        return has_no_data(self._socket)

    def manifest(self, meant: Selection) -> Iterator[FileEntry]:
        """HopError if the source has nothing to begin with; LostError before the end."""
        return self._listing("manifest", meant)

    def list_incremental(self, meant: Selection) -> Iterator[FileEntry]:
        """The same of what another hop is bringing to the source. HopError, too, if that hop rests."""
        return self._listing("arriving", meant)

    def _listing(self, verb: str, meant: Selection) -> Iterator[FileEntry]:
        with self._guarded():
            answer = self._ask(verb, wire.manifest_request(meant))
            if answer.status != http.HTTPStatus.OK:
                raise HopError(self._problem(answer))
            lines, count = _lines(answer), 0
            for fields in lines:
                match fields[0] if fields else None:
                    case wire.END:
                        _must_agree(fields, count)
                        _must_be_over(lines)
                        return answer.close()  # of a known length, it does not know that it has ended
                    case wire.KEEPALIVE:
                        continue
                    case wire.UPSTREAM_PAUSED:
                        raise HopError(_upstream_paused(self.endpoint))
                    case wire.REFUSED:
                        raise HopError(_refused(fields))
                yield wire.read_entry(fields)
                count += 1
            raise SourceConnectionError(f"{self.endpoint} ended its listing early")

    def range(self, entry: FileEntry, start: int, length: int, sink: Sink, hole: Hole | None = None) -> bytes:
        """The digest that the source says the bytes have. LostError, FileError."""
        body = {"path": entry.path, "size": entry.size, "mtime_ns": entry.mtime_ns}
        holes = {"holes": True} if hole and entry.sparse else {}
        with self._guarded():
            answer = self._ask("range", body | {"start": start, "length": length} | holes)
            self._must_be_ok(answer, entry)
            if holes and hole and answer.getheader("Content-Type") == sparse_ranges.MEDIA_TYPE:
                self._parts(answer, start, length, sink, hole)
            else:
                self._data(answer, length, sink)
            digest = answer.read(DIGEST_BYTES + 1)
        if len(digest) != DIGEST_BYTES:
            raise SourceConnectionError(f"{self.endpoint} ended a range without its digest")
        return digest

    def _data(self, answer: http.client.HTTPResponse, length: int, sink: Sink) -> None:
        buffer = memoryview(bytearray(min(self._piece, length)))
        while length:
            count = answer.readinto(buffer[:length])
            if not count:
                raise SourceConnectionError(f"{self.endpoint} ended in the middle of a range")
            sink(buffer[:count])
            length -= count

    def _parts(
        self, answer: http.client.HTTPResponse, start: int, length: int, sink: Sink, hole: Hole
    ) -> None:
        """Of a sparse file: what lies between the parts does not travel."""
        end = start + length
        for begin, size in [*sparse_ranges.read(answer.read, start, length), (end, 0)]:
            if begin > start:
                hole(begin - start)
            self._data(answer, size, sink)
            start = begin + size

    def pack(self, wanted: Sequence[FileEntry]) -> Iterator[PackedFile]:
        with self._guarded():
            answer = self._ask_raw("pack", wire.pack_request(wanted))
            if answer.status != http.HTTPStatus.OK:
                raise HopError(self._problem(answer))
            data = memoryview(answer.read(wire.pack_size(wanted) + 1))
        start = 0
        for entry in wanted:
            packed, start = _unpacked(entry, data, start)
            yield packed

    def digests(self, wanted: Sequence[FileEntry]) -> Iterator[PackedFile]:
        with self._guarded():
            answer = self._ask_raw("digests", wire.pack_request(wanted))
            if answer.status != http.HTTPStatus.OK:
                raise HopError(self._problem(answer))
            for entry in wanted:
                count = range_count(entry.size)
                told = answer.read(count * DIGEST_BYTES + 1)
                if len(told) != count * DIGEST_BYTES + 1:
                    raise SourceConnectionError(f"{self.endpoint} ended in the middle of a file's digests")
                yield _checked(entry, told)

    def clear(self, gone: Sequence[FileEntry], mark: str, name: str) -> Iterator[Problem | None]:
        states = self._states("clear", wire.clear_request(gone, mark, name), len(gone))
        for entry, state in zip(gone, states, strict=True):
            yield None if bytes([state]) == wire.OK else _require_owned(bytes([state]), entry)

    def shows(self, mark: str, folders: Sequence[str]) -> bool:
        return any(self._states("shows", wire.shows_request(mark, folders), len(folders)))

    def _states(self, verb: str, body: bytes, count: int) -> bytes:
        """A byte for each thing that was asked about."""
        with self._guarded():
            answer = self._ask_raw(verb, body)
            if answer.status == http.HTTPStatus.NOT_FOUND:
                raise HopError(_too_old(self.endpoint))
            if answer.status != http.HTTPStatus.OK:
                raise HopError(self._problem(answer))
            states = answer.read(count + 1)
        if len(states) != count:
            raise SourceConnectionError(f"{self.endpoint} did not tell what became of each thing")
        return states

    def interrupt(self) -> None:
        """From any thread."""
        shut_down(self._socket)

    def close(self) -> None:
        if self._answer:
            self._answer.close()
        self._http.close()
        self._socket.close()

    def _ask(self, verb: str, body: dict[str, object]) -> http.client.HTTPResponse:
        return self._ask_raw(verb, wire.dump(body))

    def _request(self, verb: str, body: bytes) -> http.client.HTTPResponse:
        self._http.request("POST", f"/hops/{self._hop_id}/{verb}", body, self._headers)
        self._answer = self._http.getresponse()
        return self._answer

    def _ask_raw(self, verb: str, body: bytes) -> http.client.HTTPResponse:
        answer = self._request(verb, body)
        if answer.status == _NOT_SERVED:
            raise SourceConnectionError(f"{self.endpoint}: {self._problem(answer).message}")
        return answer

    def _must_be_ok(self, answer: http.client.HTTPResponse, entry: FileEntry) -> None:
        if answer.status in _NOT_AVAILABLE:
            raise FileError(self._problem(answer))
        if answer.status != http.HTTPStatus.OK:
            raise HopError(self._problem(answer))
        if entry.size and not answer.length:
            raise SourceConnectionError(f"{self.endpoint} does not say how long a range is")

    def _problem(self, answer: http.client.HTTPResponse) -> Problem:
        try:
            return Problem.model_validate_json(answer.read(wire.MAX_LINE_BYTES))
        except ValidationError:
            return _strange(self.endpoint, f"HTTP status {answer.status}")

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Whatever breaks on the way is LostError; a source that talks nonsense ends the hop."""
        try:
            yield
        except wire.ProtocolError as error:
            raise HopError(_strange(self.endpoint, str(error))) from error
        except (OSError, http.client.HTTPException) as error:
            raise SourceConnectionError(f"{self.endpoint}: {describe_error(error)}") from error


class _Answer(http.client.HTTPResponse):
    """Its bytes come straight from TLS: by way of a socket's file, each record of 16 KiB is asked for three
    times over, a twentieth of all the time that a long file takes."""

    def __init__(self, sock: Any, *more: Any, **named: Any) -> None:
        super().__init__(sock, *more, **named)
        self.fp = io.BufferedReader(_Straight(sock, self.fp))


class _Straight(io.RawIOBase):
    def __init__(self, connection: ssl.SSLSocket, file: io.BufferedIOBase) -> None:
        """`file` keeps the connection open when it has been closed meanwhile."""
        self._connection = connection
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._connection.read(len(buffer), buffer)  # type: ignore[return-value]

    def close(self) -> None:
        self._file.close()
        super().close()


def _lines(answer: http.client.HTTPResponse) -> Iterator[list[object]]:
    """What a manifest's lines say, as they come: those that have come together are parsed together, which
    takes a quarter of the time."""
    begun, size = [], 0
    while block := answer.read1(BLOCK_BYTES):
        begun.append(block)
        size += len(block)
        if size > wire.MAX_LINE_BYTES + BLOCK_BYTES:
            raise wire.ProtocolError("a line of its manifest has no end")
        if b"\n" in block:
            *lines, rest = b"".join(begun).split(b"\n")
            begun, size = [rest], len(rest)
            yield from _parsed(lines)
    if size:
        raise wire.ProtocolError("its manifest ends in the middle of a line")


def _must_be_over(lines: Iterator[list[object]]) -> None:
    if next(lines, None) is not None:
        raise wire.ProtocolError("its manifest goes on behind its end")


def _parsed(lines: Sequence[bytes]) -> list[list[object]]:
    try:
        together = b"[%b]" % b",".join(lines)
        parsed: list[list[object]] = json.loads(together.decode())  # told the encoding, it need not guess
    except (ValueError, RecursionError) as error:
        raise wire.ProtocolError("a line of its manifest is no JSON") from error
    if len(parsed) != len(lines) or not all(isinstance(fields, list) for fields in parsed):
        raise wire.ProtocolError("a line of its manifest is no list")
    return parsed


def _must_agree(fields: list[object], count: int) -> None:
    if fields != [wire.END, count]:
        raise wire.ProtocolError(f"its manifest ends with {fields}, after {count} entries")


def _unpacked(entry: FileEntry, data: memoryview, start: int) -> tuple[PackedFile, int]:
    """The file of a pack that starts there, and where the next one does."""
    begin = start + wire.PACK_HEADER_BYTES
    head, end = bytes(data[start:begin]), begin + entry.size
    if len(head) != wire.PACK_HEADER_BYTES:
        raise SourceConnectionError("a pack ended early")
    if head[:1] != wire.OK:
        return PackedFile(entry, problem=_not_packed(head[:1], entry)), begin
    if len(data) < end:
        raise SourceConnectionError("a pack ended in the middle of a file")
    return PackedFile(entry, data[begin:end], head[1:]), end


def _checked(entry: FileEntry, told: bytes) -> PackedFile:
    state, digests = told[-1:], told[:-1]
    if state != wire.OK:
        return PackedFile(entry, problem=_not_packed(state, entry))
    pieces = range(0, len(digests), DIGEST_BYTES)
    return PackedFile(entry, digest=file_digest(digests[start : start + DIGEST_BYTES] for start in pieces))


def _require_owned(state: bytes, entry: FileEntry) -> Problem:
    name = display_path(entry.path)
    if state == wire.SAME:
        return one_thing(entry.path)
    if state == wire.CHANGED:
        words, advice = "changed after it was read, and stays at the source", "Move it again."
    else:
        words, advice = "arrived, but could not be removed", "Let the source's agent write there."
    return Problem(code="source-kept", message=f"{name} {words}.", advice=advice, path=name)


def _not_packed(state: bytes, entry: FileEntry) -> Problem:
    name = display_path(entry.path)
    if state == wire.CHANGED:
        return changed(name).problem
    if state == wire.MISSING:
        code, words, advice = (
            "source-vanished",
            "went away while it was to be read",
            "Nothing, if that was meant.",
        )
    else:
        code, words, advice = "permission-denied", "cannot be read", "Give the source's agent access to it."
    return Problem(code=code, message=f"{name} {words}.", advice=advice, path=name)


def _refused(fields: list[object]) -> Problem:
    try:
        return Problem.model_validate(fields[1])
    except (IndexError, ValidationError) as error:
        raise wire.ProtocolError("it refuses without a reason") from error


def _too_old(endpoint: str) -> Problem:
    return Problem(
        code="source-too-old",
        message=f"The agent at {endpoint} cannot tell whether source and destination share a directory, so "
        "nothing was removed. Everything has arrived.",
        advice="Update the source's agent, then retry.",
    )


def _upstream_paused(endpoint: str) -> Problem:
    return Problem(
        code=PREVIOUS_HOP_RESTS,
        message=f"The hop that brings these files to {endpoint} is not at work.",
        advice="Nothing: this hop goes on as soon as that one does.",
        retryable=True,
    )


def _strange(endpoint: str, what: str) -> Problem:
    return Problem(
        code="source-misbehaved",
        message=f"The agent at {endpoint} said what no agent should: {what}.",
        advice="See that both agents have the same version, and look into the source's log.",
    )
