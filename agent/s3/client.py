"""A client for one bucket of S3: signs, retries, renews credentials, and keeps connections open.

Requests block, so that TCP itself slows S3 down for a reader that is slow. Why not awscrt's client, or
another one: docs/adr/035-s3-is-spoken-by-the-agent.md.
"""

import http.client
import io
import logging
import random
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import sha256
from typing import NamedTuple, Protocol

from agent.backoff import Backoff
from agent.pull.mover import Credentials, credentials_error
from agent.s3.answers import PageMarks
from agent.s3.connections import S3Connection, S3Connections, reason_of
from agent.s3.errors import ConnectionLostError, S3Error, error_in, error_of
from agent.s3.listing import Page, parse_page
from agent.s3.response import S3Response
from agent.s3.signing import UNSIGNED, encode_path, encode_query, signed_headers
from events.commands import S3Route
from events.views import CredentialsView

log = logging.getLogger(__name__)

MAX_ATTEMPTS = 4
"""Attempts at a request that S3 does not answer, or asks to send again."""
MAX_LIST_BYTES = 5 * 1024 * 1024
"""Bytes of a list. A page of a thousand of the longest keys, encoded, has 3.3 MB. The worst of 5 MB, parsed,
take 220 MB, and nothing else runs for a second."""
MAX_ANSWER_BYTES = 256 * 1024
"""Bytes of every other answer that is not an object. S3's have less than 2 KB, and blanks while it works."""
_RETRY = Backoff(first_s=0.2, max_s=5.0)
_SEND_BYTES = 64 * 1024
"""Bytes of a body that are sent at once; they must leave within the time-out of silence."""

_REASON_HIDDEN = {400, 403}
"""Statuses for which S3 has a reason that the answer to a HEAD does not carry."""
_PAST_THE_END = 416


class Body(Protocol):
    """The body of a request, read while it is sent."""

    length: int
    """Bytes."""

    def read(self, size: int, /) -> bytes:
        """Return the next bytes, at most `size`. What it raises ends the request."""

    def seek(self, offset: int, /) -> int:
        """Go back to the beginning, before the request is sent again."""


class Answer(NamedTuple):
    """What S3 answered to a request that succeeded."""

    status: int
    headers: dict[str, str]
    """With names in lower case."""
    body: bytes
    is_repeated: bool
    """Whether the request was sent before, and S3 may have carried it out without that its answer came."""


@dataclass(frozen=True)
class _Request:
    method: str
    key: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Body = b""


class _Sent(NamedTuple):
    """A request that waits for its answer."""

    connection: S3Connection
    credentials: CredentialsView


class Download:
    """The answer to a GET, read as its bytes come. Close it."""

    def __init__(self, connections: S3Connections, connection: S3Connection, response: S3Response) -> None:
        self._connections, self._connection, self._response = connections, connection, response
        self.status = response.status
        self.headers = response.fields
        self.is_repeated = False
        """Whether the request was sent before."""
        self._left = response.length
        self._closed = False

    @property
    def length(self) -> int | None:
        """Return the bytes that are still to be read; None if S3 does not say."""
        return self._left

    def readinto(self, buffer: memoryview) -> int:
        """Fill the buffer, as far as bytes are there; return 0 only at the end.

        Raises:
            ConnectionLostError: the connection broke.
        """
        try:
            count = self._response.readinto(buffer)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ConnectionLostError(reason_of(error)) from error
        if self._left is not None:
            self._left -= count
            if not count and self._left and len(buffer):
                raise ConnectionLostError("the connection was closed within an answer")
        return count

    def read(self, limit: int) -> bytes:
        """Return all bytes. Raises ConnectionLostError, also if there are more than `limit`."""
        data, buffer = bytearray(), memoryview(bytearray(min(limit, _SEND_BYTES)))
        while count := self.readinto(buffer):
            data += buffer[:count]
            if len(data) > limit:
                raise ConnectionLostError("the answer is too long")
        return bytes(data)

    def close(self) -> None:
        """Keep the connection if all was read, otherwise close it."""
        if self._closed:
            return
        self._closed = True
        is_read = self._left == 0 or self._response.isclosed()
        self._response.close()
        if is_read and not self._response.will_close:
            self._connections.release(self._connection)
        else:
            self._connections.discard(self._connection)


