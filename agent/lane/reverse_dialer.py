"""The source dials, too: it keeps idle connections open at a hop's destination until the destination dials.

At least one connection is idle there, and as many as are in use, up to MAX_IDLE_CONNECTIONS. So the
destination can use as many as it needs, without a message about their number.
"""

import logging
import ssl
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial

from agent.errors import HopError
from agent.lane.connection_race import ConnectionRace
from agent.lane.dialer import HOP_UNKNOWN_TEXT, Dialer
from agent.lane.inbound import reverse_request
from agent.lane.limits import LaneLimits
from agent.lane.peer_paths import PeerPath, PeerPathCache
from agent.pull.source import SourceConnectionError
from events.commands import Serve

log = logging.getLogger(__name__)

MAX_IDLE_CONNECTIONS = 4
"""Idle connections at the destination, in addition to those in use."""
_MAX_ANSWER_BYTES = 4096

ServeConnection = Callable[[ssl.SSLSocket, str, Callable[[], None]], None]
"""Serves a connection that was dialed to this address, until it ends, and calls the function at each request.
"""


@dataclass(frozen=True)
class DialingResources:
    """What the reverse dialers of an agent share."""

    path_cache: PeerPathCache
    limits: LaneLimits
    threads: threading.BoundedSemaphore
    """Bounds the threads that dial, of all hops together."""


