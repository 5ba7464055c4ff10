"""Check which options fit which transfers, so that an impossible one is refused before it starts."""

from events.locations import AgentLocation, Location
from events.options import Options
from lambdas.domain.errors import OptionsError


def check_options(
    options: Options, source: Location, destinations: tuple[Location, ...], *, gathered: bool
) -> None:
    """Raise OptionsError if the options do not fit; `gathered`: a template selected single objects."""
    on_agents = all(isinstance(location, AgentLocation) for location in (source, *destinations))
    if options.compare == "checksum" and not on_agents:
        raise OptionsError(
            "compare=checksum needs an agent path at both ends: S3 and remotes store no such checksum.",
            "Leave compare out: files are then compared by size and time.",
        )
    if options.owner != "agent" and not on_agents:
        raise OptionsError(
            "owner needs an agent path at both ends: S3 and remotes have no users of a host.",
            "Leave owner out.",
        )
    if options.delete_extra:
        _check_mirror(options, destinations, gathered=gathered)
    if options.move:
        _check_move(source, destinations, gathered=gathered)


def _check_mirror(options: Options, destinations: tuple[Location, ...], *, gathered: bool) -> None:
    if options.move:
        raise OptionsError(
            "move and delete_extra exclude each other: files moved from the source would be deleted at the "
            "destination by the next run.",
            "Use only one of them.",
        )
    if gathered:
        raise OptionsError(
            "delete_extra cannot be used in a template: it sends single objects, and all others would "
            "be deleted.",
            "Leave delete_extra out, or mirror the whole prefix by a separate transfer.",
        )
    if not all(isinstance(location, AgentLocation) for location in destinations):
        raise OptionsError(
            "delete_extra needs an agent path at every destination.",
            "Use a lifecycle rule of the bucket, or the remote's own tools, to delete files there.",
        )


def _check_move(source: Location, destinations: tuple[Location, ...], *, gathered: bool) -> None:
    if gathered or not isinstance(source, AgentLocation):
        raise OptionsError(
            "move needs an agent path as the source: nothing is deleted in S3 or on remotes.",
            "Leave move out, and delete the source by a lifecycle rule or the remote's own tools.",
        )
    if len(destinations) > 1:
        raise OptionsError(
            f"move allows only one destination, not {len(destinations)}.",
            "Copy to all destinations, and delete the source when every copy is complete.",
        )
    if not isinstance(destinations[0], AgentLocation):
        raise OptionsError("move needs an agent path as the destination.", "Copy, then delete the source.")
