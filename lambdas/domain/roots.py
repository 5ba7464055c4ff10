"""Does the host offer this path? The agent enforces its roots itself; this says no sooner and with advice."""

from events.locations import AgentLocation
from events.reports import RootState
from lambdas.domain.agent import Agent
from lambdas.domain.errors import OutsideRootsError, ReadOnlyError


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
