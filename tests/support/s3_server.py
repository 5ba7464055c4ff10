"""A small S3 server: objects in memory, answers after a set delay, every request recorded.

It answers what the agent, rclone and s5cmd ask, as AWS documents it. It does not check signatures:
`tests/unit/agent/s3/test_signing.py` compares those with AWS's own SDK.
"""

import asyncio
import hashlib
import threading
import zlib
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import NamedTuple, Self
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape

from awscrt import checksums

from tests.support.s3_front import ErrorAnswer

PAGE_KEYS = 1000
TURN_BYTES = 64 * 1024
_COMMON = "x-amz-request-id: 0123456789ABCDEF\r\nServer: Stand-in\r\n"


class ReceivedRequest(NamedTuple):
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
        return self.headers.get("etag") or f'"{_md5(self.data)}"'


@dataclass(frozen=True)
class OpenUpload:
    """A multipart upload that is neither complete nor aborted."""

    key: str
    initiator: str
    headers: Mapping[str, str]
    parts: dict[int, bytes] = field(default_factory=dict)


Answer = Callable[[ReceivedRequest], ErrorAnswer | bytes | None]
"""Returns what to answer instead: an error, or raw bytes after which the connection is closed."""


class S3Server:
    """One bucket, served on a free port of loopback until `close`."""

    def __init__(
        self, bucket: str = "media", delay_s: float = 0.0, port: int = 0, page_keys: int = PAGE_KEYS
    ) -> None:
        self.bucket, self.delay_s, self.page_keys = bucket, delay_s, page_keys
        self.objects: dict[str, StoredObject] = {}
        self.uploads: dict[str, OpenUpload] = {}
        self.initiator = ""
        """Who begins uploads: the ARN that a listing of them shows."""
        self._upload_count = 0
        self.hold_at: int | None = None
        """Bytes of objects after which no more are sent; those in progress go side by side until then."""
        self.bytes_sent = 0
        """Bytes of objects, while `hold_at` is set."""
        self.has_empty_pages = False
        """Whether each page of a listing comes after one without objects, as S3 has them for deleted ones."""
        self.answer: Answer = lambda _: None
        self.requests: list[ReceivedRequest] = []
        """Without bodies."""
        self.connections = 0
        self.bytes_received = 0
        """Of complete requests' bodies."""
        self.bytes_arrived = 0
        """Whatever has come through the connections, also of requests that were cut off."""
        self.is_waiting = False
        """Whether a request has arrived that is not answered yet."""
        self._transports: set[asyncio.Transport] = set()
        self._sending: set[asyncio.Task[None]] = set()
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

    @property
    def connection_count(self) -> int:
        """Return how many connections are open."""
        return len(self._transports)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._shut_down(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _shut_down(self) -> None:
        for listener in self._server.sockets:
            self._loop.remove_reader(listener.fileno())
        accepting = asyncio.all_tasks() - {asyncio.current_task()}  # asyncio drops them if it closes first
        await asyncio.gather(*accepting, return_exceptions=True)
        self._server.close()
        while self._transports:
            for transport in self._transports:
                transport.abort()
            await asyncio.sleep(0)

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

    def record(self, request: ReceivedRequest) -> None:
        self.requests.append(request._replace(body=b""))
        self.bytes_received += len(request.body)

    def respond(self, request: ReceivedRequest) -> list[bytes | memoryview]:
        """Return the answer in pieces."""
        try:
            return self._respond(request)
        except KeyError:
            missing = "NoSuchUpload" if "uploadId" in request.query else "NoSuchKey"
            return _error(ErrorAnswer(404, missing, "It does not exist."), request.method)

    def _respond(self, request: ReceivedRequest) -> list[bytes | memoryview]:
        if request.method in {"PUT", "POST"} and (refusal := self._refusal(request)):
            return _error(refusal, request.method)
        if {"uploads", "uploadId"} & request.query.keys():
            return self._answer_about_upload(request)
        match request.method:
            case "GET" if not request.key:
                return self._list(request.query)
            case "GET" | "HEAD":
                return self._object(request)
            case "PUT":
                stored = self._store(request.key, request.headers, request.body)
                return _answer(200, {"etag": stored.etag})
            case "DELETE":
                self.objects.pop(request.key, None)
                return _answer(204, {})
        return _error(ErrorAnswer(405, "MethodNotAllowed"), request.method)

    def _answer_about_upload(self, request: ReceivedRequest) -> list[bytes | memoryview]:
        upload_id = request.query.get("uploadId", "")
        match request.method:
            case "GET":
                return self._list_uploads(request.query)
            case "PUT":
                self.uploads[upload_id].parts[int(request.query["partNumber"])] = request.body
                return _answer(200, {"etag": f'"{_md5(request.body)}"'})
            case "DELETE":
                del self.uploads[upload_id]
                return _answer(204, {})
            case _ if upload_id:
                upload = self.uploads.pop(upload_id)
                parts = [upload.parts[number] for number in sorted(upload.parts)]
                joint = _md5(b"".join(bytes.fromhex(_md5(part)) for part in parts))
                etag = {"etag": f'"{joint}-{len(parts)}"'}
                stored = self._store(request.key, upload.headers, b"".join(parts), etag)
                body = f"<ETag>{escape(stored.etag)}</ETag>"
                return _answer(200, {}, _xml("CompleteMultipartUploadResult", body))
        self._upload_count += 1
        self.uploads[f"upload-{self._upload_count}"] = OpenUpload(
            request.key, self.initiator, request.headers
        )
        begun = f"<UploadId>upload-{self._upload_count}</UploadId>"
        return _answer(200, {}, _xml("InitiateMultipartUploadResult", begun))

    def _refusal(self, request: ReceivedRequest) -> ErrorAnswer | None:
        """Return why S3 refuses to write: the bytes are not those announced, or the object exists."""
        if request.headers.get("if-none-match") == "*" and request.key in self.objects:
            return ErrorAnswer(412, "PreconditionFailed", "At least one of the pre-conditions did not hold")
        if "uploads" in request.query:
            return None
        data = request.body
        if request.method == "POST":  # the parts make the object
            parts = self.uploads[request.query["uploadId"]].parts
            data = b"".join(parts[number] for number in sorted(parts))
        for name, compute in _CHECKSUMS.items():
            announced = request.headers.get(f"x-amz-checksum-{name}")
            if announced and announced != b64encode(compute(data)).decode():
                return ErrorAnswer(
                    400, "BadDigest", f"The {name} you specified did not match what we received."
                )
        return None

    def _store(
        self, key: str, sent: Mapping[str, str], data: bytes, headers: Mapping[str, str] | None = None
    ) -> StoredObject:
        kept = {
            name: value
            for name, value in sent.items()
            if name.startswith(("x-amz-meta-", "x-amz-checksum-", "x-amz-storage-class", "x-amz-tagging"))
            and name != "x-amz-checksum-mode"
        }
        stored = self.objects[key] = StoredObject(data, {**kept, **(headers or {})})
        return stored

    def _list_uploads(self, query: Mapping[str, str]) -> list[bytes | memoryview]:
        found = "".join(
            f"<Upload><Key>{quote(upload.key)}</Key><UploadId>{upload_id}</UploadId>"
            f"<Initiator><ID>{upload.initiator}</ID></Initiator></Upload>"
            for upload_id, upload in self.uploads.items()
            if upload.key.startswith(query.get("prefix", ""))
        )
        body = f"<IsTruncated>false</IsTruncated>{found}"
        return _answer(200, {"content-type": "application/xml"}, _xml("ListMultipartUploadsResult", body))

    def _object(self, request: ReceivedRequest) -> list[bytes | memoryview]:
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
                return _error(
                    ErrorAnswer(416, "InvalidRange", "The requested range is not satisfiable"), "GET"
                )
            status, data = 206, data[start:end]
            headers["content-range"] = f"bytes {start}-{end - 1}/{size}"
            # S3 keeps none of a range; the AWS CLI compares whatever it gets
            headers = {name: each for name, each in headers.items() if "-checksum-" not in name}
        return _answer(status, headers, data, is_head=request.method == "HEAD")

    def _list(self, query: Mapping[str, str]) -> list[bytes | memoryview]:
        prefix = query.get("prefix", "").encode()
        token = query.get("continuation-token")
        after = bytes.fromhex(token.removeprefix("-")) if token else query.get("start-after", "").encode()
        if self.has_empty_pages and not (token and token.startswith("-")):
            more = f"<NextContinuationToken>-{after.hex()}</NextContinuationToken>"
            body = f"<IsTruncated>true</IsTruncated>{more}"
            return _answer(200, {"content-type": "application/xml"}, _xml("ListBucketResult", body))
        limit = int(query.get("max-keys", str(self.page_keys)))
        found = [pair for pair in self.sorted_keys() if pair[0].startswith(prefix) and pair[0] > after]
        page, is_truncated = found[:limit], len(found) > limit
        is_encoded = query.get("encoding-type") == "url"  # s5cmd asks for names as they are
        body = [f"<IsTruncated>{str(is_truncated).lower()}</IsTruncated>"]
        if is_encoded:
            body.append("<EncodingType>url</EncodingType>")
        if is_truncated:
            body.append(f"<NextContinuationToken>{page[-1][0].hex()}</NextContinuationToken>")
        for _, key in page:
            one, name = self.objects[key], quote(key) if is_encoded else escape(key)
            body.append(
                f"<Contents><Key>{name}</Key><Size>{len(one.data)}</Size>"
                f"<LastModified>{one.modified:%Y-%m-%dT%H:%M:%S.000Z}</LastModified>"
                f"<ETag>{escape(one.etag)}</ETag><StorageClass>STANDARD</StorageClass></Contents>"
            )
        return _answer(200, {"content-type": "application/xml"}, _xml("ListBucketResult", "".join(body)))


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


_CHECKSUMS: dict[str, Callable[[bytes], bytes]] = {
    "crc32": lambda data: zlib.crc32(data).to_bytes(4),
    "crc64nvme": lambda data: checksums.crc64nvme(data).to_bytes(8),
}


class _Protocol(asyncio.Protocol):
    """One connection; requests follow each other."""

    def __init__(self, server: S3Server) -> None:
        self._server = server
        self._buffer = bytearray()
        self._head: ReceivedRequest | None = None
        self._needed = 0
        self._may_write = asyncio.Event()
        self._may_write.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._server.connections += 1
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]
        self._server._transports.add(self._transport)

    def connection_lost(self, _error: Exception | None) -> None:
        self._may_write.set()
        self._server._transports.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._server.bytes_arrived += len(data)
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
        if headers.get("host", "").startswith(f"{self._server.bucket}.s3."):  # the bucket's own host
            key = unquote(path[1:])
        elif path.startswith("/"):
            key = unquote(path[1:].partition("/")[2])
        else:
            key = urlsplit(path).path
        found = {name: values[0] for name, values in parse_qs(query, keep_blank_values=True).items()}
        self._head = ReceivedRequest(method, key, found, headers)
        self._needed = int(headers.get("content-length", "0"))
        if headers.get("expect", "").lower() == "100-continue":
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _reply(self, request: ReceivedRequest) -> None:
        self._server.is_waiting = False
        self._server.record(request)
        answer = self._server.answer(request)
        if isinstance(answer, bytes):
            self._transport.write(answer)
            self._transport.close()
            return
        pieces = _error(answer, request.method) if answer else self._server.respond(request)
        if self._server.hold_at is not None and request.key:
            task = self._server._loop.create_task(self._send_by_turns(pieces))
            self._server._sending.add(task)
            task.add_done_callback(self._server._sending.discard)
            return
        for piece in pieces:
            self._transport.write(piece)

    async def _send_by_turns(self, pieces: list[bytes | memoryview]) -> None:
        """Send an answer in turns with others, until the server holds."""
        head, *body = pieces
        self._transport.write(head)
        for start in range(0, sum(map(len, body)), TURN_BYTES):
            await self._may_write.wait()
            data = body[0][start : start + TURN_BYTES]
            if self._server.bytes_sent + len(data) > (self._server.hold_at or 0):
                return
            self._server.bytes_sent += len(data)
            self._transport.write(data)
            await asyncio.sleep(0)

    def pause_writing(self) -> None:
        self._may_write.clear()

    def resume_writing(self) -> None:
        self._may_write.set()


def _answer(
    status: int, headers: Mapping[str, str], body: bytes | memoryview = b"", *, is_head: bool = False
) -> list[bytes | memoryview]:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"HTTP/1.1 {status} -\r\n{_COMMON}{lines}content-length: {len(body)}\r\n\r\n".encode("latin-1")
    if is_head or not body:
        return [head]
    return [head, body] if len(body) > 4096 else [head + body]


def _error(error: ErrorAnswer, method: str) -> list[bytes | memoryview]:
    body = _xml("Error", f"<Code>{error.code}</Code><Message>{escape(error.message)}</Message>")
    return _answer(error.status, {"content-type": "application/xml"}, body, is_head=method == "HEAD")


def _xml(name: str, content: str) -> bytes:
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{name}>{content}</{name}>'.encode()
