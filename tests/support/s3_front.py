"""An HTTP server before the embedded S3 that answers as S3 would where the embedded one does not.

It stands for archived objects, for those that a customer's own key encrypts, and for refused credentials.
"""

import http.client
import re
import threading
from collections.abc import Callable
from datetime import datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit


class ErrorAnswer(NamedTuple):
    """What S3 answers instead of an object."""

    status: int
    code: str
    message: str = ""


ARCHIVED = ErrorAnswer(403, "InvalidObjectState", "The operation is not valid for the object's storage class")
"""The answer to GET; HEAD succeeds."""
OTHER_KEY = ErrorAnswer(
    400, "InvalidRequest", "The object was stored using a form of Server Side Encryption."
)
"""The answer to GET and HEAD of an object under a customer's own key (SSE-C)."""
EXPIRED = ErrorAnswer(400, "ExpiredToken", "The provided token has expired.")
SLOW_DOWN = ErrorAnswer(503, "SlowDown", "Please reduce your request rate.")

_LAST_MODIFIED = re.compile(rb"<LastModified>[^<]*<")
_OWN_HEADERS = {"content-length", "transfer-encoding", "connection", "server", "date"}

Answer = Callable[[str, str, str], ErrorAnswer | None]
"""Returns the error for a method, a key and the access key of the request; None: S3 itself answers."""


class S3Front:
    """Serves on a free port of loopback until `close`."""

    def __init__(self, upstream: str, answer: Answer, written: datetime | None = None) -> None:
        """Start the server; every object counts as `written` at that time, if one is given."""
        self.upstream, self.answer, self.written = urlsplit(upstream), answer, written
        self.requests: list[tuple[str, str]] = []
        """Method and key of each request."""
        self._server = _Server(self)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _FrontHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_Server"

    def __getattr__(self, name: str) -> Callable[[], None]:
        if not name.startswith("do_"):
            raise AttributeError(name)
        return self._serve

    def log_message(self, *_: object) -> None:
        pass

    def _serve(self) -> None:
        front = self.server.front
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        key = unquote(urlsplit(self.path).path.lstrip("/").partition("/")[2])
        front.requests.append((self.command, key))
        if error := front.answer(self.command, key, self.headers.get("Authorization", "")):
            self._refuse(error)
        else:
            self._forward(front.upstream, body)

    def _refuse(self, error: ErrorAnswer) -> None:
        xml = f"<Error><Code>{error.code}</Code><Message>{error.message}</Message></Error>".encode()
        self._respond(error.status, [("Content-Type", "application/xml")], xml)

    def _forward(self, upstream: SplitResult, body: bytes) -> None:
        connection = http.client.HTTPConnection(str(upstream.hostname), upstream.port)
        try:
            connection.request(self.command, self.path, body, dict(self.headers.items()))
            answer = connection.getresponse()
            data = answer.read()
        finally:
            connection.close()
        headers = [(name, value) for name, value in answer.getheaders() if name.lower() not in _OWN_HEADERS]
        if written := self.server.front.written:
            headers = [
                (name, format_datetime(written, usegmt=True) if name.lower() == "last-modified" else value)
                for name, value in headers
            ]
            data = _LAST_MODIFIED.sub(f"<LastModified>{written:%Y-%m-%dT%H:%M:%S.000Z}<".encode(), data)
        length = answer.getheader("Content-Length") if self.command == "HEAD" else None
        self._respond(answer.status, headers, data, length)

    def _respond(
        self, status: int, headers: list[tuple[str, str]], data: bytes, length: str | None = None
    ) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", length or str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, front: S3Front) -> None:
        self.front = front
        super().__init__(("127.0.0.1", 0), _FrontHandler)
