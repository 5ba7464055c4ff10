"""Listen on one port for all hops: each connection has its own thread, in which it first shakes hands.

So a slow peer never delays another one.
"""

import errno
import logging
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from socketserver import BaseRequestHandler, TCPServer, ThreadingMixIn
from typing import Any

from agent.lane.dialer import describe_error

log = logging.getLogger(__name__)

HANDSHAKE_TIMEOUT_S = 10.0
MAX_HANDSHAKES = 256
"""Handshakes at once. Further connections are closed: strangers must not use up the process's descriptors."""
ACCEPT_BACKOFF_S = 0.2
"""Seconds without accepting connections when the process has run out of descriptors."""

HandleConnection = Callable[[ssl.SSLSocket, Any], None]


class Listener(ThreadingMixIn, TCPServer):
    """A TCP server with one thread a connection.

    Unlike http.server's, it makes no DNS query for this host's name, and does not poll to find out that it is
    to stop.
    """

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(
        self, listen: tuple[str, int], context: ssl.SSLContext, handle_connection: HandleConnection
    ) -> None:
        """Bind the port.

        `handle_connection` runs in the connection's thread after the handshake, and closes the connection.
        """
        self._context = context
        self._handle_connection = handle_connection
        self._handshakes = threading.BoundedSemaphore(MAX_HANDSHAKES)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._accept, name="lane", daemon=True)
        self.address_family = socket.AF_INET6 if ":" in listen[0] else socket.AF_INET
        super().__init__(listen, BaseRequestHandler)

    def listen(self) -> None:
        self._thread.start()

    def close_port(self) -> None:
        """Close the port and wait for the accepting thread. May be called more than once."""
        self._stopped.set()
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)  # wakes the accepting thread
        self._thread.join()
        self.server_close()

    def _accept(self) -> None:
        """Accept connections until `stop`: if this thread ended, no peer could dial this host any more."""
        while not self._stopped.is_set():
            try:
                self.handle_request()
            except Exception:
                if not self._stopped.is_set():
                    log.exception("lane cannot accept")
                    time.sleep(ACCEPT_BACKOFF_S)

    def get_request(self) -> tuple[socket.socket, Any]:
        try:
            return super().get_request()
        except OSError as error:
            if error.errno in {errno.EMFILE, errno.ENFILE}:  # without a pause, the loop would spin
                log.warning("lane cannot accept", extra={"reason": error.strerror})
                time.sleep(ACCEPT_BACKOFF_S)
            raise

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._handshakes.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._handshakes.release()
            raise

    def finish_request(self, request: Any, client_address: Any) -> None:
        try:
            secured = self._handshake(request)
        except OSError as error:  # includes ssl.SSLError
            log.info(
                "lane handshake failed", extra={"peer": client_address[0], "reason": describe_error(error)}
            )
            return
        finally:
            self._handshakes.release()
        self._handle_connection(secured, client_address)

    def _handshake(self, request: socket.socket) -> ssl.SSLSocket:
        request.settimeout(HANDSHAKE_TIMEOUT_S)
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        request.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return self._context.wrap_socket(request, server_side=True)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the base's names
        peer = {"peer": client_address[0]}
        if isinstance(sys.exception(), OSError):  # the peer closed the connection
            log.info("lane connection broke", extra=peer)
        else:
            log.exception("lane connection broke", extra=peer)
