"""An HTTP server on loopback, for rclone's requests to this agent.

rclone reaches neither a source nor credentials on a Unix socket, so these are TCP ports, which every user of
the host can reach. A connection of another user is closed before anything is read from it.
"""

import logging
import os
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Generic, TypeVar

log = logging.getLogger(__name__)

_SOCKETS = Path("/proc/net/tcp")
"""The kernel's IPv4 connections, with the user who created each: proc(5)."""

_ESTABLISHED = "01"

Owner = TypeVar("Owner")


class LoopbackServer(ThreadingHTTPServer, Generic[Owner]):
    """Serves on a free port, from its creation until `close`."""

    daemon_threads = True

    def __init__(self, handler: type[BaseHTTPRequestHandler], owner: Owner, name: str) -> None:
        """Start the server. Handlers find `owner` as `self.server.owner`; `name` is the thread's name."""
        self.owner = owner
        super().__init__(("127.0.0.1", 0), handler)
        threading.Thread(target=self.serve_forever, name=name, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"

    def handle_error(self, *_: object) -> None:
        """Log why a request failed; that rclone was ended in the middle of one is not an error."""
        if isinstance(sys.exception(), OSError):
            log.debug("rclone closed a connection", exc_info=True)
        else:
            log.exception("a request of rclone failed")

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ARG002 - the base's names
        """Return whether a process of this agent's own user made the connection."""
        try:
            user_id = user_of(client_address, self.server_address[:2])
        except OSError as error:
            log.warning("loopback connection refused", extra={"reason": str(error)})
            return False
        if user_id != os.geteuid():
            log.warning("loopback connection of another user refused", extra={"user_id": user_id})
        return user_id == os.geteuid()

    def close(self) -> None:
        self.shutdown()
        self.server_close()


def user_of(client: tuple[str, int], server: tuple[Any, ...], sockets: Path = _SOCKETS) -> int | None:
    """Return the ID of the user whose process connected from `client` to `server`, both (IPv4 address, port).

    None if there is no such connection (any more). One that its process has closed counts as none: the kernel
    then names root, whoever made it. `sockets` is the kernel's list. Raises OSError if the kernel does not
    tell.
    """
    wanted = [_hexadecimal(*client), _hexadecimal(*server), _ESTABLISHED]
    for line in sockets.read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1:4] == wanted:
            return int(fields[7])
    return None


def _hexadecimal(host: str, port: int) -> str:
    """Return an address as the kernel writes it: the IPv4 address as one number in the host's byte order."""
    address = int.from_bytes(socket.inet_aton(host), sys.byteorder)
    return f"{address:08X}:{port:04X}"


class QuietHandler:
    """Mixin that keeps a request handler from writing to standard error."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """Log nothing: it would go to standard error."""
