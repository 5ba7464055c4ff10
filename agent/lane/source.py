"""A source on another agent, read over the lane."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from agent.errors import HopError
from agent.files.digests import MAX_PACK_FILES
from agent.files.listing import FileEntry, Selection
from agent.identity.lane_certificate import Identities
from agent.lane.client import LaneClient
from agent.lane.connector import Connector, unreachable
from agent.lane.dialer import Dialer
from agent.lane.limits import LaneLimits
from agent.lane.peer_paths import PeerPath, PeerPathCache
from agent.lane.server import LaneServer
from agent.pull import worker_pool
from agent.pull.bandwidth import chunk_size_for
from agent.pull.mover import Credentials
from agent.pull.source import SourceConnectionError
from agent.tcp import BBR
from events.base import AgentId
from events.commands import DirectRoute, Move, Relay
from events.locations import AgentLocation
from events.progress import Connection

if TYPE_CHECKING:
    from agent.lane.relay.dialer import RelayDialer
    from agent.lane.relay.direct_probe import DirectProbe

NEAR_STREAMS = 8
FAR_STREAMS = 8
FAR_STREAMS_WITHOUT_BBR = 16
"""On a long line each loss costs an algorithm other than BBR its rate for many round trips."""

ListEntries = Callable[[LaneClient, Selection], Iterator[FileEntry]]


def lane_source(
    move: Move,
    route: DirectRoute,
    identities: Identities,
    credentials: Credentials,
    lane: LaneServer | None,
) -> "LaneSource":
    """Return the source of a hop from another agent to this one.

    Without `lane`, this agent's own server, the source cannot dial this agent. `credentials` are for the
    relay bucket.

    Raises:
        HopError: the source's certificate cannot be read.
    """
    if not isinstance(move.destination, AgentLocation):
        raise TypeError(f"{move.hop_id} has no agent as its destination")
    limits = lane.limits if lane else LaneLimits()
    dialer = Dialer(
        identities.named(route.own_certificate),
        route.source,
        move.hop_id,
        limits,
        loopback=lane is None or lane.is_on_loopback,
    )
    inbound = None
    if lane and route.own_endpoints:
        inbound = lane.expect_inbound(move.hop_id, route.source, route.hop_token, route.own_certificate)
    chunk_bytes = chunk_size_for(move.options)
    make_client = partial(
        LaneClient,
        hop_id=move.hop_id,
        token=route.hop_token,
        chunk_bytes=chunk_bytes,
        limits=limits,
    )
    peer_paths = lane.peer_paths if lane else PeerPathCache()
    connector = Connector(dialer, route, inbound, peer_paths, limits, make_client)
    relay = None
    if route.relay:
        relay = _relay_dialer(move, route.relay, credentials, dialer, make_client, limits)
    return LaneSource(move, route, connector, move.destination.agent_id, relay)


def _relay_dialer(
    move: Move,
    relay: Relay,
    credentials: Credentials,
    dialer: Dialer,
    make_client: Callable[..., LaneClient],
    limits: LaneLimits,
) -> "RelayDialer":
    from agent.lane.relay.bucket import RelayBucket  # imports rclone's modules, which few lanes need
    from agent.lane.relay.dialer import RelayDialer

    return RelayDialer(lambda: RelayBucket(move.hop_id, relay, credentials), dialer, make_client, limits)


def initial_streams(congestion_control: str | None, *, is_far: bool) -> int:
    """Return the connections with which a hop begins; it adds more while they increase the throughput.

    On a long line the first bytes need many round trips, which several connections share.
    """
    if is_far:
        return FAR_STREAMS if congestion_control == BBR else FAR_STREAMS_WITHOUT_BBR
    return max(2, min(NEAR_STREAMS, os.cpu_count() or 1))


class LaneSource:
    """A hop's source, served by another agent."""

    is_far = False
    pack_files = MAX_PACK_FILES

    def __init__(
        self,
        command: Move,
        route: DirectRoute,
        connector: Connector,
        agent_id: AgentId,
        relay: "RelayDialer | None" = None,
    ) -> None:
        """`agent_id` is this agent. `relay`, if allowed, is used when neither side can dial the other."""
        self._agent_id = agent_id
        self._source = str(command.source)
        self._route = route
        self._connector = connector
        self._relay = relay
        self._connect_again = connector.connect_again
        self.streams, self.max_streams = initial_streams(None, is_far=False), worker_pool.MAX_WORKERS
        self._lock = threading.Lock()
        self._idle: list[LaneClient] = []
        """Connections that are not in use."""
        self._listing_clients: set[LaneClient] = set()
        self._was_connected = False
        self._direct_probe: DirectProbe | None = None

    def connect(self) -> Connection:
        """Connect to the source, and return how.

        Raises:
            HopError: the first call could not reach the source; the attempt ends, so that people see why.
            SourceConnectionError: an earlier call reached the source, so the caller waits for it.
        """
        self._close_idle()
        self._end_probe()
        if self._relay:
            self._relay.reset()
        try:
            client, connection = self._connect()
        except SourceConnectionError as error:
            if self._was_connected:
                raise
            raise unreachable(self._source, self._route, error) from error
        self._was_connected = True
        self._put_idle(client)
        return connection

    def _connect(self) -> tuple[LaneClient, Connection]:
        if self._relay and self._connector.was_relayed:
            return self._connect_by_relay_first(self._relay)
        try:
            return self._directly(*self._connector.connect())
        except SourceConnectionError as error:
            if self._relay is None:
                raise
            return self._connect_by_relay(self._relay, error)

    def _directly(self, client: LaneClient, path: PeerPath) -> tuple[LaneClient, Connection]:
        self._connect_again = self._connector.connect_again
        self.is_far = client.is_far and path.dialed  # a source that dials opens few connections in advance
        self.streams = initial_streams(client.congestion_control, is_far=self.is_far)
        self.max_streams = max(worker_pool.MAX_WORKERS, 2 * self.streams)
        dialed_by = self._agent_id if path.dialed else self._route.source.agent_id
        return client, Connection(
            kind="direct",
            dialed_by=dialed_by,
            address=path.address,
            congestion_control=client.congestion_control,
        )

    def _connect_by_relay(
        self, relay: "RelayDialer", direct_error: SourceConnectionError
    ) -> tuple[LaneClient, Connection]:
        try:
            client = relay.connect()
        except SourceConnectionError as error:
            raise SourceConnectionError(f"{direct_error}; relay: {error}") from error
        self._connector.remember_relayed()
        self._connect_again = relay.connect_again
        return client, Connection(kind="relay")

    def _connect_by_relay_first(self, relay: "RelayDialer") -> tuple[LaneClient, Connection]:
        """Connect through the relay bucket at once, as last time, while looking for a direct way.

        A direct connection that is found before the relay answers is used instead; the source then ignores
        the bucket. One that is found later is for the next pass.
        """
        from agent.lane.relay.direct_probe import DirectProbe

        probe = self._direct_probe = DirectProbe(self._connector, relay.close_connections)
        try:
            client = relay.connect()
        except (SourceConnectionError, HopError) as error:
            try:
                return self._directly(*probe.wait())
            except SourceConnectionError as direct_error:
                raise SourceConnectionError(f"{direct_error}; relay: {error}") from error
        if found := probe.take_connection():
            client.close()
            return self._directly(*found)
        self._connect_again = relay.connect_again
        return client, Connection(kind="relay")

    def _end_probe(self) -> None:
        if self._direct_probe:
            self._direct_probe.end()
            self._direct_probe = None

    def entries(self, selection: Selection) -> Iterator[FileEntry]:
        """Yield all entries of the selection."""
        return self._list(LaneClient.manifest, selection)

    def incremental(self, selection: Selection) -> Iterator[FileEntry]:
        """Yield entries while another hop is still writing them at the source.

        Raises:
            HopError: the other hop is not running.
        """
        return self._list(LaneClient.list_incremental, selection)

    def _list(self, list_entries: ListEntries, selection: Selection) -> Iterator[FileEntry]:
        client = self.reader()
        try:
            with self._interruptible(client):
                yield from list_entries(client, selection)
        except BaseException:
            client.close()
            raise
        self._put_idle(client)

    def reader(self) -> LaneClient:
        """Return an idle connection, or a new one."""
        while client := self._take_idle():
            if client.is_reusable:
                return client
            client.close()
        return self._connect_again()

    def interrupt(self) -> None:
        """Interrupt connecting and listing, from any thread."""
        self._connector.stop_waiting()
        if self._relay:
            self._relay.close_connections()
        with self._lock:
            for client in self._listing_clients:
                client.interrupt()

    def close(self) -> None:
        self._close_idle()
        self._end_probe()
        self._connector.close()
        if self._relay:
            self._relay.close()

    def _put_idle(self, client: LaneClient) -> None:
        with self._lock:
            self._idle.append(client)

    def _take_idle(self) -> LaneClient | None:
        with self._lock:
            return self._idle.pop() if self._idle else None

    def _close_idle(self) -> None:
        while client := self._take_idle():
            client.close()

    @contextmanager
    def _interruptible(self, client: LaneClient) -> Iterator[None]:
        with self._lock:
            self._listing_clients.add(client)
        try:
            yield
        finally:
            with self._lock:
                self._listing_clients.discard(client)
