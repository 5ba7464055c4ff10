"""Browse an agent's directories: a command asks, a report answers (docs/adr/007)."""

import secrets
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from events.base import AgentId
from events.commands import Browse
from events.locations import AgentLocation, RemoteLocation
from events.reports import Browsed
from events.requests import BrowseRequest
from events.views import ListingView
from lambdas.domain.agent import Agent
from lambdas.domain.errors import AgentDeclinedError, AgentOfflineError, AgentSilentError, AgentTooOldError
from lambdas.domain.problems import REMOTES_NOT_LISTED
from lambdas.domain.roots import check_offered
from lambdas.ports import AgentLookup, CommandSender

ANSWER_TIMEOUT_S = 8.0
"""How long to wait for the agent's answer."""
_INITIAL_POLL_INTERVAL_S, _MAX_POLL_INTERVAL_S = 0.08, 0.25
"""The interval grows from the first to the second: a near agent answers within some 0.05 s."""


class Replies(Protocol):
    """Where the answers of agents arrive."""

    def get(self, agent_id: AgentId, request_id: str) -> Browsed | None: ...


def location_of(agent_id: AgentId, request: BrowseRequest) -> AgentLocation | RemoteLocation:
    """Return the location of the directory to list."""
    if request.remote is None:
        return AgentLocation(agent_id=agent_id, path=request.path)
    return RemoteLocation(agent_id=agent_id, remote=request.remote, path=request.path.lstrip("/"))


class DirectoryBrowser:
    """Lists directories of agents by a signed command, and waits for the report that answers."""

    def __init__(
        self,
        agents: AgentLookup,
        commands: CommandSender,
        replies: Replies,
        wait: Callable[[float], None] = time.sleep,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._agents = agents
        self._commands = commands
        self._replies = replies
        self._wait = wait
        self._timer = timer

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
        agent = self._agents.get(agent_id)
        if agent.presence == "offline":
            raise AgentOfflineError(agent_id)
        if request.remote is not None:
            _check_remote(agent, request)
        request_id = secrets.token_hex(8)
        self._commands.send_command(agent_id, Browse(request_id=request_id, **request.model_dump()))
        reply = self._await_reply(agent_id, request_id)
        if reply.problem:
            raise AgentDeclinedError(reply.problem)
        return ListingView(
            agent_id=agent_id,
            path=request.path,
            remote=request.remote,
            entries=reply.entries,
            next=reply.next,
        )

    def _await_reply(self, agent_id: AgentId, request_id: str) -> Browsed:
        for _ in self._polls():
            if reply := self._replies.get(agent_id, request_id):
                return reply
        raise AgentSilentError(agent_id, ANSWER_TIMEOUT_S)

    def _polls(self) -> Iterator[None]:
        deadline, interval = self._timer() + ANSWER_TIMEOUT_S, _INITIAL_POLL_INTERVAL_S
        while self._timer() < deadline:
            self._wait(interval)
            yield
            interval = min(interval * 1.5, _MAX_POLL_INTERVAL_S)


def _check_remote(agent: Agent, request: BrowseRequest) -> None:
    """Require an agent that can list remotes; an older one would list its local directory instead."""
    check_offered(agent, location_of(agent.agent_id, request), writing=False)
    if not agent.capabilities.browses_remotes:
        raise AgentTooOldError(agent.agent_id, agent.version, REMOTES_NOT_LISTED)
