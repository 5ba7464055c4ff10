"""A small S3 server: objects in memory, answers after a set delay, every request recorded.

It answers what the agent, rclone and s5cmd ask, as AWS documents it. It does not check signatures:
`tests/unit/agent/s3/test_signing.py` compares those with AWS's own SDK.
"""

import asyncio
import hashlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import NamedTuple, Self
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape

from tests.support.s3_front import S3Error

PAGE_KEYS = 1000
_COMMON = "x-amz-request-id: 0123456789ABCDEF\r\nServer: Stand-in\r\n"


class Request(NamedTuple):
    """A request as it arrived."""

    method: str
    key: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """With names in lower case."""
    body: bytes = b""


@dataclass(frozen=True)
class StoredObject:
    data: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    """What every answer about it has, too: metadata and checksums."""
    modified: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))

    @property
    def etag(self) -> str:
        return self.headers.get("etag") or f'"{hashlib.md5(self.data, usedforsecurity=False).hexdigest()}"'


Answer = Callable[[Request], S3Error | bytes | None]
"""Returns what to answer instead: an error, or raw bytes after which the connection is closed."""


class S3Server:
    """One bucket, served on a free port of loopback until `close`."""

    def __init__(self, bucket: str = "media", delay_s: float = 0.0, port: int = 0) -> None:
        self.bucket, self.delay_s = bucket, delay_s
        self.objects: dict[str, StoredObject] = {}
        self.uploads: dict[str, dict[int, bytes]] = {}
        self.answer: Answer = lambda _: None
        self.requests: list[Request] = []
        """Without bodies."""
        self.connections = 0
        self.bytes_received = 0
        self.is_waiting = False
        """Whether a request has arrived that is not answered yet."""
        self._transports: set[asyncio.Transport] = set()
        self._sorted: list[tuple[bytes, str]] = []
        self._loop = asyncio.new_event_loop()
        self._server = self._loop.run_until_complete(
            self._loop.create_server(lambda: _Protocol(self), "127.0.0.1", port, backlog=1024)
        )
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._server.close()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    def close_connections(self) -> None:
        """Close all connections, as S3 does with those that are idle for long."""

        async def close() -> None:
            for transport in list(self._transports):
                transport.abort()

        asyncio.run_coroutine_threadsafe(close(), self._loop).result()

    def put(self, key: str, data: bytes, **headers: str) -> None:
        """Store an object; `headers` are written with underscores."""
        self.objects[key] = StoredObject(
            data, {name.replace("_", "-"): each for name, each in headers.items()}
        )

    def sorted_keys(self) -> list[tuple[bytes, str]]:
        """Return the keys in the order of their bytes, which is S3's."""
        if len(self._sorted) != len(self.objects):
            self._sorted = sorted((key.encode(), key) for key in self.objects)
        return self._sorted

    def record(self, request: Request) -> None:
        self.requests.append(request._replace(body=b""))
        self.bytes_received += len(request.body)

    def respond(self, request: Request) -> list[bytes | memoryview]:
        """Return the answer in pieces."""
        try:
            return self._respond(request)
        except KeyError:
            missing = "NoSuchUpload" if "uploadId" in request.query else "NoSuchKey"
            return _error(S3Error(404, missing, "It does not exist."), request.method)

    def _respond(self, request: Request) -> list[bytes | memoryview]:
        match request.method:
            case "GET" if not request.key:
                return self._list(request.query)
            case "GET" | "HEAD":
                return self._object(request)
            case "PUT" if "uploadId" in request.query:
                self.uploads[request.query["uploadId"]][int(request.query["partNumber"])] = request.body
                etag = f'"{hashlib.md5(request.body, usedforsecurity=False).hexdigest()}"'
                return _answer(200, {"etag": etag})
            case "PUT":
                stored = self._store(request, request.body)
                return _answer(200, {"etag": stored.etag})
            case "POST" if "uploads" in request.query:
                upload_id = f"upload-{len(self.uploads)}"
                self.uploads[upload_id] = {}
                return _answer(
                    200, {}, _xml("InitiateMultipartUploadResult", f"<UploadId>{upload_id}</UploadId>")
                )
            case "POST" if "uploadId" in request.query:
                parts = self.uploads.pop(request.query["uploadId"])
                stored = self._store(request, b"".join(parts[number] for number in sorted(parts)))
                etag = f"<ETag>{escape(stored.etag)}</ETag>"
                return _answer(200, {}, _xml("CompleteMultipartUploadResult", etag))
            case "DELETE" if "uploadId" in request.query:
                del self.uploads[request.query["uploadId"]]
                return _answer(204, {})
            case "DELETE":
                self.objects.pop(request.key, None)
                return _answer(204, {})
        return _error(S3Error(405, "MethodNotAllowed"), request.method)

    def _store(self, request: Request, data: bytes) -> StoredObject:
        kept = {
            name: value
            for name, value in request.headers.items()
            if name.startswith(("x-amz-meta-", "x-amz-checksum-")) and name != "x-amz-checksum-mode"
        }
        stored = self.objects[request.key] = StoredObject(data, kept)
        return stored

    def _object(self, request: Request) -> list[bytes | memoryview]:
        found = self.objects[request.key]
        size, data = len(found.data), memoryview(found.data)
        headers = {
            "last-modified": format_datetime(found.modified, usegmt=True),
            "accept-ranges": "bytes",
            "content-type": "binary/octet-stream",
            "etag": found.etag,
            **found.headers,
        }
        status = 200
        if wanted := request.headers.get("range"):
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            start = int(first) if first else max(0, size - int(last))
            end = min(size, int(last) + 1) if first and last else size
            if start >= size:
                return _error(S3Error(416, "InvalidRange", "The requested range is not satisfiable"), "GET")
            status, data = 206, data[start:end]
            headers["content-range"] = f"bytes {start}-{end - 1}/{size}"
        return _answer(status, headers, data, is_head=request.method == "HEAD")

    def _list(self, query: Mapping[str, str]) -> list[bytes | memoryview]:
        prefix = query.get("prefix", "").encode()
        after = query.get("continuation-token", query.get("start-after", "")).encode()
        limit = int(query.get("max-keys", str(PAGE_KEYS)))
        found = [pair for pair in self.sorted_keys() if pair[0].startswith(prefix) and pair[0] > after]
        page, is_truncated = found[:limit], len(found) > limit
        body = [f"<IsTruncated>{str(is_truncated).lower()}</IsTruncated><EncodingType>url</EncodingType>"]
        if is_truncated:
            body.append(f"<NextContinuationToken>{escape(page[-1][1])}</NextContinuationToken>")
        for _, key in page:
            one = self.objects[key]
            body.append(
                f"<Contents><Key>{quote(key)}</Key><Size>{len(one.data)}</Size>"
                f"<LastModified>{one.modified:%Y-%m-%dT%H:%M:%S.000Z}</LastModified>"
                f"<ETag>{escape(one.etag)}</ETag><StorageClass>STANDARD</StorageClass></Contents>"
            )
        return _answer(200, {"content-type": "application/xml"}, _xml("ListBucketResult", "".join(body)))


