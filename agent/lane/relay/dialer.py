"""Connect to a source through the relay bucket when neither side can dial the other."""

import secrets
import threading
from collections.abc import Callable

from agent.lane.client import LaneClient
from agent.lane.dialer import Dialer, describe_error
from agent.lane.limits import LaneLimits
from agent.lane.relay.bucket import RelayBucket
from agent.lane.relay.tunnel import NAME_SEPARATOR, Tunnel, stop_all
from agent.pull.source import SourceConnectionError

CLOSE_TIMEOUT_S = 5.0
"""Seconds in which the source is told that all connections have ended."""
ADDRESS = "relay"


class RelayDialer:
    """Opens relayed connections for one hop. Safe to use from any thread."""

    def __init__(
        self,
        make_bucket: Callable[[], RelayBucket],
        dialer: Dialer,
        make_client: Callable[..., LaneClient],
        limits: LaneLimits,
    ) -> None:
        """`make_bucket` is called at the first connection.

        `make_client` takes a connection and the address that was dialed.
        """
        self._make_bucket = make_bucket
        self._dialer = dialer
        self._make_client = make_client
        self._answer_timeout_s = limits.relay_answer_timeout_s
        self._prefix = secrets.token_hex(4)
        """Prefix of its connections' names, so that the source can tell them from an earlier process's."""
        self._lock = threading.Lock()
        self._bucket: RelayBucket | None = None
        self._tunnels: list[Tunnel] = []
        self._interrupted = False

    def reset(self) -> None:
        """Allow connections again after `interrupt`."""
        with self._lock:
            self._interrupted = False

    def connect(self) -> LaneClient:
        """Return the first connection, once the source has answered on it.

        Raises:
            SourceConnectionError: the source did not answer.
            HopError: the source refused this hop.
        """
        self._open_bucket().open()
        client = self.connect_again()
        try:
            client.probe(self._answer_timeout_s)
        except OSError as error:
            client.close()
            raise SourceConnectionError(describe_error(error)) from error
        except BaseException:
            client.close()
            raise
        return client

    def connect_again(self) -> LaneClient:
        """Return a further connection. Raise SourceConnectionError if that fails."""
        tunnel = self._open_tunnel(self._open_bucket())
        try:
            tunnel.socket.settimeout(self._answer_timeout_s)
            return self._make_client(self._dialer.wrap(tunnel.socket), ADDRESS)
        except (OSError, ValueError) as error:
            tunnel.end_connection()
            raise SourceConnectionError(describe_error(error)) from error

    def close_connections(self) -> None:
        """Close all connections, from any thread, and open none until `reset`.

        Threads that wait get SourceConnectionError.
        """
        with self._lock:
            self._interrupted = True
            tunnels = list(self._tunnels)
        for tunnel in tunnels:
            tunnel.end_connection()

    def close(self) -> None:
        """Close all connections, once none is in use any more."""
        stop_all(self._tunnels, CLOSE_TIMEOUT_S)
        if self._bucket:
            self._bucket.close()

    def _open_tunnel(self, bucket: RelayBucket) -> Tunnel:
        with self._lock:
            if self._interrupted:
                raise SourceConnectionError("interrupted")
            name = f"{self._prefix}{NAME_SEPARATOR}{secrets.token_hex(4)}"
            tunnel = Tunnel(bucket, name, dialed=True)
            self._tunnels = [*(other for other in self._tunnels if other.is_alive), tunnel]
            tunnel.start_threads()
            return tunnel

    def _open_bucket(self) -> RelayBucket:
        with self._lock:
            self._bucket = self._bucket or self._make_bucket()
            return self._bucket
