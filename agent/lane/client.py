"""The destination's side of the lane: dials the source, asks, and believes nothing it is told unseen."""

import http.client
import io
import json
import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from pydantic import ValidationError

from agent.config import split_endpoint
from agent.digests import CHUNK, DIGEST_SIZE, file_digest, ranges_of
from agent.errors import HopError, shown
from agent.lane import wire
from agent.lane.grants import client_context
from agent.lane.identity import Identity
from agent.listing import Entry, Meant
from agent.movers.source import FileError, LostError, Packed, Sink, changed
from events.base import Problem
from events.commands import DirectRoute

DIAL_WITHIN = 5.0
"""Seconds for each address: the connection and the handshake."""
SILENT_FOR = 120.0
"""Seconds that the source may be silent; it may have a slow disk."""

BLOCK = 64 * 1024
_NOT_SERVED = 401
_NOT_SO = {404, 409}


class Dialer:
    """Finds the source at one of its addresses. Safe from any thread."""

    def __init__(self, identity: Identity, route: DirectRoute, hop_id: str) -> None:
        """HopError if the source's certificate cannot be read."""
        self._hop_id = hop_id
        self._endpoints = list(route.endpoints)
        try:
            self._certificate = ssl.PEM_cert_to_DER_cert(route.source.certificate)
            self._context = client_context(identity, route.source.certificate)
        except (ValueError, ssl.SSLError) as error:
            raise HopError(_no_certificate(route.source.agent_id)) from error

    def dial(self) -> tuple[ssl.SSLSocket, str]:
        """A connection to the source itself, and the address at which it was found; LostError names what
        each address answered."""
        answers = []
        for endpoint in list(self._endpoints):
            try:
                connection = self._connect(endpoint)
            except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
                answers.append(f"{endpoint}: {_in_words(error)}")
            else:
                self._prefer(endpoint)
                return connection, endpoint
        raise LostError("; ".join(answers) or "it has told no address")

    def _connect(self, endpoint: str) -> ssl.SSLSocket:
        plain = socket.create_connection(split_endpoint(endpoint), DIAL_WITHIN)
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            secured = self._context.wrap_socket(plain, server_hostname=self._hop_id)
        except BaseException:
            plain.close()
            raise
        if secured.getpeercert(binary_form=True) != self._certificate:
            secured.close()
            raise ssl.SSLError("another agent answers there")
        secured.settimeout(SILENT_FOR)
        return secured

    def _prefer(self, endpoint: str) -> None:
        self._endpoints.sort(key=lambda one: one != endpoint)


