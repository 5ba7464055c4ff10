"""Socket helpers that both ends of a lane use."""

import select
import socket
import ssl
from contextlib import suppress


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
