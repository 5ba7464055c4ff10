"""Which options go with which transfers: what cannot be kept is refused before anything begins."""

from events.locations import AgentLocation, Location
from events.options import Options
from lambdas.domain.errors import OptionsError


def check_options(
    options: Options, source: Location, destinations: tuple[Location, ...], *, gathered: bool
) -> None:
    """`gathered`: single objects of the source, by a template. Raises OptionsError."""
    on_agents = all(isinstance(place, AgentLocation) for place in (source, *destinations))
    if options.compare == "checksum" and not on_agents:
        raise OptionsError(
            "compare=checksum needs an agent's path at both ends: S3 and remotes keep no such digest.",
            "Leave it out: they are compared by size and time.",
        )
    if options.owner != "agent" and not on_agents:
        raise OptionsError(
            "owner needs an agent's path at both ends: S3 and remotes know no users of a host.",
            "Leave it out.",
        )
    if options.delete_extra:
        _check_mirror(options, destinations, gathered=gathered)
    if options.move:
        _check_move(source, destinations, gathered=gathered)


def _check_mirror(options: Options, destinations: tuple[Location, ...], *, gathered: bool) -> None:
    if options.move:
        raise OptionsError(
            "move and delete_extra do not go together: what has left the source would be removed from the "
            "destination next.",
            "Choose one of them.",
        )
    if gathered:
        raise OptionsError(
            "delete_extra does not go with a template: it moves single objects, and would remove all others.",
            "Leave it out, or mirror the whole prefix by a transfer of its own.",
        )
    if not all(isinstance(place, AgentLocation) for place in destinations):
        raise OptionsError(
            "delete_extra needs an agent's path at the destination.",
            "Let a life cycle rule of the bucket, or the remote's own tools, remove it.",
        )


def _check_move(source: Location, destinations: tuple[Location, ...], *, gathered: bool) -> None:
    if gathered or not isinstance(source, AgentLocation):
        raise OptionsError(
            "move takes files from an agent's path; from S3 and from remotes nothing is removed.",
            "Leave it out, and let a life cycle rule of the bucket, or the remote's own tools, remove them.",
        )
    if len(destinations) > 1:
        raise OptionsError(
            f"move goes to one destination, and {len(destinations)} were named.",
            "Copy to all of them, and remove the source when every one has it.",
        )
    if not isinstance(destinations[0], AgentLocation):
        raise OptionsError("move needs an agent's path at the destination.", "Copy, then remove the source.")
