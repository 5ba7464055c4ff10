"""Cut a real TCP connection as a pulled cable does: nothing arrives any more, and nobody says so."""

import ctypes
import socket
import struct

_SO_ATTACH_FILTER = 26
_DROP_ALL = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))
"""A packet filter of one instruction: accept nothing (see bpf(4) and socket(7))."""


def cut(*connections: socket.socket) -> None:
    """Let these sockets receive nothing from now on, neither data nor acknowledgments."""
    for connection in connections:
        program = struct.pack("HP", 1, ctypes.addressof(_DROP_ALL))
        connection.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
