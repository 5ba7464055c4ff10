"""What a push puts out for rclone: one hop's files, over HTTP on loopback, behind a secret in the address."""

import hmac
import logging
import os
import re
import secrets
from collections.abc import Callable
from email.utils import formatdate
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from urllib.parse import unquote_to_bytes

import xxhash

from agent.errors import problem_of
from agent.files.digests import CHUNK_BYTES, RANGE_BYTES, file_digest, read_digest
from agent.files.listing import FileEntry, open_source
from agent.files.roots import Tree
from agent.pull.bandwidth import RateLimiter
from agent.pull.failures import Failures
from agent.pull.ledger import Ledger
from agent.pull.progress import ProgressCounter
from agent.pull.source import changed
from agent.rclone.loopback_server import LoopbackServer, QuietHandler
from events.base import Problem

log = logging.getLogger(__name__)

_FROM = re.compile(r"bytes=(\d+)-")


class SourceFileServer:
    """Serves what the ledger has listed, as long as it is as it was listed, and notes what was read."""

    def __init__(
        self,
        tree: Callable[[], Tree],
        ledger: Ledger,
        limiter: RateLimiter,
        tally: ProgressCounter,
        failures: Failures,
        single: str | None,
    ) -> None:
        """`tree` makes one for each request; `single` is the name that stands for the place itself."""
        self.tree = tree
        self.ledger = ledger
        self.limiter = limiter
        self.tally = tally
        self.failures = failures
        self._single = single
        self._secret = secrets.token_urlsafe(32)
        self._server = LoopbackServer(_Handler, self, "shelf")

    @property
    def url(self) -> str:
        return f"{self._server.url}{self._secret}/"

    def close(self) -> None:
        self._server.close()

    def path(self, target: str) -> str | None:
        """The file that a request's target means; None without the secret."""
        secret, _, path = target.lstrip("/").partition("/")
        if not hmac.compare_digest(secret.encode(), self._secret.encode()):
            return None
        name = os.fsdecode(unquote_to_bytes(path))
        return "" if name == self._single else name


class _Handler(QuietHandler, BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: LoopbackServer[SourceFileServer]

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = self.server.of.path(self.path)
        if path is None:
            return self._refuse(HTTPStatus.FORBIDDEN)
        with self.server.of.tree() as tree:
            try:
                descriptor = open_source(tree, path)
            except OSError as error:
                return self._fail(HTTPStatus.NOT_FOUND, problem_of(error, tree.name(path)), path)
            try:
                self._show(descriptor, path, tree.name(path))
            finally:
                os.close(descriptor)
        return None

    def _show(self, descriptor: int, path: str, name: str) -> None:
        entry = _as_it_is(descriptor, path)
        known = self.server.of.ledger.known(entry)
        if known is None:
            return self._fail(HTTPStatus.CONFLICT, changed(name).problem, path)
        start = self._start()
        if start > entry.size:
            return self._refuse(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
        self._head(entry, start)
        if self.command == "GET":
            self._send(_FileResponse(self.server.of, entry, descriptor, name), start, again=known == "done")
        return None

    def _start(self) -> int:
        asked = _FROM.match(self.headers.get("Range", ""))
        return int(asked[1]) if asked else 0

    def _head(self, entry: FileEntry, start: int) -> None:
        self.send_response(HTTPStatus.PARTIAL_CONTENT if start else HTTPStatus.OK)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{entry.size - 1}/{entry.size}")
        self.send_header("Content-Length", str(entry.size - start))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Last-Modified", formatdate(entry.mtime_ns / 1e9, usegmt=True))
        self.end_headers()

    def _send(self, sending: "_FileResponse", start: int, *, again: bool) -> None:
        try:
            sending.send(self.wfile.write, start, again=again)
        except OSError:  # rclone went away, or the file did not stay as it was
            self.close_connection = True

    def _fail(self, status: HTTPStatus, problem: Problem, path: str) -> None:
        self.server.of.failures.add(problem, FileEntry("f", path))
        self._refuse(status)

    def _refuse(self, status: HTTPStatus) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()


class _FileResponse:
    """One file on its way to rclone."""

    def __init__(self, shelf: SourceFileServer, entry: FileEntry, descriptor: int, name: str) -> None:
        self._shelf = shelf
        self._entry = entry
        self._descriptor = descriptor
        self._name = name

    def send(self, write: Callable[[memoryview], object], start: int, *, again: bool) -> None:
        """From `start` to the end. The last bytes go only if the file is still as it was listed: what was
        sent in vain is OSError."""
        entry, tally = self._entry, self._shelf.tally
        if again:
            tally.subtract(entry.size)
        if start:
            tally.add_existing(start)
        tally.set_current(entry.path)
        position, digests = start, _RangeDigests()
        buffer = memoryview(bytearray(CHUNK_BYTES))
        try:
            while position < entry.size:
                count = os.preadv(self._descriptor, [buffer[: entry.size - position]], position)
                self._must_be_unchanged(count)
                self._await_turn(count)
                write(buffer[:count])
                digests.update(buffer[:count])
                position += count
                tally.add_bytes(count)
            self._must_be_unchanged(1)
        except OSError:
            tally.subtract(position)
            raise
        self._note(read_digest(self._descriptor, entry.size) if start else digests.digest(), again=again)

    def _await_turn(self, count: int) -> None:
        """When all is stopped rclone is being ended, and must not get through before."""
        self._shelf.limiter.take(count)
        if self._shelf.limiter.is_stopped:
            raise OSError("stopped")

    def _must_be_unchanged(self, count: int) -> None:
        if not count or _as_it_is(self._descriptor, self._entry.path) != self._entry:
            self._shelf.failures.add(changed(self._name).problem, self._entry)
            raise OSError("changed")

    def _note(self, digest: bytes, *, again: bool) -> None:
        self._shelf.ledger.complete(self._entry, digest)
        if not again:
            self._shelf.tally.finish_file(self._entry.path)


class _RangeDigests:
    """A file's digest, taken while it goes by from beginning to end."""

    def __init__(self) -> None:
        self._done: list[bytes] = []
        self._state = xxhash.xxh3_128()
        self._left = RANGE_BYTES

    def update(self, data: memoryview) -> None:
        while data:
            if not self._left:
                self._done.append(self._state.digest())
                self._state, self._left = xxhash.xxh3_128(), RANGE_BYTES
            piece, data = data[: self._left], data[self._left :]
            self._state.update(piece)
            self._left -= len(piece)

    def digest(self) -> bytes:
        return file_digest([*self._done, self._state.digest()])


def _as_it_is(descriptor: int, path: str) -> FileEntry:
    found = os.fstat(descriptor)
    return FileEntry("f", path, found.st_size, found.st_mtime_ns)
