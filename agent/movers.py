"""Who carries out a hop: chosen by its route."""

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
    order: Move,
    *,
    host: HostResources,
    identities: Identities,
    credentials: Credentials,
    lane: "LaneServer | None" = None,
) -> Mover:
    """What is needed for other routes is loaded when the first such hop comes: an idle agent stays small.
    Without this agent's `lane` no source can dial it."""
    if not isinstance(order.destination, AgentLocation):
        from agent.rclone.backend import backend_of
        from agent.rclone.push import RclonePush

        return RclonePush(host, lambda: backend_of(order, order.destination, credentials, host.remotes))
    return Pull(host, lambda: _source(order, host, identities, credentials, lane))


def _source(
    order: Move,
    host: HostResources,
    identities: Identities,
    credentials: Credentials,
    lane: "LaneServer | None",
) -> Source:
    match order.route:
        case DirectRoute():
            return _lane_source(order, order.route, identities, credentials, lane)
        case S3Route() | RemoteRoute():
            from agent.rclone.backend import backend_of
            from agent.rclone.source import RcloneSource

            store = backend_of(order, order.source, credentials, host.remotes)
            return RcloneSource(store, host, order.options)
        case LocalRoute():
            return LocalSource(lambda: _local_tree(order, host.roots))


def _lane_source(
    order: Move,
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

    if not isinstance(order.destination, AgentLocation):
        raise TypeError(f"{order.hop_id} does not arrive at an agent")
    here = order.destination.agent_id
    dialler = Dialer(identities.named(route.own_certificate), route.source, order.hop_id)
    awaited = None
    if lane and route.own_endpoints:
        awaited = lane.expect_inbound(order.hop_id, route.source, route.hop_token, route.own_certificate)
    piece = chunk_size_for(order.options)
    converse = partial(LaneClient, hop_id=order.hop_id, token=route.hop_token, chunk_bytes=piece)
    routes = lane.routes if lane else PeerPathCache()
    meeting = Connector(dialler, route, awaited, routes, converse)
    relay = _relay_caller(order, route.relay, dialler, credentials, converse) if route.relay else None
    return LaneSource(order, route, meeting, here, relay)


def _relay_caller(
    order: Move,
    relay: Relay,
    dialler: "Dialer",
    credentials: Credentials,
    converse: Callable[..., "LaneClient"],
) -> "RelayDialer":
    from agent.lane.relay.bucket import RelayBucket
    from agent.lane.relay.dialer import RelayDialer

    return RelayDialer(lambda: RelayBucket(order.hop_id, relay, credentials), dialler, converse)


def _local_tree(order: Move, roots: Roots) -> Tree:
    if not isinstance(order.source, AgentLocation):
        raise TypeError(f"{order.hop_id} has no source on this host")
    return roots.tree(order.source.path, writing=order.options.clears_source)
