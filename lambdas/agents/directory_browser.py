"""Browse an agent's directories."""

from events.base import AgentId
from events.commands import Browse
from events.locations import AgentLocation, RemoteLocation
from events.reports import Browsed
from events.requests import BrowseRequest
from events.views import ListingView
from lambdas.agents.inquiry import Inquiry
from lambdas.domain.agent import Agent
from lambdas.domain.errors import AgentDeclinedError, AgentTooOldError
from lambdas.domain.problems import REMOTES_NOT_LISTED
from lambdas.domain.roots import check_offered


def location_of(agent_id: AgentId, request: BrowseRequest) -> AgentLocation | RemoteLocation:
    """Return the location of the directory to list."""
    if request.remote is None:
        return AgentLocation(agent_id=agent_id, path=request.path)
    return RemoteLocation(agent_id=agent_id, remote=request.remote, path=request.path.lstrip("/"))


class DirectoryBrowser:
    """Lists directories of agents by a signed command, and waits for the report that answers."""

    def __init__(self, inquiry: Inquiry) -> None:
        self._inquiry = inquiry

    def browse(self, agent_id: AgentId, request: BrowseRequest) -> ListingView:
        """Return one page of a directory, as the agent lists it.

        Raises:
            AgentUnknownError: There is no agent of this id.
            AgentOfflineError: The agent is not connected.
            RemoteUnknownError: The agent does not offer the remote.
            AgentTooOldError: The agent cannot list remotes.
            AgentSilentError: The agent did not answer within 8 s.
            AgentDeclinedError: The agent answered with a problem.
        """
        agent = self._inquiry.connected_agent(agent_id)
        if request.remote is not None:
            _check_remote(agent, request)
        reply = self._inquiry.ask(
            agent_id, lambda request_id: Browse(request_id=request_id, **request.model_dump()), Browsed
        )
        if reply.problem:
            raise AgentDeclinedError(reply.problem)
        return ListingView(
            agent_id=agent_id,
            path=request.path,
            remote=request.remote,
            entries=reply.entries,
            next=reply.next,
        )


def _check_remote(agent: Agent, request: BrowseRequest) -> None:
    """Require an agent that can list remotes; an older one would list its local directory instead."""
    check_offered(agent, location_of(agent.agent_id, request), writing=False)
    if not agent.capabilities.browses_remotes:
        raise AgentTooOldError(agent.agent_id, agent.version, REMOTES_NOT_LISTED)