class Conversation:
    """HTTP on one connection, one request after the other."""

    def __init__(
        self, connection: ssl.SSLSocket, endpoint: str, hop_id: str, token: str, piece: int = CHUNK
    ) -> None:
        """`piece`: bytes of a range that are handed on at once."""
        self._piece = piece
        self._socket = connection
        self._endpoint = endpoint
        self._http = http.client.HTTPConnection(endpoint)
        self._http.auto_open = 0  # it would dial again by itself, without TLS
        self._http.sock = connection
        self._hop_id = hop_id
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def manifest(self, meant: Meant) -> Iterator[Entry]:
        """HopError if the source has nothing to begin with; LostError before the end."""
        with self._guarded():
            answer = self._ask("manifest", wire.manifest_request(meant))
            if answer.status != http.HTTPStatus.OK:
                raise HopError(self._problem(answer))
            lines = io.BufferedReader(answer, BLOCK)
            for count, line in enumerate(iter(lambda: lines.readline(wire.MAX_LINE), b"")):
                fields = _parsed(line)
                if fields[:1] == [wire.END]:
                    return _must_agree(fields, count)
                yield wire.read_entry(fields)
            raise LostError(f"{self._endpoint} ended its listing early")

    def range(self, entry: Entry, start: int, length: int, sink: Sink) -> bytes:
        """The digest that the source says the bytes have. LostError, FileError."""
        body = {"path": entry.path, "size": entry.size, "mtime_ns": entry.mtime_ns}
        with self._guarded():
            answer = self._ask("range", body | {"start": start, "length": length})
            self._must_be_ok(answer, entry)
            buffer = memoryview(bytearray(min(self._piece, length)))
            while length:
                count = answer.readinto(buffer[:length])
                if not count:
                    raise LostError(f"{self._endpoint} ended in the middle of a range")
                sink(buffer[:count])
                length -= count
            digest = answer.read()
        if len(digest) != DIGEST_SIZE:
            raise LostError(f"{self._endpoint} ended a range without its digest")
        return digest

    def pack(self, wanted: Sequence[Entry]) -> Iterator[Packed]:
        with self._guarded():
            answer = self._ask_raw("pack", wire.pack_request(wanted))
            if answer.status != http.HTTPStatus.OK:
                raise HopError(self._problem(answer))
            data = memoryview(answer.read(wire.pack_size(wanted) + 1))
        for entry in wanted:
            packed, data = _unpacked(entry, data)
            yield packed

    def digests(self, wanted: Sequence[Entry]) -> Iterator[Packed]:
        with self._guarded():
            answer = self._ask_raw("digests", wire.pack_request(wanted))
            if answer.status != http.HTTPStatus.OK:
                raise HopError(self._problem(answer))
            for entry in wanted:
                count = len(ranges_of(entry.size))
                told = answer.read(count * DIGEST_SIZE + 1)
                if len(told) != count * DIGEST_SIZE + 1:
                    raise LostError(f"{self._endpoint} ended in the middle of a file's digests")
                yield _checked(entry, told)

    def remove(self, gone: Sequence[Entry]) -> Iterator[Problem | None]:
        with self._guarded():
            answer = self._ask_raw("remove", wire.remove_request(gone))
            if answer.status != http.HTTPStatus.OK:
                raise HopError(self._problem(answer))
            states = answer.read(len(gone) + 1)
        if len(states) != len(gone):
            raise LostError(f"{self._endpoint} did not tell what became of each file")
        for entry, state in zip(gone, states, strict=True):
            yield None if bytes([state]) == wire.OK else _kept(bytes([state]), entry)

    def interrupt(self) -> None:
        """From any thread. Not by the TLS socket's own `shutdown`: it drops TLS first, and whoever is reading
        would be given what comes in the clear."""
        with suppress(OSError):
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def close(self) -> None:
        self._http.close()
        self._socket.close()

    def _ask(self, verb: str, body: dict[str, object]) -> http.client.HTTPResponse:
        return self._ask_raw(verb, wire.dump(body))

    def _ask_raw(self, verb: str, body: bytes) -> http.client.HTTPResponse:
        self._http.request("POST", f"/hops/{self._hop_id}/{verb}", body, self._headers)
        answer = self._http.getresponse()
        if answer.status == _NOT_SERVED:
            raise LostError(f"{self._endpoint}: {self._problem(answer).message}")
        return answer

    def _must_be_ok(self, answer: http.client.HTTPResponse, entry: Entry) -> None:
        if answer.status in _NOT_SO:
            raise FileError(self._problem(answer))
        if answer.status != http.HTTPStatus.OK:
            raise HopError(self._problem(answer))
        if entry.size and not answer.length:
            raise LostError(f"{self._endpoint} does not say how long a range is")

    def _problem(self, answer: http.client.HTTPResponse) -> Problem:
        try:
            return Problem.model_validate_json(answer.read())
        except ValidationError:
            return _strange(self._endpoint, f"HTTP status {answer.status}")

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Whatever breaks on the way is LostError; a source that talks nonsense ends the hop."""
        try:
            yield
        except wire.Misbehaviour as error:
            raise HopError(_strange(self._endpoint, str(error))) from error
        except (OSError, http.client.HTTPException) as error:
            raise LostError(f"{self._endpoint}: {_in_words(error)}") from error


def _parsed(line: bytes) -> list[object]:
    try:
        fields = json.loads(line)
    except ValueError as error:
        raise wire.Misbehaviour("a line of its manifest is no JSON") from error
    if not isinstance(fields, list):
        raise wire.Misbehaviour("a line of its manifest is no list")
    return fields


def _must_agree(fields: list[object], count: int) -> None:
    if fields != [wire.END, count]:
        raise wire.Misbehaviour(f"its manifest ends with {fields}, after {count} entries")


def _unpacked(entry: Entry, data: memoryview) -> tuple[Packed, memoryview]:
    """The first file of a pack, and the rest of the pack."""
    state, digest = bytes(data[:1]), bytes(data[1 : wire.HEAD_SIZE])
    data = data[wire.HEAD_SIZE :]
    if len(digest) != DIGEST_SIZE:
        raise LostError("a pack ended early")
    if state != wire.OK:
        return Packed(entry, problem=_not_packed(state, entry)), data
    if len(data) < entry.size:
        raise LostError("a pack ended in the middle of a file")
    return Packed(entry, data[: entry.size], digest), data[entry.size :]


def _checked(entry: Entry, told: bytes) -> Packed:
    state, digests = told[-1:], told[:-1]
    if state != wire.OK:
        return Packed(entry, problem=_not_packed(state, entry))
    pieces = range(0, len(digests), DIGEST_SIZE)
    return Packed(entry, digest=file_digest(digests[start : start + DIGEST_SIZE] for start in pieces))


def _kept(state: bytes, entry: Entry) -> Problem:
    name = shown(entry.path)
    if state == wire.CHANGED:
        words, advice = "changed after it was read, and stays at the source", "Move it again."
    else:
        words, advice = "arrived, but could not be removed", "Let the source's agent write there."
    return Problem(code="source-kept", message=f"{name} {words}.", advice=advice, path=name)


def _not_packed(state: bytes, entry: Entry) -> Problem:
    name = shown(entry.path)
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


def _in_words(error: Exception) -> str:
    """`connection refused`, `certificate verify failed`, without numbers."""
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.lower().replace("_", " ")
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()


def _strange(endpoint: str, what: str) -> Problem:
    return Problem(
        code="source-misbehaved",
        message=f"The agent at {endpoint} said what no agent should: {what}.",
        advice="See that both agents have the same version, and look into the source's log.",
    )


def _no_certificate(agent_id: str) -> Problem:
    return Problem(
        code="peer-certificate",
        message=f"The lane certificate of {agent_id} cannot be read.",
        advice="Register that agent again.",
    )
