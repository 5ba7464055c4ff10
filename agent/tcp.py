"""Set and read the options of TCP connections: congestion control, and how soon a dead peer is noticed."""

import socket
import struct
from contextlib import suppress
from typing import NamedTuple

BBR = "bbr"
"""The congestion control that fills long lines which lose packets, where others take each loss for
congestion."""
KEEPALIVE_PROBES = 4
_ALGORITHM_BYTES = 16
_INFO = struct.Struct("=3xB20xI28xI8xI")
"""The part of Linux' `struct tcp_info` that is read, see tcp(7)."""


def prepare(connection: socket.socket, silence_timeout_s: float) -> None:
    """Set the options of a lane's TCP socket.

    BBR is used where the kernel has it and permits it to this process; otherwise the system's own algorithm
    stays. While nothing is in flight, an unanswered peer is noticed within `silence_timeout_s` seconds.
    """
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with suppress(OSError):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, BBR.encode())
    first_s = max(1, round(silence_timeout_s / 3))
    interval_s = max(1, round((silence_timeout_s - first_s) / KEEPALIVE_PROBES))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, first_s)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, interval_s)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_PROBES)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


def limit_unacknowledged(connection: socket.socket, seconds: float) -> None:
    """Let the kernel end a TCP connection whose peer acknowledges nothing for so many seconds.

    Only for an end whose peer always reads: Linux also ends a connection whose peer takes no data for so
    long. A connection that is not TCP, as through the relay bucket, is left alone.
    """
    with suppress(OSError):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, max(1, round(seconds * 1000)))


def congestion_control(connection: socket.socket) -> str | None:
    """Return the name of the algorithm by which a TCP connection sends; None if it is not TCP."""
    try:
        found = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, _ALGORITHM_BYTES)
    except OSError:
        return None
    return found.partition(b"\0")[0].decode("ascii", "replace") or None


def host_congestion_control() -> str | None:
    """Return the name of the algorithm by which lane connections of this host send."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        prepare(probe, 1)
        return congestion_control(probe)


class TcpInfo(NamedTuple):
    """What the kernel knows about a connection."""

    probes: int
    """Unanswered probes of an idle connection, or of a peer that takes no more data."""
    unacknowledged: int
    """Packets in flight."""
    last_ack_s: float
    """Seconds since the peer acknowledged anything."""
    round_trip_s: float


def tcp_info(connection: socket.socket) -> TcpInfo | None:
    """Return what the kernel knows about a connection; None if it is closed or not TCP."""
    try:
        found = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO.size)
        probes, unacknowledged, last_ack_ms, round_trip_us = _INFO.unpack(found)
    except (OSError, struct.error):
        return None
    return TcpInfo(probes, unacknowledged, last_ack_ms / 1000, round_trip_us / 1e6)
