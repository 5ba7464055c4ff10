"""Listen on one port for all hops.

One thread accepts connections and waits for each one's ClientHello. The handshake and everything after it run
in a thread of the connection's own, so a slow peer never delays another one, and one that says nothing has no
thread at all.
"""

import errno
import logging
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from agent.lane.dialer import describe_error
from agent.lane.limits import LaneLimits
from agent.lane.pending_connections import PendingConnection, PendingConnections
from agent.lane.sockets import shut_down
from agent.tcp import prepare

log = logging.getLogger(__name__)

BACKLOG = 512
"""Connections that the kernel keeps until they are accepted."""
PARTIAL_HELLO_INTERVAL_S = 0.05
"""Seconds between two looks at a ClientHello that has arrived in part."""
_RECORD_HEADER_BYTES = 5
_HANDSHAKE_RECORD = 22
_MAX_RECORD_BYTES = 2**14 + _RECORD_HEADER_BYTES

HandleConnection = Callable[[ssl.SSLSocket, Any], None]


class Listener:
    """Accepts TLS connections from authenticated peers."""

    def __init__(
        self,
        listen: tuple[str, int],
        context: ssl.SSLContext,
        handle_connection: HandleConnection,
        limits: LaneLimits,
    ) -> None:
        """Bind the port.

        `handle_connection` runs in the connection's thread after the handshake, and closes the connection.
        """
        self._context = context
        self._handle_connection = handle_connection
        self._limits = limits
        self._pending = PendingConnections(limits)
        self._partial: set[PendingConnection] = set()
        """Connections whose ClientHello has arrived in part."""
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lane", daemon=True)
        is_ipv6 = ":" in listen[0]
        self._socket = socket.create_server(
            listen,
            family=socket.AF_INET6 if is_ipv6 else socket.AF_INET,
            backlog=BACKLOG,
            dualstack_ipv6=is_ipv6 and socket.has_dualstack_ipv6(),
        )
        self._socket.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._socket, selectors.EVENT_READ)

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    @property
    def pending_count(self) -> int:
        """Return the number of connections that are not authenticated yet."""
        return len(self._pending)

    def listen(self) -> None:
        self._thread.start()

    def close_port(self) -> None:
        """Close the port and wait for the accepting thread. May be called more than once."""
        self._stopped.set()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes the accepting thread
        self._thread.join()
        for pending in self._pending.take_all():
            self._drop(pending)
        self._selector.close()
        self._socket.close()

    def _run(self) -> None:
        """Accept connections until `close_port`: if this thread ended, no peer could dial this host."""
        while not self._stopped.is_set():
            try:
                self._accept_and_read()
            except Exception:
                if not self._stopped.is_set():
                    log.exception("lane cannot accept")
                    time.sleep(self._limits.accept_backoff_s)

    def _accept_and_read(self) -> None:
        for key, _ in self._selector.select(self._wait_s()):
            if key.data is None:
                self._accept()
            elif key.data.connection.fileno() >= 0:  # else it has just made room for another
                self._read_hello(key.data)
        for pending in list(self._partial):
            self._read_hello(pending)
        for pending in self._pending.take_late():
            log.debug("lane handshake failed", extra={"peer": pending.address[0], "reason": "too late"})
            self._drop(pending)

    def _wait_s(self) -> float | None:
        """Return for how many seconds nothing has to be done; None: until something arrives."""
        deadline = self._pending.next_deadline()
        if deadline is None:
            return None
        until_late = max(0.0, deadline - time.monotonic())
        return min(until_late, PARTIAL_HELLO_INTERVAL_S) if self._partial else until_late

    def _accept(self) -> None:
        try:
            connection, address = self._socket.accept()
        except BlockingIOError:
            return
        except OSError as error:
            if not self._stopped.is_set():
                log.warning("lane cannot accept", extra={"reason": error.strerror})
                if error.errno in {errno.EMFILE, errno.ENFILE}:  # without a pause, the loop would spin
                    time.sleep(self._limits.accept_backoff_s)
            return
        connection.setblocking(False)
        pending = PendingConnection(connection, address)
        if dropped := self._pending.add(pending):
            self._drop(dropped)
        self._selector.register(connection, selectors.EVENT_READ, pending)

    def _drop(self, pending: PendingConnection) -> None:
        """Close a connection that is not in `pending` any more; if it has a thread, that closes it."""
        if pending.hello_at is None:
            self._unregister(pending)
            pending.connection.close()
        else:
            shut_down(pending.connection)

    def _unregister(self, pending: PendingConnection) -> None:
        self._partial.discard(pending)
        with suppress(KeyError):
            self._selector.unregister(pending.connection)

    def _read_hello(self, pending: PendingConnection) -> None:
        """Start the handshake once the ClientHello is complete; one that is not is looked at again."""
        try:
            data = pending.connection.recv(_MAX_RECORD_BYTES, socket.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._unregister(pending)
        if not data:
            self._pending.remove(pending)
            pending.connection.close()
        elif _is_complete(data):
            self._start_handshake(pending)
        else:
            self._partial.add(pending)

    def _start_handshake(self, pending: PendingConnection) -> None:
        plain = pending.connection
        try:
            plain.settimeout(self._limits.handshake_timeout_s)
            prepare(plain, self._limits.silence_timeout_s)
            secured = self._context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
            pending.connection, pending.hello_at = secured, time.monotonic()
            threading.Thread(
                target=self._serve, args=[secured, pending], name="lane peer", daemon=True
            ).start()
        except (OSError, RuntimeError) as error:  # RuntimeError: there are too many threads
            log.info("lane handshake failed", extra={"peer": pending.address[0], "reason": str(error)})
            self._pending.remove(pending)
            pending.connection.close()

    def _serve(self, connection: ssl.SSLSocket, pending: PendingConnection) -> None:
        """Shake hands, and handle the connection until it ends."""
        peer = {"peer": pending.address[0]}
        try:
            connection.do_handshake()
        except (OSError, ValueError) as error:  # includes ssl.SSLError; ValueError: the peer has gone already
            self._pending.remove(pending)
            connection.close()
            log.info("lane handshake failed", extra=peer | {"reason": describe_error(error)})
            return
        self._pending.remove(pending, authenticated=True)
        try:
            self._handle_connection(connection, pending.address)
        except OSError:  # the peer closed the connection
            log.info("lane connection broke", extra=peer)
        except Exception:
            log.exception("lane connection broke", extra=peer)


def _is_complete(data: bytes) -> bool:
    """Return whether this is a whole TLS record, or the beginning of something that is none."""
    if data[0] != _HANDSHAKE_RECORD:
        return True
    size = _RECORD_HEADER_BYTES + int.from_bytes(data[3:5])
    return len(data) >= min(size, _MAX_RECORD_BYTES) and len(data) >= _RECORD_HEADER_BYTES
