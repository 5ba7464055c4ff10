"""Check which options fit which transfers, so that an impossible one is refused before it starts."""

from events.locations import AgentLocation, Location, S3Location
from events.options import Options
from lambdas.domain import problems
from lambdas.domain.errors import OptionsError


def check_options(
    options: Options, source: Location, destinations: tuple[Location, ...], *, gathered: bool
) -> None:
    """Raise OptionsError if the options do not fit; `gathered`: a template selected single objects."""
    on_agents = all(isinstance(location, AgentLocation) for location in (source, *destinations))
    if options.compare == "checksum" and not on_agents:
        raise OptionsError(words=problems.CHECKSUM_NEEDS_AGENTS)
    if options.owner != "agent" and not on_agents:
        raise OptionsError(words=problems.OWNER_NEEDS_AGENTS)
    if options.shapes_objects and not any(isinstance(location, S3Location) for location in destinations):
        raise OptionsError(words=problems.OBJECTS_NEED_S3)
    if options.delete_extra:
        _check_mirror(options, destinations, gathered=gathered)
    if options.move:
        _check_move(source, destinations, gathered=gathered)


def _check_mirror(options: Options, destinations: tuple[Location, ...], *, gathered: bool) -> None:
    if options.move:
        raise OptionsError(words=problems.MOVE_AND_DELETE_EXTRA)
    if gathered:
        raise OptionsError(words=problems.DELETE_EXTRA_IN_TEMPLATE)
    if not all(isinstance(location, AgentLocation) for location in destinations):
        raise OptionsError(words=problems.DELETE_EXTRA_NEEDS_AGENTS)


def _check_move(source: Location, destinations: tuple[Location, ...], *, gathered: bool) -> None:
    if gathered or not isinstance(source, AgentLocation):
        raise OptionsError(words=problems.MOVE_FROM_AGENT_ONLY)
    if len(destinations) > 1:
        raise OptionsError(words=problems.MOVE_TO_ONE_ONLY, count=len(destinations))
    if not isinstance(destinations[0], AgentLocation):
        raise OptionsError(words=problems.MOVE_TO_AGENT_ONLY)