class ReverseDialer:
    """Dials the destination of one hop that is served, in one thread."""

    def __init__(
        self,
        dialer: Dialer,
        serve: Serve,
        token: str,
        shared: DialingResources,
        serve_connection: ServeConnection,
        on_unreachable: Callable[[Serve, str], None],
    ) -> None:
        """`on_unreachable` is called once, with the error of each address, if none could be reached."""
        self._dialer = dialer
        self._serve = serve
        self._token = token
        self._path_cache = shared.path_cache
        self._limits = shared.limits
        self._threads = shared.threads
        self._serve_connection = serve_connection
        self._on_unreachable = on_unreachable
        self._changed = threading.Condition()
        self._idle_count = self._in_use_count = self._inbound_count = 0
        self._stopped = False
        self._race: ConnectionRace[ssl.SSLSocket] | None = None
        self._last_errors = ""

    def start_dialing(self) -> None:
        threading.Thread(target=self._run, name="reverse-dial", daemon=True).start()

    def stop_dialing(self) -> None:
        """Dial no more, from any thread. Open connections are left alone."""
        with self._changed:
            self._stopped = True
            self._wake()

    @property
    def is_connected(self) -> bool:
        """Return whether the destination uses a connection, whichever side dialed it."""
        with self._changed:
            return bool(self._inbound_count or self._in_use_count)

    def on_connected(self) -> None:
        """Stop dialing while the destination has a connection of its own for this hop."""
        with self._changed:
            self._inbound_count += 1
            self._wake()

    def on_disconnected(self) -> None:
        """Count one connection less that the destination dialed."""
        with self._changed:
            self._inbound_count -= 1
            self._wake()

    def _wake(self) -> None:
        if self._race and (self._stopped or self._inbound_count):
            self._race.end_race()
        self._changed.notify_all()

    def _run(self) -> None:
        last_path = self._path_cache.recall(self._serve.peer.agent_id)
        was_dialed_by_peer = last_path and not (last_path.dialed or last_path.relayed)
        delay_s = self._limits.head_start_s if was_dialed_by_peer else 0.0
        while True:
            try:
                return self._dial(last_path, delay_s)
            except Exception:  # a thread that ended would leave the destination waiting
                log.exception("dialing failed", extra={"hop_id": self._serve.hop_id})
                delay_s = self._limits.redial_backoff.max_s

    def _dial(self, last_path: PeerPath | None, delay_s: float) -> None:
        """Keep idle connections open until `stop`."""
        failures = 0
        while self._wait_until_needed(delay_s):
            race = self._race = ConnectionRace(
                {endpoint: partial(self._open_idle, endpoint) for endpoint in self._serve.endpoints},
                last_path.address if last_path and last_path.dialed else None,
                self._limits.head_start_s,
                self._threads,
            )
            try:
                endpoint, connection = race.first_connection(self._limits.dial_timeout_s)
            except (SourceConnectionError, HopError) as error:
                failures = (
                    0 if race.any_failed_with(HOP_UNKNOWN_TEXT) or self._inbound_count else failures + 1
                )
                delay_s = self._limits.redial_backoff.delay_s(failures)
                self._report_failure(str(error), destination_answered=race.any_failed_with(HOP_UNKNOWN_TEXT))
            else:
                delay_s, failures = 0.0, 0
                self._start_serving(endpoint, connection)

    def _wait_until_needed(self, delay_s: float) -> bool:
        """Wait `delay_s` seconds, then until another connection is needed; return False after `stop`."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped, delay_s)
            self._changed.wait_for(
                lambda: self._stopped or (not self._inbound_count and self._needs_connection())
            )
            return not self._stopped

    def _needs_connection(self) -> bool:
        return self._idle_count < min(max(1, self._in_use_count), MAX_IDLE_CONNECTIONS)

    def _report_failure(self, errors: str, destination_answered: bool) -> None:
        """Log and report each new set of errors once.

        If `destination_answered`, it will accept connections once the hop starts there, so nothing is
        reported.
        """
        with self._changed:
            is_over = self._stopped or self._inbound_count
        if not is_over and errors != self._last_errors:
            log.info("lane not dialed", extra={"hop_id": self._serve.hop_id, "reason": errors})
            if not self._last_errors and not destination_answered:
                self._on_unreachable(self._serve, errors)
            self._last_errors = errors

    def _open_idle(self, endpoint: str) -> ssl.SSLSocket:
        """Return a connection on which the destination agreed to send requests.

        Raises:
            OSError: the connection failed.
            SourceConnectionError: the destination refused.
        """
        connection = self._dialer.dial(endpoint)
        try:
            connection.sendall(reverse_request(self._serve.hop_id, self._token, endpoint))
            _require_reversed(_read_head(connection))
        except BaseException:
            connection.close()
            raise
        return connection

    def _start_serving(self, endpoint: str, connection: ssl.SSLSocket) -> None:
        with self._changed:
            self._idle_count += 1
        thread = threading.Thread(
            target=self._serve_until_closed, args=[endpoint, connection], name="lane", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:
            self._count(waiting=-1, in_use=0)
            connection.close()
            raise

    def _serve_until_closed(self, endpoint: str, connection: ssl.SSLSocket) -> None:
        in_use = False

        def on_request() -> None:
            nonlocal in_use
            if not in_use:
                in_use = True
                self._path_cache.remember(self._serve.peer.agent_id, PeerPath(dialed=True, address=endpoint))
                self._count(waiting=-1, in_use=1)

        try:
            with closing(connection):
                self._serve_connection(connection, endpoint, on_request)
        except OSError as error:
            facts = {"hop_id": self._serve.hop_id, "peer": endpoint, "reason": str(error)}
            log.info("lane connection broke", extra=facts)
        finally:
            self._count(waiting=0 if in_use else -1, in_use=-1 if in_use else 0)

    def _count(self, waiting: int, in_use: int) -> None:
        with self._changed:
            self._idle_count += waiting
            self._in_use_count += in_use
            self._changed.notify_all()


def _read_head(connection: ssl.SSLSocket) -> bytes:
    """Return a response's status line and headers.

    Read no byte more: the destination's first request may follow at once.
    """
    head = bytearray()
    while not head.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        if not byte or len(head) > _MAX_ANSWER_BYTES:
            raise SourceConnectionError("closed the connection without a request")
        head += byte
    return bytes(head)


def _require_reversed(head: bytes) -> None:
    status = head.split(b" ", 2)[1:2]
    if status == [b"401"]:
        raise SourceConnectionError(HOP_UNKNOWN_TEXT)
    if status != [b"101"]:
        raise SourceConnectionError(f"answered {head.splitlines()[0].decode('ascii', 'replace')!r}")
