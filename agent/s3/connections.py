"""Connections to one endpoint of S3, kept open between requests."""

import socket
import ssl
import threading
import time
from collections import deque
from contextlib import suppress
from functools import cache
from urllib.parse import urlsplit

from agent import tcp
from agent.cloud.proxy import open_tunnel, proxy_for
from agent.errors import HostError
from agent.s3.errors import ConnectionLostError

CONNECT_TIMEOUT_S = 8.0
SILENCE_TIMEOUT_S = 40.0
"""Seconds without a byte after which a connection counts as lost, as on the lane."""
MAX_IDLE_S = 15.0
"""Seconds after which an idle connection is not used again: S3 closes it after some twenty."""
MAX_IDLE = 256
"""Idle connections that are kept."""


class S3Connection:
    """One connection, for one request at a time."""

    def __init__(self, socket_: socket.socket) -> None:
        self.socket = socket_
        self.is_reused = False
        self.idle_since = 0.0

    def close(self) -> None:
        self.socket.close()


class S3Connections:
    """The connections to one endpoint. Thread-safe."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._is_tls = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if self._is_tls else 80)
        self._lock = threading.Lock()
        self._idle: deque[S3Connection] = deque(maxlen=MAX_IDLE)
        self._busy: set[S3Connection] = set()
        self.interrupted = threading.Event()

    def acquire(self) -> S3Connection:
        """Return a connection that no other request uses.

        Raises:
            ConnectionLostError: none can be made, or `interrupt` was called.
        """
        connection = self._idle_connection() or S3Connection(self._connect())
        with self._lock:
            self._busy.add(connection)
        if self.interrupted.is_set():
            self.discard(connection)
            raise ConnectionLostError("stopped")
        return connection

    def release(self, connection: S3Connection) -> None:
        """Take a connection back whose answer was read to its end."""
        connection.is_reused, connection.idle_since = True, time.monotonic()
        with self._lock:
            self._busy.discard(connection)
            surplus = self._idle.popleft() if len(self._idle) == MAX_IDLE else None
            self._idle.append(connection)
        if surplus:
            surplus.close()

    def discard(self, connection: S3Connection) -> None:
        """Close a connection on which no other request can follow."""
        with self._lock:
            self._busy.discard(connection)
        connection.close()

    def interrupt(self) -> None:
        """End all requests with ConnectionLostError, and all later ones until `resume`."""
        self.interrupted.set()
        with self._lock:
            busy = list(self._busy)
        for connection in busy:
            with suppress(OSError):  # not TLS's own shutdown, which another thread's read does not survive
                socket.socket.shutdown(connection.socket, socket.SHUT_RDWR)

    def resume(self) -> None:
        """Permit requests again."""
        self.interrupted.clear()

    def close_idle(self) -> None:
        with self._lock:
            idle = list(self._idle)
            self._idle.clear()
        for connection in idle:
            connection.close()

    def _idle_connection(self) -> S3Connection | None:
        """Return the one that was used last, so that surplus ones grow old."""
        old: list[S3Connection] = []
        with self._lock:
            found = self._idle.pop() if self._idle else None
            while self._idle and time.monotonic() - self._idle[0].idle_since > MAX_IDLE_S:
                old.append(self._idle.popleft())
        if found and time.monotonic() - found.idle_since > MAX_IDLE_S:
            old.append(found)
            found = None
        for connection in old:
            connection.close()
        return found

    def _connect(self) -> socket.socket:
        try:
            connected = self._open()
            try:
                tcp.prepare(connected, SILENCE_TIMEOUT_S)
                if self._is_tls:
                    connected = _tls_context().wrap_socket(connected, server_hostname=self._host)
                connected.settimeout(SILENCE_TIMEOUT_S)
            except BaseException:
                connected.close()
                raise
        except (OSError, HostError) as error:
            raise ConnectionLostError(reason_of(error)) from error
        return connected

    def _open(self) -> socket.socket:
        proxy = proxy_for(self._host) if self._is_tls else None
        if proxy:
            return open_tunnel(proxy, self._host, self._port, CONNECT_TIMEOUT_S)
        host = "127.0.0.1" if self._host == "localhost" or self._host.endswith(".localhost") else self._host
        return socket.create_connection((host, self._port), CONNECT_TIMEOUT_S)


def reason_of(error: Exception) -> str:
    """Return why a connection broke, in the words of this system."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS: {error.verify_message}"
    if isinstance(error, TimeoutError):
        return "timed out"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__


@cache
def _tls_context() -> ssl.SSLContext:
    """Return the context of all connections, with the host's own authorities."""
    return ssl.create_default_context()
