"""Socket helpers that both ends of a lane use."""

import errno
import os
import select
import socket
import ssl
from contextlib import suppress
from typing import Any


class LaneSocket(ssl.SSLSocket):
    """A TLS socket that is closed if the peer is gone before the handshake.

    The standard library would leave it open then: `wrap_socket` has taken the plain socket over and raises
    without closing it, or returns it without a handshake.
    """

    def getpeername(self) -> Any:
        """Return the peer's address. Close the socket and raise ConnectionResetError if there is none.

        `wrap_socket` calls this first.
        """
        try:
            return super().getpeername()
        except OSError as error:
            self.close()
            raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET)) from error


def has_no_data(connection: ssl.SSLSocket) -> bool:
    """Return whether an idle connection is still usable: open, with nothing to read.

    On an idle connection neither side may send, so anything readable is the end of the stream or a violation.
    """
    watch = select.poll()
    watch.register(connection, select.POLLIN)
    return not watch.poll(0)


def shut_down(connection: socket.socket) -> None:
    """Shut down a connection, from any thread.

    This bypasses the TLS socket's own `shutdown`, which drops TLS first: a thread that is still sending would
    continue in clear text, and a thread that is reading would accept clear text.
    """
    with suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
