"""The source's side of the lane: lets in the peers it serves now, and reads to them what it was told to."""

import json
import logging
import os
import socket
import ssl
import sys
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import xxhash

from agent.digests import DIGEST_SIZE, RANGE, digest_of
from agent.errors import HopError, problem_of
from agent.lane import wire
from agent.lane.grants import Grant, Grants
from agent.lane.identity import Identity
from agent.listing import entries, open_source
from agent.roots import Roots, Tree
from events.base import Problem
from events.commands import Serve

log = logging.getLogger(__name__)

HANDSHAKE_WITHIN = 10.0
IDLE_FOR = 120.0
"""Seconds a connection may be silent."""
BLOCK = 64 * 1024
PIECE = 256 * 1024
"""Bytes sent at once: as many must go within `IDLE_FOR`, however slow the line."""


class LaneServer:
    """Listens on one port for everyone."""

    def __init__(self, identity: Identity, roots: Roots, listen: tuple[str, int]) -> None:
        self._roots = roots
        self._listen = listen
        self.grants = Grants(identity)
        self._live: defaultdict[str, set[socket.socket]] = defaultdict(set)
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._server: _Listener | None = None

    def start(self) -> None:
        """Listen, in threads of its own; OSError if the port cannot be had."""
        self._server = _Listener(self, self._listen)
        threading.Thread(target=self._server.serve_forever, name="lane", daemon=True).start()

    def stop(self) -> None:
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            with self._lock:
                self._hang_up(self._open)

    @property
    def port(self) -> int:
        """The one that was given, or the one that was free when it was 0."""
        return int(self._server.server_address[1]) if self._server else self._listen[1]

    def allow(self, serve: Serve, token: str) -> None:
        """Let the peer read. HopError if the path is outside the roots, or the peer's certificate is none."""
        self._roots.tree(serve.path, writing=False).close()
        try:
            self.grants.add(serve, token)
        except ValueError as error:
            raise HopError(_no_certificate(serve)) from error

    def revoke(self, hop_id: str) -> None:
        """No longer; who is reading is cut off."""
        self.grants.remove(hop_id)
        with self._lock:
            self._hang_up(self._live.pop(hop_id, set()))

    def tree(self, serve: Serve) -> Tree:
        return self._roots.tree(serve.path, writing=False)

    @contextmanager
    def serving(self, hop_id: str, connection: socket.socket) -> Iterator[None]:
        """Remember who reads for this hop, so that `revoke` can cut it off."""
        with self._lock:
            self._live[hop_id].add(connection)
        try:
            yield
        finally:
            with self._lock:
                self._live[hop_id].discard(connection)
                if not self._live[hop_id]:
                    del self._live[hop_id]

    @contextmanager
    def connected(self, connection: socket.socket) -> Iterator[None]:
        """Remember who is connected at all, so that `stop` can hang up."""
        with self._lock:
            self._open.add(connection)
        try:
            yield
        finally:
            with self._lock:
                self._open.discard(connection)

    @staticmethod
    def _hang_up(connections: Iterable[socket.socket]) -> None:
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, lane: LaneServer, listen: tuple[str, int]) -> None:
        self.lane = lane
        self.address_family = socket.AF_INET6 if ":" in listen[0] else socket.AF_INET
        super().__init__(listen, _Handler)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """On the connection's own thread: the handshake first, so that nobody waits for another's."""
        request.settimeout(HANDSHAKE_WITHIN)
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            secured = self.lane.grants.context.wrap_socket(request, server_side=True)
        except OSError as error:  # ssl.SSLError is one
            log.info("lane refused", extra={"peer": client_address[0], "reason": str(error)})
            return
        with secured, self.lane.connected(secured):
            _Handler(secured, client_address, self)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the base's names
        peer = {"peer": client_address[0]}
        if isinstance(sys.exception(), OSError):
            log.info("lane connection broke", extra=peer)
        else:
            log.exception("lane connection broke", extra=peer)


