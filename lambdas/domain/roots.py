"""Check locations against an agent's roots and remotes.

The agent enforces them itself; this check answers earlier, and with advice.
"""

from events.locations import AgentLocation, Location, RemoteLocation, inner_path
from events.reports import RemoteState, RootState
from lambdas.domain.agent import Agent
from lambdas.domain.errors import OutsideRootsError, ReadOnlyError, RemoteUnknownError
from lambdas.domain.problems import MOVE_FROM_READ_ONLY, REMOTE_READ_ONLY, ROOT_READ_ONLY


def check_offered(agent: Agent, location: Location, *, writing: bool) -> None:
    """Check one of the agent's locations by its text alone.

    Raises:
        OutsideRootsError: the path is not below a root.
        RemoteUnknownError: the agent has no remote of that name.
        ReadOnlyError: the root or remote is read-only, and `writing` is set.
    """
    match location:
        case AgentLocation():
            check_roots(agent, location, writing=writing)
        case RemoteLocation():
            _check_remote(agent, location, writing=writing)


def check_deletable(agent: Agent, location: Location) -> None:
    """Check that the agent may delete files at the source of a move.

    Raises:
        OutsideRootsError: the path is not below a root.
        RemoteUnknownError: the agent has no remote of that name.
        ReadOnlyError: the root or remote is read-only.
    """
    try:
        check_offered(agent, location, writing=True)
    except ReadOnlyError as error:
        raise ReadOnlyError(
            words=MOVE_FROM_READ_ONLY, path=inner_path(location), location=location
        ) from error


def _check_remote(agent: Agent, location: RemoteLocation, *, writing: bool) -> None:
    remotes = agent.capabilities.remotes
    found = next((remote for remote in remotes if remote.name == location.remote), None)
    if found is None:
        raise RemoteUnknownError(agent.agent_id, location.remote, _named(remotes))
    if writing and found.access != "rw":
        writable = tuple(remote for remote in remotes if remote.access == "rw")
        raise ReadOnlyError(
            words=REMOTE_READ_ONLY,
            path=location.path,
            location=location,
            remote=found.name,
            agent_id=agent.agent_id,
            remotes=_named(writable),
        )


def _named(remotes: tuple[RemoteState, ...]) -> str:
    return ", ".join(remote.name for remote in remotes) or "none"


def check_roots(agent: Agent, location: AgentLocation, *, writing: bool) -> None:
    """Check a path against the agent's roots by its text alone.

    Raises:
        OutsideRootsError: the path is not below a root.
        ReadOnlyError: the root is read-only, and `writing` is set.
    """
    holding = [root for root in agent.roots if _holds(root, location.path)]
    if not holding:
        raise OutsideRootsError(agent.agent_id, str(location), location.path, _listed(agent.roots))
    innermost = max(holding, key=lambda root: len(root.path))
    if writing and innermost.access != "rw":
        writable = tuple(root for root in agent.roots if root.access == "rw")
        raise ReadOnlyError(
            words=ROOT_READ_ONLY,
            path=location.path,
            location=location,
            root=innermost.path,
            agent_id=agent.agent_id,
            roots=_listed(writable),
        )


def _holds(root: RootState, path: str) -> bool:
    top = root.path.rstrip("/")
    return path == top or path.startswith(f"{top}/")


def _listed(roots: tuple[RootState, ...]) -> str:
    return ", ".join(root.path for root in roots) or "none"
