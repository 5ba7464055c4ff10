"""Does the host offer this place? The agent enforces that itself; this says no sooner and with advice."""

from events.locations import AgentLocation, Location, RemoteLocation
from events.reports import RemoteState, RootState
from lambdas.domain.agent import Agent
from lambdas.domain.errors import OutsideRootsError, ReadOnlyError, RemoteUnknownError


def check_offered(agent: Agent, location: Location, *, writing: bool) -> None:
    """Raise OutsideRootsError, RemoteUnknownError or ReadOnlyError if the agent would refuse this location of
    its own by its text alone."""
    match location:
        case AgentLocation():
            check_roots(agent, location, writing=writing)
        case RemoteLocation():
            _check_remote(agent, location, writing=writing)


def _check_remote(agent: Agent, location: RemoteLocation, *, writing: bool) -> None:
    remotes = agent.capabilities.remotes
    found = next((one for one in remotes if one.name == location.remote), None)
    if found is None:
        raise RemoteUnknownError(
            f"{agent.agent_id} offers no remote called {location.remote}.",
            f"Choose of {_named(remotes)}, or let the host's administrator list it in agent.toml.",
        )
    if writing and found.access != "rw":
        writable = tuple(one for one in remotes if one.access == "rw")
        raise ReadOnlyError(
            f"{location} is read-only: {agent.agent_id} lets nobody write to {found.name}.",
            f"Choose of {_named(writable)}, or let the host's administrator change it.",
            path=location.path,
        )


def _named(remotes: tuple[RemoteState, ...]) -> str:
    return ", ".join(remote.name for remote in remotes) or "its remotes (there is none)"


def check_roots(agent: Agent, location: AgentLocation, *, writing: bool) -> None:
    """Raise OutsideRootsError or ReadOnlyError if the agent would refuse this path by its text alone."""
    holding = [root for root in agent.roots if _holds(root, location.path)]
    if not holding:
        raise OutsideRootsError(
            f"{location} is outside of what {agent.agent_id} offers.",
            f"Choose a path below {_listed(agent.roots)}, or let the host's administrator add a root.",
            path=location.path,
        )
    innermost = max(holding, key=lambda root: len(root.path))
    if writing and innermost.access != "rw":
        writable = tuple(root for root in agent.roots if root.access == "rw")
        raise ReadOnlyError(
            f"{location} is read-only: the root {innermost.path} of {agent.agent_id} lets nobody write.",
            f"Choose a destination below {_listed(writable)}, or let the host's administrator change it.",
            path=location.path,
        )


def _holds(root: RootState, path: str) -> bool:
    top = root.path.rstrip("/")
    return path == top or path.startswith(f"{top}/")


def _listed(roots: tuple[RootState, ...]) -> str:
    return ", ".join(root.path for root in roots) or "a root (there is none)"