class S3Client:
    """Requests of one hop to one bucket. Thread-safe."""

    def __init__(self, bucket: str, route: S3Route, credentials: Credentials, hop_id: str) -> None:
        """Prepare; nothing is sent yet."""
        url, self._host, self._root = _endpoint(bucket, route)
        self._is_tls = url.startswith("https:")
        self._region = route.region
        self._connections = S3Connections(url)
        self._credentials = _HopCredentials(credentials, hop_id)

    def connect(self) -> None:
        """Check that credentials are issued, and permit requests again after `interrupt`.

        Raises:
            HopError: the control plane refuses them.
            SourceConnectionError: the control plane does not answer.
        """
        self._connections.resume()
        self._credentials.current()

    def interrupt(self) -> None:
        """End all requests, and all later ones until `connect`. Thread-safe."""
        self._connections.interrupt()

    def close(self) -> None:
        self._connections.interrupt()
        self._connections.close_idle()

    def request(
        self,
        method: str,
        key: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | Body = b"",
    ) -> Answer:
        """Send a request and return the whole answer; `key` '' is the bucket itself.

        Raises:
            S3Error: S3 refuses it.
            ConnectionLostError: S3 does not answer.
            HopError, SourceConnectionError: no credentials are issued.
        """
        with closing(self._answered(_Request(method, key, query or {}, headers or {}, body))) as download:
            data = download.read(MAX_LIST_BYTES if method == "GET" else MAX_ANSWER_BYTES)
        if error := error_in(download.status, data):
            raise error
        if method == "PUT" and not download.headers.get("etag"):  # a proxy's page, with status 200
            raise ConnectionLostError("not an answer of S3: it does not name what it has stored")
        return Answer(download.status, download.headers, data, download.is_repeated)

    def head(self, key: str, headers: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the headers of an object. Raises as `request`.

        S3's refusal of a HEAD has no body, so the reason is asked for by a GET.
        """
        try:
            return self.request("HEAD", key, headers=headers).headers
        except S3Error as refusal:
            if refusal.status not in _REASON_HIDDEN:
                raise
        self.require_readable(key)  # which replaces credentials that S3 refuses
        return self.request("HEAD", key, headers=headers).headers

    def head_all(self, keys: Sequence[str]) -> Iterator[dict[str, str] | S3Error]:
        """Request the headers of objects all at once, and yield them in this order. Raises as `get_all`."""
        with closing(self._all([_Request("HEAD", key) for key in keys])) as answers:
            for key, answer in zip(keys, answers, strict=True):
                if not isinstance(answer, S3Error):
                    yield answer.headers
                elif answer.status not in _REASON_HIDDEN:
                    yield answer
                else:
                    yield self._head_or_reason(key)

    def _head_or_reason(self, key: str) -> dict[str, str] | S3Error:
        try:
            return self.head(key)
        except S3Error as error:
            return error

    def require_readable(self, key: str) -> None:
        """Do nothing if the object can be read. Raises as `request`, with S3's reason."""
        try:
            self.get(key, {"range": "bytes=0-0"}).close()
        except S3Error as error:
            if error.status != _PAST_THE_END:  # an empty object has no first byte
                raise

    def get(self, key: str, headers: Mapping[str, str] | None = None) -> Download:
        """Return an object, or the range that `headers` ask for. Raises as `request`."""
        return self._answered(_Request("GET", key, headers=headers or {}))

    def get_all(
        self, keys: Sequence[str], headers: Mapping[str, str] | None = None
    ) -> Generator[Download | S3Error, None, None]:
        """Request objects all at once, and yield the answers in this order; each is good until the next.

        So the time that one answer takes is paid once for all.

        Raises:
            ConnectionLostError, HopError, SourceConnectionError: as `request`.
        """
        return self._all([_Request("GET", key, headers=headers or {}) for key in keys])

    def _all(self, requests: Sequence[_Request]) -> Generator[Download | S3Error, None, None]:
        waiting: list[_Sent | None] = []
        try:
            waiting.extend(map(self._sent_ahead, requests))
            for index, request in enumerate(requests):
                sent, waiting[index] = waiting[index], None
                try:
                    download = self._answered(request, sent)
                except S3Error as error:
                    yield error
                    continue
                with closing(download):
                    yield download
        finally:
            for left in filter(None, waiting):
                self._connections.discard(left.connection)

    def list_pages(self, prefix: str, *, start_after: str = "") -> Iterator[Page]:
        """Yield the objects below a prefix, those after `start_after`, page by page. Raises as `request`."""
        page, marks = self.list_page(prefix, start_after=start_after), PageMarks()
        yield page
        while page.token:
            marks.note(page.token)
            page = self.list_page(prefix, start_after=start_after, token=page.token)
            yield page

    def list_page(self, prefix: str, *, start_after: str = "", token: str = "") -> Page:
        """Return up to a thousand objects below a prefix. Raises as `request`."""
        query = {"list-type": "2", "encoding-type": "url", "prefix": prefix}
        if start_after:
            query["start-after"] = start_after
        if token:
            query["continuation-token"] = token
        page = parse_page(self.request("GET", "", query=query).body)
        first = start_after.encode()
        if not all(one.key.startswith(prefix) and one.key.encode() > first for one in page.objects):
            raise ConnectionLostError("not the list of objects that was asked for")
        return page

    # --- one request ---

    def _sent_ahead(self, request: _Request) -> _Sent | None:
        """Send a request; None if that fails, so that it is sent again when its turn comes."""
        try:
            return self._send(request)
        except ConnectionLostError:
            return None

    def _answered(self, request: _Request, sent: _Sent | None = None) -> Download:
        """Return the answer to a request, which may have been sent; send it again as far as that helps."""
        failures, stale = 0, 0
        while True:
            used: _Sent | None = None
            try:
                used, sent = sent or self._send(request), None
                download = self._receive(request, used)
            except S3Error as error:
                if error.refuses_credentials and used and self._credentials.replace(used.credentials):
                    continue
                if not error.is_transient:
                    raise
                failure: Exception = error
            except ConnectionLostError as error:
                failure = error
                if used and used.connection.is_reused and stale < MAX_ATTEMPTS:
                    stale += 1  # S3 closes idle connections without notice
                    self._connections.close_idle()
                    continue
            else:
                download.is_repeated = failures + stale > 0
                return download
            failures += 1
            if failures >= MAX_ATTEMPTS or self._connections.interrupted.wait(_delay_s(failures)):
                raise failure

    def _send(self, request: _Request) -> _Sent:
        credentials = self._credentials.current()
        body = request.body
        length = len(body) if isinstance(body, bytes) else body.length
        headers = {"host": self._host, **request.headers}
        if length:
            is_hashed = isinstance(body, bytes) and not self._is_tls
            headers["x-amz-content-sha256"] = sha256(body).hexdigest() if is_hashed else UNSIGNED  # type: ignore[arg-type]
        if length or request.method in {"PUT", "POST"}:
            headers["content-length"] = str(length)
        path, query = encode_path(f"{self._root}{request.key}"), encode_query(request.query)
        signed = signed_headers(credentials, self._region, request.method, (path, query), headers)
        lines = [f"{request.method} {path}{'?' if query else ''}{query} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in signed.items()]
        head = "\r\n".join((*lines, "", "")).encode("latin-1")
        connection = self._connections.acquire()
        try:
            _transmit(connection, head, body)
        except BaseException:
            self._connections.discard(connection)
            raise
        return _Sent(connection, credentials)

    def _receive(self, request: _Request, sent: _Sent) -> Download:
        response = S3Response(sent.connection.socket, method=request.method)
        try:
            _begin(response)
        except (OSError, http.client.HTTPException, ValueError) as error:
            response.close()
            self._connections.discard(sent.connection)
            raise ConnectionLostError(reason_of(error)) from error
        except BaseException:
            self._connections.discard(sent.connection)
            raise
        download = Download(self._connections, sent.connection, response)
        if 200 <= download.status < 300:
            return download
        with closing(download):
            body = download.read(MAX_ANSWER_BYTES)
        raise error_of(download.status, body, download.headers.get("x-amz-request-id", ""))


class _HopCredentials:
    """The credentials of one hop. Those that S3 refuses are replaced once. Thread-safe."""

    def __init__(self, credentials: Credentials, hop_id: str) -> None:
        self._issue = credentials
        self._hop_id = hop_id
        self._refused: CredentialsView | None = None
        self._lock = threading.Lock()

    def current(self) -> CredentialsView:
        """Return valid credentials. Raises HopError or SourceConnectionError if there are none."""
        try:
            if self._refused:
                return self._issue(self._hop_id, refused=self._refused)
            return self._issue(self._hop_id)
        except Exception as error:
            raise credentials_error(error) from error

    def replace(self, refused: CredentialsView) -> bool:
        """Replace credentials that S3 refuses; return False if it has refused others before.

        Several requests are refused at once, each with the credentials that it was signed with.
        """
        with self._lock:
            if self._refused is None:
                log.warning("S3 refuses credentials", extra={"hop_id": self._hop_id})
                self._refused = refused
            known = self._refused.access_key_id == refused.access_key_id
            return known and self.current().access_key_id != refused.access_key_id


def _endpoint(bucket: str, route: S3Route) -> tuple[str, str, str]:
    """Return the URL to connect to, the value of `Host`, and the path before every key.

    A bucket with a dot in its name is not covered by the certificate for its own host name.
    """
    if route.endpoint:
        url = route.endpoint.rstrip("/")
        return url, url.partition("://")[2].partition("/")[0], f"/{bucket}/"
    domain = "amazonaws.com.cn" if route.region.startswith("cn-") else "amazonaws.com"
    host = f"s3.{route.region}.{domain}"
    if "." in bucket:
        return f"https://{host}", host, f"/{bucket}/"
    return f"https://{bucket}.{host}", f"{bucket}.{host}", "/"


def _transmit(connection: S3Connection, head: bytes, body: bytes | Body) -> None:
    """Send a request. What reading its body raises is passed on.

    Raises:
        ConnectionLostError: the connection broke, and S3 has not answered before.
    """
    if isinstance(body, bytes) and len(body) <= _SEND_BYTES:
        _send_bytes(connection, head + body)
        return
    stream: io.BytesIO | Body = io.BytesIO(body) if isinstance(body, bytes) else body
    stream.seek(0)
    _send_bytes(connection, head)
    while data := stream.read(_SEND_BYTES):
        try:
            connection.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return  # S3 refuses a request before it has all of it; its answer tells why
        except OSError as error:
            raise ConnectionLostError(reason_of(error)) from error


def _begin(response: S3Response) -> None:
    """Read the status and the headers. Raises OSError, http.client.HTTPException."""
    response.begin()
    if response.is_of_head and response.status < 300:
        size = response.fields.get("content-length", "")
        if not (size.isascii() and size.isdecimal()):  # it would pass for that of an empty object
            raise http.client.HTTPException("the headers of an object do not tell its size")
    if response.length is None and not response.chunked:  # S3 always says how long an answer is
        raise http.client.BadStatusLine("the headers of an answer broke off")


def _send_bytes(connection: S3Connection, data: bytes) -> None:
    try:
        connection.socket.sendall(data)
    except (BrokenPipeError, ConnectionResetError):
        if not connection.is_reused:
            raise ConnectionLostError("the connection was closed") from None
    except OSError as error:
        raise ConnectionLostError(reason_of(error)) from error


def _delay_s(failures: int) -> float:
    """Return seconds to wait, different for requests that fail together."""
    return _RETRY.delay_s(failures - 1) * random.uniform(0.5, 1.0)  # noqa: S311
