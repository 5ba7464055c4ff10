"""The source's listener at the relay bucket: serves the connections that a hop's destination opens there.

They are served like those that arrive at the agent's port.
"""

import logging
import socket
import threading
import time
from collections.abc import Callable

from agent.errors import HopError
from agent.lane.relay.bucket import RelayBucket, delete_objects
from agent.lane.relay.tunnel import GONE, Tunnel, stop_all
from agent.pull.mover import Credentials
from agent.pull.source import SourceConnectionError
from events.commands import Relay

log = logging.getLogger(__name__)

MIN_POLL_INTERVAL_S = 1.0
"""Seconds between two checks for new connections."""
MAX_POLL_INTERVAL_S = 10.0
"""Seconds between two checks while no connection arrives: a hop may wait for long before it starts."""
MAX_CONNECTIONS = 64
"""Connections at once; further ones wait."""
CLOSE_TIMEOUT_S = 5.0

ServeRelayed = Callable[[str, socket.socket, Callable[[], None]], None]
"""Serves a connection of this hop until it ends, and calls the function at each request."""


class RelayListener:
    """Listens for one served hop, in a thread of its own."""

    def __init__(
        self,
        hop_id: str,
        relay: Relay,
        credentials: Credentials,
        serve: ServeRelayed,
        is_connected_directly: Callable[[str], bool],
        first_poll_delay_s: float,
    ) -> None:
        """Prepare; `start` begins to listen.

        `is_connected_directly` says whether the destination has a direct connection; then the bucket is not
        polled. `first_poll_delay_s` is the time that the destination has to find a direct way.
        """
        self._hop_id = hop_id
        self._relay = relay
        self._credentials = credentials
        self._serve = serve
        self._is_connected_directly = is_connected_directly
        self._first_poll_delay_s = first_poll_delay_s
        self._tunnels: dict[str, Tunnel] = {}
        """By name: all connections so far, including those that have ended."""
        self._stopped = threading.Event()
        self._deletes = False
        self._thread = threading.Thread(target=self._run, name="relay-listen", daemon=True)

    def listen(self) -> None:
        self._thread.start()

    def stop_listening(self, *, delete: bool) -> None:
        """Stop listening, from any thread; with `delete`, delete what is left in the bucket."""
        self._deletes = delete
        self._stopped.set()

    def restart(self) -> None:
        """Close all connections, from any thread, because a new attempt of the hop is served now."""
        for tunnel in list(self._tunnels.values()):
            tunnel.end_connection()

    def join(self) -> None:
        self._thread.join(CLOSE_TIMEOUT_S)

    def _run(self) -> None:
        """Poll for connections until `stop`."""
        bucket: RelayBucket | None = None
        delay_s = self._first_poll_delay_s
        try:
            while not self._stopped.wait(delay_s):
                delay_s = max(delay_s, MIN_POLL_INTERVAL_S)
                if self._is_connected_directly(self._hop_id) and not self._is_busy:
                    continue
                try:
                    bucket = bucket or RelayBucket(self._hop_id, self._relay, self._credentials)
                    has_new = self._accept_new(bucket)
                except (SourceConnectionError, HopError) as error:
                    log.info("relay bucket not polled", extra={"hop_id": self._hop_id, "reason": str(error)})
                    has_new = False
                except Exception:  # a thread that ended would leave the destination waiting
                    log.exception("relay bucket not polled", extra={"hop_id": self._hop_id})
                    has_new, delay_s = False, MAX_POLL_INTERVAL_S
                delay_s = (
                    MIN_POLL_INTERVAL_S
                    if has_new or self._is_busy
                    else min(delay_s * 1.2, MAX_POLL_INTERVAL_S)
                )
        finally:
            if bucket:
                self._end(bucket)

    @property
    def _is_busy(self) -> bool:
        return any(tunnel.is_alive for tunnel in self._tunnels.values())

    def _accept_new(self, bucket: RelayBucket) -> bool:
        """Serve new connections, and return whether there were any.

        Raises:
            SourceConnectionError: the bucket cannot be used now.
            HopError: the control plane refuses credentials.
        """
        bucket.open()
        has_new = False
        for name in bucket.list_names():
            alive = sum(tunnel.is_alive for tunnel in self._tunnels.values())
            if name not in self._tunnels and alive < MAX_CONNECTIONS:
                has_new = True
                self._accept(bucket, name)
        return has_new

    def _accept(self, bucket: RelayBucket, name: str) -> None:
        tunnel = self._tunnels[name] = Tunnel(bucket, name, dialed=False)
        tunnel.start_threads()
        threading.Thread(target=self._serve_tunnel, args=[bucket, tunnel], name="lane", daemon=True).start()

    def _serve_tunnel(self, bucket: RelayBucket, tunnel: Tunnel) -> None:
        """Serve one connection.

        A connection to an earlier process of this agent, or from a stranger, fails in the handshake, and its
        other end is told.
        """
        try:
            with tunnel.socket:
                self._serve(self._hop_id, tunnel.socket, lambda: self._stop_older(tunnel.name))
        except OSError as error:  # includes ssl.SSLError
            log.info("relayed connection broke", extra={"hop_id": self._hop_id, "reason": str(error)})
            self._refuse(bucket, tunnel.name)
        finally:
            tunnel.end_connection()

    def _stop_older(self, name: str) -> None:
        """Close connections of earlier destination processes, which can no longer end them."""
        for tunnel in list(self._tunnels.values()):
            if tunnel.is_older_than(name):
                tunnel.end_connection()

    def _refuse(self, bucket: RelayBucket, name: str) -> None:
        if not self._stopped.is_set():
            try:
                bucket.put(f"{name}/{GONE}", b"-")
            except SourceConnectionError as error:
                log.info("relay peer not notified", extra={"hop_id": self._hop_id, "reason": str(error)})

    def _end(self, bucket: RelayBucket) -> None:
        stop_all(self._tunnels.values(), CLOSE_TIMEOUT_S)
        try:
            if self._deletes:
                delete_objects(bucket)
                time.sleep(CLOSE_TIMEOUT_S)  # time for the destination, if it runs, to end its connections
                delete_objects(bucket)
        except SourceConnectionError as error:  # the bucket expires the objects within a day
            log.info("relay bucket not cleaned", extra={"hop_id": self._hop_id, "reason": str(error)})
        finally:
            bucket.close()
