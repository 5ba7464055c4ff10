"""Notice that nothing comes from the other end of a connection any more.

Linux gives up a connection whose peer acknowledges nothing after some 15 minutes. A source notices here, at
most two checks after `LaneLimits.silence_timeout_s` seconds, and a destination in its kernel (`agent.tcp`).
"""

import logging
import socket
import time
from collections.abc import Iterable

from agent.lane.sockets import shut_down
from agent.tcp import tcp_info

log = logging.getLogger(__name__)

CHECKS_PER_TIMEOUT = 6
MIN_LOST_PROBES = 3
"""Probes of a closed window that remain unanswered until the line, rather than one packet, counts as lost.
They are up to two minutes apart."""


class SilenceWatch:
    """Shuts down connections whose peer has acknowledged nothing for long, though data is in flight.

    A peer that reads slowly, or not at all for a while, is not silent: its system answers.
    """

    def __init__(self, timeout_s: float) -> None:
        self.interval_s = timeout_s / CHECKS_PER_TIMEOUT
        """Seconds between two calls of `check`."""
        self._timeout_s = timeout_s
        self._checked_at = time.monotonic()
        self._silent_since: dict[socket.socket, float] = {}

    def check(self, connections: Iterable[socket.socket]) -> None:
        """Look at the open connections, and shut down those that are silent."""
        now, before = time.monotonic(), self._silent_since
        since_last_check_s, self._checked_at = now - self._checked_at, now
        silent = [connection for connection in connections if _is_silent(connection, since_last_check_s)]
        self._silent_since = {connection: before.get(connection, now) for connection in silent}
        for connection, since in self._silent_since.items():
            if now - since >= self._timeout_s:
                log.info("lane connection silent", extra={"seconds": round(now - since)})
                shut_down(connection)


def _is_silent(connection: socket.socket, seconds: float) -> bool:
    """Return whether the peer owes an answer, and has acknowledged nothing for so long."""
    info = tcp_info(connection)
    if info is None or info.last_ack_s < seconds:
        return False
    return info.unacknowledged > 0 or info.probes >= MIN_LOST_PROBES
