"""Answer scrapes over HTTP, on the agent's event loop, at a bounded cost whatever the scrapers do.

A client that says nothing, or does not read, is given up after seconds; few are answered at a time, and the
others wait in the system's queue. So neither a scraper that hangs nor one that floods disturbs hops.
"""

import asyncio
import logging
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus

from agent.metrics.openmetrics import CONTENT_TYPE

log = logging.getLogger(__name__)

_END_OF_HEAD = b"\r\n\r\n"
_PLAIN = "text/plain; charset=utf-8"


@dataclass(frozen=True)
class ScrapeLimits:
    """What scrapers may cost."""

    clients: int = 8
    """Number of clients that are answered at a time."""
    client_timeout_s: float = 5.0
    """Seconds for a client to send its request and to read the answer."""
    max_request_bytes: int = 8192
    accept_interval_s: float = 0.02
    """Seconds between two clients."""
    fresh_s: float = 1.0
    """Seconds for which an answer is used again."""


DEFAULT_LIMITS = ScrapeLimits()


class ScrapeServer:
    """Serves `GET /metrics` at one address."""

    def __init__(
        self, listen: tuple[str, int], render: Callable[[], str], limits: ScrapeLimits = DEFAULT_LIMITS
    ) -> None:
        """Create a server; `render` is called on the event loop and returns OpenMetrics text."""
        self._listen = listen
        self._render = render
        self._limits = limits
        self._rendered = ""
        self._rendered_at: float | None = None
        self.port = listen[1]
        """Where it listens; while it serves, the port that the system has chosen if that was 0."""

    async def serve(self) -> None:
        """Answer scrapes until canceled. Raises OSError if it cannot listen."""
        slots = asyncio.Semaphore(self._limits.clients)
        with self._bound() as server:
            self.port = server.getsockname()[1]
            log.info("metrics are offered", extra={"host": self._listen[0], "port": self.port})
            async with asyncio.TaskGroup() as clients:
                while True:
                    await slots.acquire()
                    client, _ = await asyncio.get_running_loop().sock_accept(server)
                    clients.create_task(self._answer(client)).add_done_callback(lambda _: slots.release())
                    await asyncio.sleep(self._limits.accept_interval_s)

    def _bound(self) -> socket.socket:
        host, port = self._listen
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        server = socket.socket(family)
        try:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.bind(self._listen)
            server.listen()
            server.setblocking(False)
        except OSError as error:
            server.close()
            raise OSError(error.errno, f"cannot listen on {host}:{port}: {error.strerror}") from error
        return server

    async def _answer(self, client: socket.socket) -> None:
        with client, suppress(OSError, TimeoutError):  # of one client: the others are not concerned
            client.setblocking(False)
            async with asyncio.timeout(self._limits.client_timeout_s):
                head = await self._head(client)
                await asyncio.get_running_loop().sock_sendall(client, self._response(head))

    async def _head(self, client: socket.socket) -> bytes:
        """Return what the client has sent up to the end of its request's head, or up to the limit."""
        head = b""
        while _END_OF_HEAD not in head and len(head) < self._limits.max_request_bytes:
            received = await asyncio.get_running_loop().sock_recv(client, 4096)
            if not received:
                break
            head += received
        return head

    def _response(self, head: bytes) -> bytes:
        words = head.partition(b"\r\n")[0].split(b" ")
        if _END_OF_HEAD not in head or len(words) != 3 or not words[2].startswith(b"HTTP/1."):
            return _http(HTTPStatus.BAD_REQUEST, "send an HTTP/1.1 request: GET /metrics\n")
        if words[0] != b"GET":
            return _http(HTTPStatus.METHOD_NOT_ALLOWED, "only GET is answered\n")
        if words[1].partition(b"?")[0] != b"/metrics":
            return _http(HTTPStatus.NOT_FOUND, "metrics are at /metrics\n")
        return _http(HTTPStatus.OK, self._fresh(), CONTENT_TYPE)

    def _fresh(self) -> str:
        now = time.monotonic()
        if self._rendered_at is None or now - self._rendered_at >= self._limits.fresh_s:
            self._rendered, self._rendered_at = self._render(), now
        return self._rendered


def _http(status: HTTPStatus, body: str, content_type: str = _PLAIN) -> bytes:
    content = body.encode()
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(content)}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + content