class _Refusal(Exception):  # noqa: N818  # an answer
    def __init__(self, status: int, problem: Problem) -> None:
        super().__init__(problem.message)
        self.status, self.problem = status, problem


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = IDLE_FOR
    server: _Listener
    connection: ssl.SSLSocket

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base's name
        """Nothing: one line a request would be thousands a second."""

    def handle(self) -> None:
        with suppress(OSError):  # the peer went away
            super().handle()

    def do_POST(self) -> None:
        try:
            body = self._body()
            hop_id, verb = self._target()
            grant = self._grant(hop_id)
            lane = self.server.lane
            with lane.serving(hop_id, self.connection), lane.tree(grant.serve) as tree:
                self._serve(verb, grant, tree, _parsed(body))
        except _Refusal as refusal:
            self._answer(refusal.status, refusal.problem.model_dump_json().encode())
        except HopError as error:
            self._answer(403, error.problem.model_dump_json().encode())

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > wire.MAX_BODY:
            self.close_connection = True  # what follows cannot be told from the next request
            raise _Refusal(413, _malformed("a body of a known, small size is needed"))
        return self.rfile.read(int(length))

    def _target(self) -> tuple[str, str]:
        _, *parts = self.path.split("/")
        if len(parts) != 3 or parts[0] != "hops":
            raise _Refusal(404, _malformed("there is no such path"))
        return parts[1], parts[2]

    def _grant(self, hop_id: str) -> Grant:
        """The same answer for a hop that is not served and for a wrong token."""
        grant = self.server.lane.grants.get(hop_id)
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if grant is None or not grant.admits(token, self.connection.getpeercert(binary_form=True)):
            raise _Refusal(401, _not_served(hop_id))
        return grant

    def _serve(self, verb: str, grant: Grant, tree: Tree, body: dict[str, Any]) -> None:
        serve = {"manifest": self._manifest, "range": self._range, "pack": self._pack}.get(verb)
        if serve is None:
            raise _Refusal(404, _malformed("there is no such path"))
        try:
            serve(grant, tree, body)
        except (KeyError, TypeError, ValueError) as error:
            raise _Refusal(400, _malformed(f"the body has another shape: {error}")) from error

    def _manifest(self, grant: Grant, tree: Tree, body: dict[str, Any]) -> None:
        selection = None if body["selection"] is None else tuple(body["selection"])
        if not all(wire.is_inside(path) and path for path in selection or ()):
            raise _Refusal(400, _malformed("a selected path leads somewhere else"))
        found = entries(tree, body["symlinks"], selection)
        try:
            first = next(found, None)
        except OSError as error:
            raise _Refusal(404, problem_of(error, grant.serve.path)) from error
        if first and first.kind != "d" and selection is None and grant.serve.path.endswith("/"):
            raise _Refusal(404, problem_of(NotADirectoryError(20, ""), grant.serve.path))
        self._head(200, "application/x-ndjson", None)
        count = 0
        pending = bytearray()
        while first:
            pending += wire.entry_line(first)
            count += 1
            if len(pending) > BLOCK:
                self._chunk(pending)
                pending.clear()
            first = next(found, None)
        self._chunk(pending + wire.dump([wire.END, count]) + b"\n")
        self._chunk(b"")

    def _range(self, _grant: Grant, tree: Tree, body: dict[str, Any]) -> None:
        """The bytes and their digest; if the file changes meanwhile, the connection ends without it."""
        start, length = int(body["start"]), int(body["length"])
        if start < 0 or not 0 <= length <= RANGE:
            raise _Refusal(400, _malformed("a range is too long"))
        descriptor = self._opened(tree, body["path"], body["size"], body["mtime_ns"])
        try:
            self._head(200, "application/octet-stream", length + DIGEST_SIZE)
            digest = _send(self.connection, descriptor, start, length)
            if digest is None or _is_other(descriptor, body["size"], body["mtime_ns"]):
                self.close_connection = True
                return
            self.connection.sendall(digest)
        finally:
            os.close(descriptor)

    def _opened(self, tree: Tree, path: str, size: int, mtime_ns: int) -> int:
        if not wire.is_inside(path):
            raise _Refusal(400, _malformed("the path leads somewhere else"))
        try:
            descriptor = open_source(tree, path)
        except OSError as error:
            raise _Refusal(404, problem_of(error, tree.name(path))) from error
        if _is_other(descriptor, size, mtime_ns):
            os.close(descriptor)
            raise _Refusal(409, _changed(tree.name(path)))
        return descriptor

    def _pack(self, _grant: Grant, tree: Tree, body: dict[str, Any]) -> None:
        files = body["files"]
        if len(files) > wire.PACK_FILES or sum(int(size) for _, size, _ in files) > 2 * wire.PACK_BYTES:
            raise _Refusal(400, _malformed("a pack is too large"))
        parts = [part for path, size, mtime_ns in files for part in _packed(tree, path, size, mtime_ns)]
        answer = memoryview(b"".join(parts))
        self._head(200, "application/octet-stream", len(answer))
        for start in range(0, len(answer), PIECE):
            self.connection.sendall(answer[start : start + PIECE])

    def _head(self, status: int, kind: str, length: int | None) -> None:
        self.send_response_only(status)
        self.send_header("Content-Type", kind)
        if length is None:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def _chunk(self, data: bytes | bytearray) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), bytes(data)))

    def _answer(self, status: int, body: bytes) -> None:
        self._head(status, "application/problem+json", len(body))
        self.wfile.write(body)


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError as error:
        raise _Refusal(400, _malformed("the body is no JSON")) from error
    if not isinstance(found, dict):
        raise _Refusal(400, _malformed("the body is no object"))
    return found


