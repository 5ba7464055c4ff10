"""Connect a destination to its source: dial, and accept the source's connections, until one way succeeds.

The way that succeeded first is used for all further connections of the hop until it breaks; then both are
tried again.
"""

import threading
from collections.abc import Callable
from functools import partial

from agent.errors import HopError
from agent.lane.client import LaneClient
from agent.lane.connection_race import ConnectionRace
from agent.lane.dialer import Dialer
from agent.lane.inbound import InboundConnections
from agent.lane.limits import LaneLimits
from agent.lane.peer_paths import PeerPath, PeerPathCache
from agent.problems import BOTH_SIDES_UNREACHABLE
from agent.pull.source import SourceConnectionError
from events.commands import DirectRoute

POLL_INTERVAL_S = 0.25
"""Seconds between checks whether the race is over, while waiting for the source to dial."""


class Connector:
    """Connects one hop to its source. Safe to use from any thread."""

    def __init__(
        self,
        dialer: Dialer,
        route: DirectRoute,
        inbound: InboundConnections | None,
        path_cache: PeerPathCache,
        limits: LaneLimits,
        make_client: Callable[..., LaneClient],
    ) -> None:
        """`inbound` has the connections that the source dialed, if it was told to dial.

        `make_client` takes a connection and the address that was dialed.
        """
        self._dialer = dialer
        self._route = route
        self._inbound = inbound
        self._path_cache = path_cache
        self._limits = limits
        self._make_client = make_client
        self._lock = threading.Lock()
        self._race: ConnectionRace[LaneClient] | None = None
        self._path: PeerPath | None = None
        self._interrupted = False

    def connect(self) -> tuple[LaneClient, PeerPath]:
        """Return the first connection on which the source answered, and how it was made.

        Raises:
            SourceConnectionError: no way worked; the message has each address with its last error.
            HopError: the source refused this hop.
        """
        attempts: dict[str, Callable[[], LaneClient]] = {
            endpoint: partial(self._probed, partial(self._dial, endpoint))
            for endpoint in self._route.endpoints
        }
        inbound_name = self._inbound_name()
        if self._inbound:
            attempts[inbound_name] = partial(self._probed, partial(self._take_inbound, POLL_INTERVAL_S))
        race = self._begin(ConnectionRace(attempts, self._preferred(inbound_name), self._limits.head_start_s))
        name, client = race.first_connection(self._limits.dial_timeout_s)
        return client, self._remember(PeerPath(name != inbound_name, client.endpoint))

    def connect_again(self) -> LaneClient:
        """Return a further connection, made the same way as the first.

        Raises:
            SourceConnectionError: the connection failed, or `interrupt` was called.
        """
        with self._lock:
            path, interrupted = self._path, self._interrupted
        if path is None or interrupted:
            raise SourceConnectionError("interrupted")
        return (
            self._dial_again(path.address) if path.dialed else self._take_inbound(self._limits.dial_timeout_s)
        )

    @property
    def was_relayed(self) -> bool:
        """Return whether the two agents could only reach each other through the relay bucket last time."""
        known = self._path_cache.recall(self._route.source.agent_id)
        return known is not None and known.relayed

    def remember_relayed(self) -> None:
        """Remember that the relay bucket was needed, until a direct connection succeeds."""
        self._path_cache.remember(self._route.source.agent_id, PeerPath(dialed=False, relayed=True))

    def stop_waiting(self) -> None:
        """Stop waiting for connections, from any thread, until `connect` is called again.

        Threads that wait get SourceConnectionError.
        """
        with self._lock:
            self._interrupted = True
            if self._race:
                self._race.end_race()
        if self._inbound:
            self._inbound.wake()

    def close(self) -> None:
        if self._inbound:
            self._inbound.close()

    def _begin(self, race: ConnectionRace[LaneClient]) -> ConnectionRace[LaneClient]:
        with self._lock:
            self._race, self._path, self._interrupted = race, None, False
        return race

    def _remember(self, path: PeerPath) -> PeerPath:
        with self._lock:
            self._path = path
        if path.dialed and self._inbound:
            self._inbound.close_idle()
        self._path_cache.remember(self._route.source.agent_id, path if path.dialed else PeerPath(False))
        return path

    def _inbound_name(self) -> str:
        return f"{self._route.source.agent_id}, dialing {', '.join(self._route.own_endpoints)} itself"

    def _preferred(self, inbound_name: str) -> str | None:
        known = self._path_cache.recall(self._route.source.agent_id)
        if known is None or known.relayed:
            return None
        return known.address if known.dialed else inbound_name

    def _probed(self, connect: Callable[[], LaneClient]) -> LaneClient:
        client = connect()
        try:
            client.probe(self._limits.dial_timeout_s)
        except BaseException:
            client.close()
            raise
        return client

    def _dial(self, endpoint: str) -> LaneClient:
        return self._make_client(self._dialer.dial(endpoint), endpoint)

    def _dial_again(self, endpoint: str) -> LaneClient:
        try:
            return self._dial(endpoint)
        except (OSError, ValueError) as error:
            raise SourceConnectionError(f"{endpoint}: {error}") from error

    def _take_inbound(self, timeout_s: float) -> LaneClient:
        if self._inbound is None:
            raise SourceConnectionError("the source was not told to dial")
        idle = self._inbound.wait_for_connection(timeout_s)
        return self._make_client(idle.connection, idle.dialed_address)


def unreachable(source: str, route: DirectRoute, error: SourceConnectionError) -> HopError:
    """Return the error for a source that neither side could reach by dialing the other."""
    log = f" The errors of {route.source.agent_id} itself are in its log." if route.own_endpoints else ""
    reason = error or "it has no known address"
    return HopError(BOTH_SIDES_UNREACHABLE.problem(source=source, reason=reason, log=log))
