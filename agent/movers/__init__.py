"""Who carries out a hop: chosen by its route."""

from collections.abc import Callable

from agent.lane.identity import Identity
from agent.movers.base import Host, Mover
from agent.movers.pull import Pull
from agent.movers.source import LocalSource, Source
from agent.roots import Roots, Tree
from events.commands import DirectRoute, LocalRoute, Move, S3Route
from events.locations import AgentLocation, S3Location
from events.views import CredentialsView

Credentials = Callable[[str], CredentialsView]
"""S3 credentials by hop id."""


def mover_for(order: Move, *, host: Host, identity: Identity, credentials: Credentials) -> Mover:
    """What is needed for other routes is loaded when the first such hop comes: an idle agent stays small."""
    if isinstance(order.destination, S3Location):
        from agent.movers.s3_push import S3Push

        return S3Push(host, credentials)
    return Pull(host, lambda: _source(order, host.roots, identity, credentials))


def _source(order: Move, roots: Roots, identity: Identity, credentials: Credentials) -> Source:
    match order.route:
        case DirectRoute():
            from agent.lane.client import Dialer
            from agent.movers.lane import LaneSource

            dialer = Dialer(identity, order.route, order.hop_id)
            return LaneSource(dialer, order.hop_id, order.route.hop_token, order.options)
        case S3Route():
            from agent.movers.s3_pull import S3Source

            return S3Source(order, credentials)
        case LocalRoute():
            return LocalSource(lambda: _local_tree(order, roots))


def _local_tree(order: Move, roots: Roots) -> Tree:
    if not isinstance(order.source, AgentLocation):
        raise TypeError(f"{order.hop_id} has no source on this host")
    return roots.tree(order.source.path, writing=order.options.move and not order.options.dry_run)
