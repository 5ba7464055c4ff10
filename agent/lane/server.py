"""This agent's end of all lanes: accepts the peers of its hops, and dials the destinations it serves."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from itertools import chain
from typing import TYPE_CHECKING, Any

from agent.errors import HopError
from agent.identity.lane_certificate import Identities
from agent.lane.dialer import Dialer
from agent.lane.grants import Grants
from agent.lane.inbound import InboundConnections, UpgradeHandler
from agent.lane.limits import LaneLimits
from agent.lane.listener import Listener
from agent.lane.peer_paths import PeerPath, PeerPathCache
from agent.lane.request_handler import HopRequestHandler
from agent.lane.reverse_dialer import DialingResources, ReverseDialer
from agent.lane.silence import SilenceWatch
from agent.lane.sockets import shut_down
from agent.problems import PEER_CERTIFICATE
from agent.pull.mover import Credentials, HostResources
from events.commands import Peer, Serve

if TYPE_CHECKING:
    from agent.lane.relay.listener import RelayListener

RELAY_ADDRESS = "relay"
"""Stands in for the peer's address."""


class LaneServer:
    """Serves all hops on one port."""

    def __init__(
        self,
        identities: Identities,
        host: HostResources,
        listen: tuple[str, int],
        peer_paths: PeerPathCache | None = None,
        credentials: Credentials | None = None,
        limits: LaneLimits = LaneLimits(),
    ) -> None:
        """Prepare the server; `start` binds the port.

        `peer_paths` are remembered paths to peers. Without `credentials` for the relay bucket, nothing is
        relayed from here.
        """
        self._identities = identities
        self._roots = host.roots
        self._listen = listen
        self.limits = limits
        self.peer_paths = peer_paths or PeerPathCache()
        self.grants = Grants(identities, host.bandwidth, host.active_pulls, limits)
        self._dialing = DialingResources(
            self.peer_paths, limits, threading.BoundedSemaphore(limits.max_dialing_threads)
        )
        self._connections: dict[str, set[socket.socket]] = {}
        self._on_unreachable: Callable[[Serve, str], None] = _ignore_unreachable
        self._reverse_dialers: dict[str, ReverseDialer] = {}
        self._credentials = credentials
        self._relay_listeners: dict[str, RelayListener] = {}
        self._lock = threading.Lock()
        self._server: Listener | None = None
        self._stopped = threading.Event()

    def listen(self) -> None:
        """Listen, in threads of the server's own. Raise OSError if the port cannot be bound."""
        self._server = Listener(self._listen, self.grants.context, self._handle_connection, self.limits)
        self._server.listen()
        threading.Thread(target=self._watch_for_silence, name="lane-watch", daemon=True).start()

    def shut_down(self) -> None:
        """Close the port and all connections, and dial no more."""
        self._stopped.set()
        if self._server:
            self._server.close_port()
        self.grants.revoke_all()
        with self._lock:
            for dialer in self._reverse_dialers.values():
                dialer.stop_dialing()
            relay_listeners = list(self._relay_listeners.values())
            for connection in chain.from_iterable(self._connections.values()):
                shut_down(connection)
        for relay_listener in relay_listeners:
            relay_listener.stop_listening(delete=False)
        for relay_listener in relay_listeners:
            relay_listener.join()

    def _watch_for_silence(self) -> None:
        """Close connections of served hops on which nothing comes from the peer's system any more."""
        watch = SilenceWatch(self.limits.silence_timeout_s)
        while not self._stopped.wait(watch.interval_s):
            with self._lock:
                connections = list(chain.from_iterable(self._connections.values()))
            watch.check(connections)

    @property
    def port(self) -> int:
        """Return the configured port, or the one that the system chose if that was 0."""
        return self._server.port if self._server else self._listen[1]

    @property
    def is_on_loopback(self) -> bool:
        """Return whether only this host itself can reach the lane.

        Then its peers run here, too, as in a demonstration, and are dialed on loopback. No other agent does.
        """
        try:
            return ip_address(self._listen[0]).is_loopback
        except ValueError:
            return False

    def allow(self, serve: Serve, token: str) -> None:
        """Serve a hop to its peer, and dial the peer until it connects.

        Raises:
            HopError: the path is outside the roots, or the peer's certificate or a filter cannot be read.
        """
        self._roots.tree(serve.path, writing=serve.options.clears_source).close()
        earlier = self.grants.get(serve.hop_id)
        try:
            self.grants.grant(serve, token)
        except ValueError as error:
            raise HopError(PEER_CERTIFICATE.problem(agent_id=serve.peer.agent_id)) from error
        self._replace_dialer(serve.hop_id, self._reverse_dialer(serve, token) if serve.endpoints else None)
        self._listen_on_relay(
            serve, is_new_attempt=earlier is not None and earlier.serve.attempt < serve.attempt
        )

    def on_unreachable(self, callback: Callable[[Serve, str], None]) -> None:
        """Call this, on any thread, with a hop whose peer cannot be reached and the error of each address."""
        self._on_unreachable = callback

    def revoke(self, hop_id: str) -> None:
        """Stop serving a hop, and close its connections."""
        self.grants.remove(hop_id)
        self._replace_dialer(hop_id, None)
        with self._lock:
            for connection in self._connections.get(hop_id, ()):
                shut_down(connection)
            relay_listener = self._relay_listeners.pop(hop_id, None)
        if relay_listener:
            relay_listener.stop_listening(delete=True)

    def expect_inbound(
        self, hop_id: str, source: Peer, token: str, own_certificate: str | None = None
    ) -> InboundConnections:
        """Accept connections from the source of a hop to this agent, until the returned object is closed.

        `own_certificate` is the name of the certificate of ours that the source expects.

        Raises:
            HopError: the source's certificate cannot be read.
        """
        try:
            return self.grants.expect_inbound(hop_id, source, token, own_certificate)
        except ValueError as error:
            raise HopError(PEER_CERTIFICATE.problem(agent_id=source.agent_id)) from error

    @property
    def served(self) -> int:
        """Number of hops whose peer is connected."""
        with self._lock:
            return len(self._connections)

    def _reverse_dialer(self, serve: Serve, token: str) -> ReverseDialer:
        def serve_connection(
            connection: ssl.SSLSocket, endpoint: str, on_request: Callable[[], None]
        ) -> None:
            with self._tracked(serve.hop_id, connection):
                HopRequestHandler(
                    self.grants, self._roots, serve.hop_id, connection, (endpoint, 0), on_request
                )

        dialer = Dialer(
            self._identities.named(serve.own_certificate),
            serve.peer,
            serve.hop_id,
            self.limits,
            loopback=self.is_on_loopback,
        )
        return ReverseDialer(dialer, serve, token, self._dialing, serve_connection, self._on_unreachable)

    def _listen_on_relay(self, serve: Serve, *, is_new_attempt: bool) -> None:
        """Listen at the relay bucket, too, if the hop may be relayed.

        A listener that already runs is kept: it is for the same prefix of the bucket.
        """
        with self._lock:
            if listener := self._relay_listeners.get(serve.hop_id):
                if is_new_attempt:
                    listener.restart()
            elif serve.relay and self._credentials:
                # Imported here, so that an idle agent does not load the rclone modules.
                from agent.lane.relay.listener import RelayListener

                last_path = self.peer_paths.recall(serve.peer.agent_id)
                was_relayed = last_path is not None and last_path.relayed
                listener = RelayListener(
                    serve.hop_id,
                    serve.relay,
                    self._credentials,
                    self._serve_relayed,
                    self._is_connected_directly,
                    # after a relayed hop the destination uses the relay without waiting
                    first_poll_delay_s=0.0 if was_relayed else self.limits.dial_timeout_s,
                )
                self._relay_listeners[serve.hop_id] = listener
                listener.listen()

    def _serve_relayed(
        self, hop_id: str, plain: socket.socket, on_listener_request: Callable[[], None]
    ) -> None:
        """Serve a connection through the relay bucket until it ends. Raise OSError if it broke."""

        def on_request() -> None:
            on_listener_request()
            with self._lock:
                dialer = self._reverse_dialers.get(hop_id)
            if dialer is None or not dialer.is_connected:
                self._remember(hop_id, PeerPath(dialed=False, relayed=True))

        plain.settimeout(self.limits.handshake_timeout_s)
        with self.grants.context.wrap_socket(plain, server_side=True) as connection:
            if self.grants.hop_of(connection.context) == hop_id:
                with self._tracked(hop_id, connection):
                    HopRequestHandler(
                        self.grants, self._roots, hop_id, connection, (RELAY_ADDRESS, 0), on_request
                    )

    def _is_connected_directly(self, hop_id: str) -> bool:
        """Return whether the peer of a served hop has a direct connection."""
        with self._lock:
            dialer = self._reverse_dialers.get(hop_id)
            return dialer.is_connected if dialer else bool(self._connections.get(hop_id))

    def _replace_dialer(self, hop_id: str, dialer: ReverseDialer | None) -> None:
        with self._lock:
            if old := self._reverse_dialers.pop(hop_id, None):
                old.stop_dialing()
            if dialer:
                self._reverse_dialers[hop_id] = dialer
                dialer.start_dialing()

    def _handle_connection(self, connection: ssl.SSLSocket, address: Any) -> None:
        """Serve an inbound connection until it ends, or add it to those that wait for this agent's pull."""
        try:
            if inbound := self.grants.inbound_of(connection.context):
                self._add_inbound(inbound, connection, address)
            else:
                self._serve(connection, address)
        except BaseException:
            connection.close()
            raise

    def _add_inbound(self, inbound: InboundConnections, connection: ssl.SSLSocket, address: Any) -> None:
        idle = UpgradeHandler(inbound, connection, address).idle
        if idle:
            inbound.add_idle(idle)
        else:
            connection.close()

    def _serve(self, connection: ssl.SSLSocket, address: Any) -> None:
        with connection:
            if hop_id := self.grants.hop_of(connection.context):
                self._serve_hop(hop_id, connection, address)

    def _serve_hop(self, hop_id: str, connection: ssl.SSLSocket, address: Any) -> None:
        """Serve a connection that the peer dialed.

        From its first request on, this agent need not dial the peer.
        """
        notified: list[ReverseDialer] = []

        def on_request() -> None:
            with self._lock:
                dialer = self._reverse_dialers.get(hop_id)
            if dialer and dialer not in notified:
                notified.append(dialer)
                dialer.on_connected()
                self._remember(hop_id, PeerPath(dialed=False))

        try:
            with self._tracked(hop_id, connection):
                HopRequestHandler(self.grants, self._roots, hop_id, connection, address, on_request)
        finally:
            for dialer in notified:
                dialer.on_disconnected()

    def _remember(self, hop_id: str, path: PeerPath) -> None:
        if grant := self.grants.get(hop_id):
            self.peer_paths.remember(grant.serve.peer.agent_id, path)

    @contextmanager
    def _tracked(self, hop_id: str, connection: socket.socket) -> Iterator[None]:
        """Register an open connection, so that `revoke` can close it.

        Raises:
            ConnectionRefusedError: the hop is not served any more, or has too many connections.
        """
        with self._lock:
            connections = self._connections.get(hop_id, set())
            if len(connections) >= self.limits.max_connections_per_hop or self.grants.get(hop_id) is None:
                raise ConnectionRefusedError("the hop has ended or has too many connections")
            connections.add(connection)
            self._connections[hop_id] = connections
        try:
            yield
        finally:
            with self._lock:
                connections.discard(connection)
                if not connections and self._connections.get(hop_id) is connections:
                    del self._connections[hop_id]


def _ignore_unreachable(_serve: Serve, _errors: str) -> None:
    """Ignore the report until a callback is set."""
