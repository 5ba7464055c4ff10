"""The source's side of the lane: lets in the peers it serves now, and reads to them what it was told to."""

import socket
import ssl
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from agent.errors import HopError
from agent.lane.answering import Answering
from agent.lane.grants import Grants
from agent.lane.identity import Identity
from agent.lane.listener import Listener
from agent.roots import Roots
from events.base import Problem
from events.commands import Serve

CONNECTIONS = 64
"""Of one hop at most."""


class LaneServer:
    """Listens on one port for everyone."""

    def __init__(self, identity: Identity, roots: Roots, listen: tuple[str, int]) -> None:
        self._roots = roots
        self._listen = listen
        self.grants = Grants(identity)
        self._live: dict[str, set[socket.socket]] = {}
        self._lock = threading.Lock()
        self._server: Listener | None = None

    def start(self) -> None:
        """Listen, in threads of its own; OSError if the port cannot be had."""
        self._server = Listener(self._listen, self.grants.context, self._converse)
        self._server.start()

    def stop(self) -> None:
        """Nobody is let in any more, and who is connected is cut off."""
        if self._server:
            self._server.stop()
        self.grants.clear()
        with self._lock:
            for connections in self._live.values():
                _hang_up(connections)

    @property
    def port(self) -> int:
        """The one that was given, or the one that was free when it was 0."""
        return int(self._server.server_address[1]) if self._server else self._listen[1]

    def allow(self, serve: Serve, token: str) -> None:
        """Let the peer read. HopError if the path is outside the roots, or the peer's certificate is none."""
        self._roots.tree(serve.path, writing=serve.removing).close()
        try:
            self.grants.add(serve, token)
        except ValueError as error:
            raise HopError(_no_certificate(serve)) from error

    def revoke(self, hop_id: str) -> None:
        """No longer; who is connected is cut off."""
        self.grants.remove(hop_id)
        with self._lock:
            _hang_up(self._live.get(hop_id, ()))

    def _converse(self, connection: ssl.SSLSocket, address: Any) -> None:
        """Until the peer has nothing more to ask."""
        hop_id = self.grants.hop_of(connection.context)
        if hop_id:
            with self._remembered(hop_id, connection):
                Answering(self.grants, self._roots, hop_id, connection, address)

    @contextmanager
    def _remembered(self, hop_id: str, connection: socket.socket) -> Iterator[None]:
        """Who is connected for a hop, so that it can be cut off. OSError if it is too late, or too many are
        connected."""
        with self._lock:
            live = self._live.get(hop_id, set())
            if len(live) >= CONNECTIONS or self.grants.get(hop_id) is None:
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


def _hang_up(connections: Iterable[socket.socket]) -> None:
    """Not with the TLS socket's own `shutdown`: it drops TLS first, and a thread that is sending would go on
    in the clear."""
    for connection in connections:
        with suppress(OSError):
            socket.socket.shutdown(connection, socket.SHUT_RDWR)


def _no_certificate(serve: Serve) -> Problem:
    return Problem(
        code="peer-certificate",
        message=f"The lane certificate of {serve.peer.agent_id} cannot be read.",
        advice="Register that agent again.",
    )
