"""What both ends of a lane do with its connections."""

import select
import socket
import ssl
from contextlib import suppress


def has_no_data(connection: ssl.SSLSocket) -> bool:
    """Is there nothing to read on a connection on which nobody should be saying anything? What can be read
    is its end, or somebody who talks unasked."""
    watch = select.poll()
    watch.register(connection, select.POLLIN)
    return not watch.poll(0)


def shut_down(connection: socket.socket) -> None:
    """From any thread. Not with the TLS socket's own `shutdown`: it drops TLS first, and whoever is sending
    would go on in the clear, whoever is reading be given what comes in the clear."""
    with suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