class _Protocol(asyncio.Protocol):
    """One connection; requests follow each other."""

    def __init__(self, server: S3Server) -> None:
        self._server = server
        self._buffer = bytearray()
        self._head: Request | None = None
        self._needed = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._server.connections += 1
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]
        self._server._transports.add(self._transport)

    def connection_lost(self, _error: Exception | None) -> None:
        self._server._transports.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while self._head or (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            if not self._head:
                self._read_head(bytes(self._buffer[:end]))
                del self._buffer[: end + 4]
            if len(self._buffer) < self._needed or not self._head:
                return
            request = self._head._replace(body=bytes(self._buffer[: self._needed]))
            del self._buffer[: self._needed]
            self._head = None
            self._server.is_waiting = True
            self._server._loop.call_later(self._server.delay_s, self._reply, request)

    def _read_head(self, head: bytes) -> None:
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ", 2)
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        path, _, query = target.partition("?")
        key = unquote(path.lstrip("/").partition("/")[2]) if path.startswith("/") else urlsplit(path).path
        found = {name: values[0] for name, values in parse_qs(query, keep_blank_values=True).items()}
        self._head = Request(method, key, found, headers)
        self._needed = int(headers.get("content-length", "0"))
        if headers.get("expect", "").lower() == "100-continue":
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _reply(self, request: Request) -> None:
        self._server.is_waiting = False
        self._server.record(request)
        answer = self._server.answer(request)
        if isinstance(answer, bytes):
            self._transport.write(answer)
            self._transport.close()
            return
        for piece in _error(answer, request.method) if answer else self._server.respond(request):
            self._transport.write(piece)


def _answer(
    status: int, headers: Mapping[str, str], body: bytes | memoryview = b"", *, is_head: bool = False
) -> list[bytes | memoryview]:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"HTTP/1.1 {status} -\r\n{_COMMON}{lines}content-length: {len(body)}\r\n\r\n".encode("latin-1")
    if is_head or not body:
        return [head]
    return [head, body] if len(body) > 4096 else [head + body]


def _error(error: S3Error, method: str) -> list[bytes | memoryview]:
    body = _xml("Error", f"<Code>{error.code}</Code><Message>{escape(error.message)}</Message>")
    return _answer(error.status, {"content-type": "application/xml"}, body, is_head=method == "HEAD")


def _xml(name: str, content: str) -> bytes:
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{name}>{content}</{name}>'.encode()
