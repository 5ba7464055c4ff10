"""Serve one hop's files to rclone over HTTP on loopback, behind a secret in the URL."""

import hmac
import logging
import os
import re
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from urllib.parse import unquote_to_bytes

import xxhash

from agent.errors import problem_of
from agent.files.digests import CHUNK_BYTES, RANGE_BYTES, file_digest, read_digest
from agent.files.listing import FileEntry, open_source, stored_ns
from agent.files.roots import Tree
from agent.pull.bandwidth import RateLimiter
from agent.pull.failures import Failures
from agent.pull.ledger import Ledger
from agent.pull.progress import ProgressCounter
from agent.pull.source import changed
from agent.rclone.loopback_server import LoopbackServer, QuietHandler
from agent.rclone.names import from_rclone
from events.base import Problem

log = logging.getLogger(__name__)

LOOKS_BATCH_SIZE = 500
"""Files that rclone has looked at, recorded in the ledger together."""
_RANGE_START = re.compile(r"bytes=(\d+)-")


class SourceFileServer:
    """Serves the files in the ledger while they are as they were listed, and records what rclone has read."""

    def __init__(
        self,
        open_tree: Callable[[], Tree],
        ledger: Ledger,
        limiter: RateLimiter,
        progress: ProgressCounter,
        failures: Failures,
        single_name: str | None,
    ) -> None:
        """Start the server. `open_tree` opens a tree for each request.

        `single_name` is the name under which a single file is served.
        """
        self.open_tree = open_tree
        self.ledger = ledger
        self.limiter = limiter
        self.progress = progress
        self._failures = failures
        self.failed: set[str] = set()
        """Paths of files that could not be served."""
        self._single_name = single_name
        self._looked_at: list[str] = []
        self._lock = threading.Lock()
        self._answering = 0
        """Requests that are being answered."""
        self._is_idle = threading.Condition()
        self._secret = secrets.token_urlsafe(32)
        self._server = LoopbackServer(_Handler, self, "file-server")

    @property
    def url(self) -> str:
        return f"{self._server.url}{self._secret}/"

    def close(self) -> None:
        self._server.close()

    def note_look(self, path: str) -> None:
        """Record in the ledger, in batches, that rclone has looked at a file."""
        with self._lock:
            self._looked_at.append(path)
            if len(self._looked_at) < LOOKS_BATCH_SIZE:
                return
        self._write_looks()

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Let `finish` wait for the request that is answered in this context."""
        with self._is_idle:
            self._answering += 1
        try:
            yield
        finally:
            with self._is_idle:
                self._answering -= 1
                self._is_idle.notify_all()

    def fail(self, problem: Problem, entry: FileEntry) -> None:
        """Record a file's failure, once however often rclone asks for it."""
        with self._lock:
            if entry.path in self.failed:
                return
            self.failed.add(entry.path)
        self._failures.add_problem(problem, entry)
        self.ledger.forget_file(entry.path)

    def finish(self) -> None:
        """Write what is not in the ledger yet, once rclone has ended.

        rclone may end as soon as it has the last byte of an answer, before that is recorded.
        """
        with self._is_idle:
            self._is_idle.wait_for(lambda: not self._answering)
        self._write_looks()

    def _write_looks(self) -> None:
        with self._lock:
            looked_at, self._looked_at = self._looked_at, []
        self.ledger.add_listed(looked_at)

    def path_of(self, target: str) -> str | None:
        """Return the path of the requested file; None if the secret is wrong."""
        secret, _, path = target.lstrip("/").partition("/")
        if not hmac.compare_digest(secret.encode(), self._secret.encode()):
            return None
        requested = os.fsdecode(unquote_to_bytes(path))
        name = from_rclone(requested.removeprefix("./"))  # which Go writes before a first name with a colon
        return "" if name == self._single_name else name


