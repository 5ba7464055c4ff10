"""This agent's end of every lane: lets in the peers that it serves now, or waits for; dials those it serves,
too, and reads to them what it was told to.
"""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any

from agent.errors import HopError
from agent.files.roots import Roots
from agent.identity.lane_certificate import Identities
from agent.lane.dialer import Dialer, no_certificate
from agent.lane.grants import Grants
from agent.lane.inbound import InboundConnections, UpgradeHandler
from agent.lane.listener import Listener
from agent.lane.peer_paths import PeerPath, PeerPathCache
from agent.lane.request_handler import HopRequestHandler
from agent.lane.reverse_dialer import ReverseDialer
from agent.lane.sockets import shut_down
from agent.pull.active_pulls import ActivePulls
from agent.pull.bandwidth import BandwidthSchedule, SharedBandwidth
from events.commands import Peer, Serve
from events.views import CredentialsView

if TYPE_CHECKING:
    from agent.lane.relay.listener import RelayListener

Credentials = Callable[[str], CredentialsView]
"""By hop id."""

MAX_CONNECTIONS_PER_HOP = 64
"""Of one hop at most."""
RELAYED = "relay"
"""Stands in for the peer's address."""


class LaneServer:
    """Listens on one port for everyone."""

    def __init__(
        self,
        identities: Identities,
        roots: Roots,
        listen: tuple[str, int],
        routes: PeerPathCache | None = None,
        line: SharedBandwidth | None = None,
        credentials: Credentials | None = None,
        arrivals: ActivePulls | None = None,
    ) -> None:
        """`routes` is what was remembered of earlier hops, `line` what all hops of this agent share, and
        `arrivals` what they bring; `credentials` are for the relay bucket: without them nothing is relayed
        from here."""
        self._identities = identities
        self._roots = roots
        self._listen = listen
        self.routes = routes or PeerPathCache()
        self.grants = Grants(
            identities, line or SharedBandwidth(BandwidthSchedule(None)), arrivals or ActivePulls()
        )
        self._live: dict[str, set[socket.socket]] = {}
        self._unreached: Callable[[Serve, str], None] = _ignore
        self._callers: dict[str, ReverseDialer] = {}
        self._credentials = credentials
        self._hearings: dict[str, RelayListener] = {}
        self._lock = threading.Lock()
        self._server: Listener | None = None

    def start(self) -> None:
        """Listen, in threads of its own; OSError if the port cannot be had."""
        self._server = Listener(self._listen, self.grants.context, self._converse)
        self._server.start()

    def stop(self) -> None:
        """Nobody is let in or dialled any more, and who is connected is cut off."""
        if self._server:
            self._server.stop()
        self.grants.clear()
        with self._lock:
            for caller in self._callers.values():
                caller.stop()
            hearings = list(self._hearings.values())
            for connection in chain.from_iterable(self._live.values()):
                shut_down(connection)
        for hearing in hearings:
            hearing.stop(sweep=False)
        for hearing in hearings:
            hearing.join()

    @property
    def port(self) -> int:
        """The one that was given, or the one that was free when it was 0."""
        return int(self._server.server_address[1]) if self._server else self._listen[1]

    def allow(self, serve: Serve, token: str) -> None:
        """Let the peer read, and dial it until it comes. HopError if the path is outside the roots, or the
        peer's certificate is none."""
        self._roots.tree(serve.path, writing=serve.removing).close()
        before = self.grants.get(serve.hop_id)
        try:
            self.grants.add(serve, token)
        except ValueError as error:
            raise HopError(no_certificate(serve.peer.agent_id)) from error
        self._replace_dialer(serve.hop_id, self._dialer(serve, token) if serve.endpoints else None)
        self._listen_on_relay(serve, is_anew=before is not None and before.serve.attempt < serve.attempt)

    def on_unreachable(self, unreached: Callable[[Serve, str], None]) -> None:
        """From now on say, on any thread, which hop's peer could not be dialled, and what its addresses
        answered."""
        self._unreached = unreached

    def revoke(self, hop_id: str) -> None:
        """No longer; who is connected is cut off."""
        self.grants.remove(hop_id)
        self._replace_dialer(hop_id, None)
        with self._lock:
            for connection in self._live.get(hop_id, ()):
                shut_down(connection)
            hearing = self._hearings.pop(hop_id, None)
        if hearing:
            hearing.stop(sweep=True)

    def expect_inbound(
        self, hop_id: str, source: Peer, token: str, own: str | None = None
    ) -> InboundConnections:
        """Let the source of a hop in that arrives here, until what is returned is closed; `own` is which of
        our certificates it expects. HopError if its certificate is none."""
        try:
            return self.grants.expect_inbound(hop_id, source, token, own)
        except ValueError as error:
            raise HopError(no_certificate(source.agent_id)) from error

    def _dialer(self, serve: Serve, token: str) -> ReverseDialer:
        def converse(connection: ssl.SSLSocket, endpoint: str, asked: Callable[[], None]) -> None:
            with self._remembered(serve.hop_id, connection):
                HopRequestHandler(self.grants, self._roots, serve.hop_id, connection, (endpoint, 0), asked)

        dialler = Dialer(self._identities.named(serve.own_certificate), serve.peer, serve.hop_id)
        return ReverseDialer(dialler, serve, token, self.routes, converse, self._unreached)

    def _listen_on_relay(self, serve: Serve, *, is_anew: bool) -> None:
        """Listen at the relay bucket, too, if the hop may be relayed. One that listens already goes on: it is
        the same place."""
        with self._lock:
            if hearing := self._hearings.get(serve.hop_id):
                if is_anew:
                    hearing.restart()
            elif serve.relay and self._credentials:
                from agent.lane.relay.listener import (
                    RelayListener,  # an idle agent does without rclone's part
                )

                known = self.routes.recall(serve.peer.agent_id)
                hearing = RelayListener(
                    serve.hop_id,
                    serve.relay,
                    self._credentials,
                    self._relayed,
                    self._is_met,
                    at_once=known is not None and known.relayed,
                )
                self._hearings[serve.hop_id] = hearing
                hearing.start()

    def _relayed(self, hop_id: str, plain: socket.socket, came: Callable[[], None]) -> None:
        """Answer on a connection through the relay bucket until it ends. OSError."""

        def asked() -> None:
            came()
            with self._lock:
                caller = self._callers.get(hop_id)
            if caller is None or not caller.is_connected:
                self._remember(hop_id, PeerPath(dialled=False, relayed=True))

        with self.grants.context.wrap_socket(plain, server_side=True) as connection:
            if self.grants.hop_of(connection.context) == hop_id:
                with self._remembered(hop_id, connection):
                    HopRequestHandler(self.grants, self._roots, hop_id, connection, (RELAYED, 0), asked)

    def _is_met(self, hop_id: str) -> bool:
        """Has the peer of a hop that is served come directly, or been reached?"""
        with self._lock:
            caller = self._callers.get(hop_id)
            return caller.is_connected if caller else bool(self._live.get(hop_id))

    def _replace_dialer(self, hop_id: str, caller: ReverseDialer | None) -> None:
        with self._lock:
            if old := self._callers.pop(hop_id, None):
                old.stop()
            if caller:
                self._callers[hop_id] = caller
                caller.start()

    def _converse(self, connection: ssl.SSLSocket, address: Any) -> None:
        """Until the peer has nothing more to ask; or until it is known that it wants to be asked."""
        try:
            if awaited := self.grants.awaited_by(connection.context):
                self._welcome(awaited, connection, address)
            else:
                self._serve(connection, address)
        except BaseException:
            connection.close()
            raise

    def _welcome(self, awaited: InboundConnections, connection: ssl.SSLSocket, address: Any) -> None:
        parked = UpgradeHandler(awaited, connection, address).parked
        if parked:
            awaited.add(parked)
        else:
            connection.close()

    def _serve(self, connection: ssl.SSLSocket, address: Any) -> None:
        with connection:
            if hop_id := self.grants.hop_of(connection.context):
                self._answer(hop_id, connection, address)

    def _answer(self, hop_id: str, connection: ssl.SSLSocket, address: Any) -> None:
        """The peer has dialled: from its first question on it needs nobody to dial it."""
        came: list[ReverseDialer] = []

        def asked() -> None:
            with self._lock:
                caller = self._callers.get(hop_id)
            if caller and caller not in came:
                came.append(caller)
                caller.on_connected()
                self._remember(hop_id, PeerPath(dialled=False))

        try:
            with self._remembered(hop_id, connection):
                HopRequestHandler(self.grants, self._roots, hop_id, connection, address, asked)
        finally:
            for caller in came:
                caller.on_disconnected()

    def _remember(self, hop_id: str, met: PeerPath) -> None:
        if grant := self.grants.get(hop_id):
            self.routes.remember(grant.serve.peer.agent_id, met)

    @contextmanager
    def _remembered(self, hop_id: str, connection: socket.socket) -> Iterator[None]:
        """Who is connected for a hop, so that it can be cut off. OSError if it is too late, or too many are
        connected."""
        with self._lock:
            live = self._live.get(hop_id, set())
            if len(live) >= MAX_CONNECTIONS_PER_HOP or self.grants.get(hop_id) is None:
                raise ConnectionRefusedError("no more connections for this hop")
            live.add(connection)
            self._live[hop_id] = live
        try:
            yield
        finally:
            with self._lock:
                live.discard(connection)
                if not live and self._live.get(hop_id) is live:
                    del self._live[hop_id]


def _ignore(_serve: Serve, _answers: str) -> None:
    """Until somebody wants to know."""
