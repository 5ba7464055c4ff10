"""Choose the mover that carries out a hop, by its route."""

from agent.identity.lane_certificate import Identities
from agent.lane.server import LaneServer
from agent.pull.limits import PullLimits
from agent.pull.mover import Credentials, HostResources, Mover
from agent.pull.pull import Pull
from agent.pull.source import Source, local_source
from events.commands import DirectRoute, LocalRoute, Move, RemoteRoute, S3Route
from events.locations import AgentLocation, S3Location


def mover_for(
    move: Move,
    *,
    host: HostResources,
    identities: Identities,
    credentials: Credentials,
    lane: LaneServer | None = None,
    limits: PullLimits = PullLimits(),
) -> Mover:
    """Return the mover for a hop.

    The lane's client and rclone's modules are imported when the first such hop arrives: an idle agent uses
    little memory. Without this agent's `lane` no source can dial it.
    """
    if isinstance(move.route, S3Route) and isinstance(move.destination, S3Location):
        from agent.s3.push import S3Push

        return S3Push(host, credentials)
    if not isinstance(move.destination, AgentLocation):
        from agent.rclone.push import RclonePush

        return RclonePush(host)

    def make_source() -> Source:
        match move.route:
            case DirectRoute():
                from agent.lane.source import lane_source

                return lane_source(move, move.route, identities, credentials, lane)
            case S3Route():
                from agent.s3.source import s3_source

                return s3_source(move, host, credentials)
            case RemoteRoute():
                from agent.rclone.source import rclone_source

                return rclone_source(move, host)
            case LocalRoute():
                return local_source(move, host.roots)

    return Pull(host, make_source, limits)