class _Handler(QuietHandler, BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: LoopbackServer[SourceFileServer]

    def do_HEAD(self) -> None:
        with self.server.owner.answering():
            self._answer()

    def do_GET(self) -> None:
        with self.server.owner.answering():
            self._answer()

    def _answer(self) -> None:
        path = self.server.owner.path_of(self.path)
        if path is None:
            return self._refuse(HTTPStatus.FORBIDDEN)
        with self.server.owner.open_tree() as tree:
            try:
                descriptor = open_source(tree, path)
            except OSError as error:
                return self._fail(HTTPStatus.NOT_FOUND, problem_of(error, tree.name(path)), path)
            try:
                self._send_file(descriptor, path, tree.name(path))
            finally:
                os.close(descriptor)
        return None

    def _send_file(self, descriptor: int, path: str, name: str) -> None:
        entry = _current_entry(descriptor, path)
        state = self.server.owner.ledger.known(entry)
        if state is None:
            return self._fail(HTTPStatus.CONFLICT, changed(name).problem, path)
        start = self._start()
        if start > entry.size:
            return self._refuse(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
        self.server.owner.note_look(path)
        self._send_head(entry, start)
        if self.command == "GET":
            self._send_body(
                _FileResponse(self.server.owner, entry, descriptor, name), start, sent_before=state == "done"
            )
        return None

    def _start(self) -> int:
        match = _RANGE_START.match(self.headers.get("Range", ""))
        return int(match[1]) if match else 0

    def _send_head(self, entry: FileEntry, start: int) -> None:
        self.send_response(HTTPStatus.PARTIAL_CONTENT if start else HTTPStatus.OK)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{entry.size - 1}/{entry.size}")
        self.send_header("Content-Length", str(entry.size - start))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Last-Modified", formatdate(entry.mtime_ns / 1e9, usegmt=True))
        self.end_headers()

    def _send_body(self, response: "_FileResponse", start: int, *, sent_before: bool) -> None:
        try:
            response.send(self.wfile.write, start, sent_before=sent_before)
        except OSError:  # rclone closed the connection, or the file changed
            self.close_connection = True

    def _fail(self, status: HTTPStatus, problem: Problem, path: str) -> None:
        self.server.owner.fail(problem, FileEntry("f", path))
        self._refuse(status)

    def _refuse(self, status: HTTPStatus) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()


class _FileResponse:
    """Sends one file to rclone."""

    def __init__(self, file_server: SourceFileServer, entry: FileEntry, descriptor: int, name: str) -> None:
        self._file_server = file_server
        self._entry = entry
        self._descriptor = descriptor
        self._name = name

    def send(self, write: Callable[[memoryview], object], start: int, *, sent_before: bool) -> None:
        """Send the file from `start` to its end, and record its digest.

        The last bytes are sent only if the file is still as it was listed.

        Raises:
            OSError: rclone closed the connection, or the file changed.
        """
        entry, progress = self._entry, self._file_server.progress
        if sent_before:
            progress.subtract(entry.size)
        if start:
            progress.add_existing(start)
        progress.set_current(entry.path)
        position, digests = start, _RangeDigests()
        buffer = memoryview(bytearray(CHUNK_BYTES))
        try:
            while position < entry.size:
                count = os.preadv(self._descriptor, [buffer[: entry.size - position]], position)
                self._require_unchanged(count)
                self._wait_for_bandwidth(count)
                write(buffer[:count])
                digests.update(buffer[:count])
                position += count
                progress.add_bytes(count)
            self._require_unchanged(1)
        except OSError:
            progress.subtract(position)
            raise
        self._record(
            read_digest(self._descriptor, entry.size) if start else digests.digest(), sent_before=sent_before
        )

    def _wait_for_bandwidth(self, count: int) -> None:
        """Wait for bandwidth.

        Raises:
            OSError: the push was stopped; rclone is being ended, and must not finish the upload before that.
        """
        self._file_server.limiter.acquire(count)
        if self._file_server.limiter.is_stopped:
            raise OSError("stopped")

    def _require_unchanged(self, count: int) -> None:
        if not count or _current_entry(self._descriptor, self._entry.path) != self._entry:
            self._file_server.fail(changed(self._name).problem, self._entry)
            raise OSError("changed")

    def _record(self, digest: bytes, *, sent_before: bool) -> None:
        self._file_server.ledger.complete(self._entry, digest)
        if not sent_before:
            self._file_server.progress.finish_file(self._entry.path)


class _RangeDigests:
    """Computes a file's digest from its bytes in order."""

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


def _current_entry(descriptor: int, path: str) -> FileEntry:
    found = os.fstat(descriptor)
    return FileEntry("f", path, found.st_size, stored_ns(found.st_mtime_ns))