def _send(connection: socket.socket, descriptor: int, start: int, length: int) -> bytes | None:
    """Send the range; its digest, or None if the file ended early."""
    state, buffer, end = xxhash.xxh3_128(), memoryview(bytearray(PIECE)), start + length
    while start < end:
        count = os.preadv(descriptor, [buffer[: end - start]], start)
        if not count:
            return None
        state.update(buffer[:count])
        connection.sendall(buffer[:count])
        start += count
    return state.digest()


def _is_other(descriptor: int, size: int, mtime_ns: int) -> bool:
    found = os.fstat(descriptor)
    return (found.st_size, found.st_mtime_ns) != (size, mtime_ns)


def _packed(tree: Tree, path: str, size: int, mtime_ns: int) -> Iterator[bytes]:
    """Head and bytes of one small file; of one that cannot be had, the head only."""
    nothing = bytes(DIGEST_SIZE)
    if not wire.is_inside(path):
        raise _Refusal(400, _malformed("a path leads somewhere else"))
    try:
        descriptor = open_source(tree, path)
    except FileNotFoundError:
        yield wire.MISSING + nothing
        return
    except OSError:
        yield wire.UNREADABLE + nothing
        return
    try:
        data = b"" if _is_other(descriptor, size, mtime_ns) else os.read(descriptor, size)
        if len(data) != size or _is_other(descriptor, size, mtime_ns):
            yield wire.CHANGED + nothing
        else:
            yield wire.OK + digest_of(data)
            yield data
    except OSError:
        yield wire.UNREADABLE + nothing
    finally:
        os.close(descriptor)


def _malformed(words: str) -> Problem:
    return Problem(code="malformed", message=f"The lane does not understand this: {words}.")


def _changed(path: str) -> Problem:
    return Problem(code="source-changed", message=f"{path} has changed since it was listed.", path=path)


def _not_served(hop_id: str) -> Problem:
    words = f"Hop {hop_id[:40]} is not served here, or not to you, or not any more."
    return Problem(code="not-served", message=words, retryable=True)


def _no_certificate(serve: Serve) -> Problem:
    return Problem(
        code="peer-certificate",
        message=f"The lane certificate of {serve.peer.agent_id} cannot be read.",
        advice="Register that agent again.",
    )
