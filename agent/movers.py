"""Choose the mover that carries out a hop, by its route."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from agent.files.roots import Roots, Tree
from agent.identity.lane_certificate import Identities
from agent.pull.bandwidth import chunk_size_for
from agent.pull.mover import HostResources, Mover
from agent.pull.pull import Pull
from agent.pull.source import LocalSource, Source
from events.commands import DirectRoute, LocalRoute, Move, Relay, RemoteRoute, S3Route
from events.locations import AgentLocation
from events.views import CredentialsView

if TYPE_CHECKING:
    from agent.lane.client import LaneClient
    from agent.lane.dialer import Dialer
    from agent.lane.relay.dialer import RelayDialer
    from agent.lane.server import LaneServer

Credentials = Callable[[str], CredentialsView]
"""S3 credentials by hop id."""


def mover_for(
    move: Move,
    *,
    host: HostResources,
    identities: Identities,
    credentials: Credentials,
    lane: "LaneServer | None" = None,
) -> Mover:
    """Return the mover for a hop.

    Modules for other routes are imported when the first such hop arrives: an idle agent uses little memory.
    Without this agent's `lane` no source can dial it.
    """
    if not isinstance(move.destination, AgentLocation):
        from agent.rclone.backend import backend_of
        from agent.rclone.push import RclonePush

        return RclonePush(host, lambda: backend_of(move, move.destination, credentials, host.remotes))
    return Pull(host, lambda: _source(move, host, identities, credentials, lane))


def _source(
    move: Move,
    host: HostResources,
    identities: Identities,
    credentials: Credentials,
    lane: "LaneServer | None",
) -> Source:
    match move.route:
        case DirectRoute():
            return _lane_source(move, move.route, identities, credentials, lane)
        case S3Route() | RemoteRoute():
            from agent.rclone.backend import backend_of
            from agent.rclone.source import RcloneSource

            backend = backend_of(move, move.source, credentials, host.remotes)
            return RcloneSource(backend, host, move.options)
        case LocalRoute():
            return LocalSource(lambda: _local_tree(move, host.roots))


def _lane_source(
    move: Move,
    route: DirectRoute,
    identities: Identities,
    credentials: Credentials,
    lane: "LaneServer | None",
) -> Source:
    from agent.lane.client import LaneClient
    from agent.lane.connector import Connector
    from agent.lane.dialer import Dialer
    from agent.lane.peer_paths import PeerPathCache
    from agent.lane.source import LaneSource

    if not isinstance(move.destination, AgentLocation):
        raise TypeError(f"{move.hop_id} has no agent as its destination")
    own_agent_id = move.destination.agent_id
    dialer = Dialer(identities.named(route.own_certificate), route.source, move.hop_id)
    inbound = None
    if lane and route.own_endpoints:
        inbound = lane.expect_inbound(move.hop_id, route.source, route.hop_token, route.own_certificate)
    chunk_size = chunk_size_for(move.options)
    open_client = partial(LaneClient, hop_id=move.hop_id, token=route.hop_token, chunk_bytes=chunk_size)
    peer_paths = lane.routes if lane else PeerPathCache()
    connector = Connector(dialer, route, inbound, peer_paths, open_client)
    relay = _relay_dialer(move, route.relay, dialer, credentials, open_client) if route.relay else None
    return LaneSource(move, route, connector, own_agent_id, relay)


def _relay_dialer(
    move: Move,
    relay: Relay,
    dialer: "Dialer",
    credentials: Credentials,
    open_client: Callable[..., "LaneClient"],
) -> "RelayDialer":
    from agent.lane.relay.bucket import RelayBucket
    from agent.lane.relay.dialer import RelayDialer

    return RelayDialer(lambda: RelayBucket(move.hop_id, relay, credentials), dialer, open_client)


def _local_tree(move: Move, roots: Roots) -> Tree:
    if not isinstance(move.source, AgentLocation):
        raise TypeError(f"{move.hop_id} has no source on this host")
    return roots.tree(move.source.path, writing=move.options.clears_source)
