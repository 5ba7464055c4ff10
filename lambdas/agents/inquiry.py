"""Ask an agent something: a signed command asks, a report answers (docs/adr/007)."""

import secrets
import time
from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar

from events.base import AgentId
from events.commands import Browse, ReadLog
from events.reports import Browsed, LogExcerpt
from lambdas.domain.agent import Agent
from lambdas.domain.errors import AgentOfflineError, AgentSilentError
from lambdas.ports import AgentLookup, CommandSender

ANSWER_TIMEOUT_S = 8.0
"""How long to wait for the agent's answer."""
_INITIAL_POLL_INTERVAL_S, _MAX_POLL_INTERVAL_S = 0.08, 0.25
"""The interval grows from the first to the second: a near agent answers within some 0.05 s."""

Reply = TypeVar("Reply", Browsed, LogExcerpt)


class Replies(Protocol):
    """Where the answers of agents arrive."""

    def get(self, agent_id: AgentId, request_id: str) -> Browsed | LogExcerpt | None: ...


class Inquiry:
    """Sends commands that agents answer, and waits for the reports that do."""

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

    def connected_agent(self, agent_id: AgentId) -> Agent:
        """Return an agent that can answer, as far as is known.

        Raises AgentUnknownError, AgentOfflineError.
        """
        agent = self._agents.get(agent_id)
        if agent.presence == "offline":
            raise AgentOfflineError(agent_id)
        return agent

    def ask(self, agent_id: AgentId, command: Callable[[str], Browse | ReadLog], kind: type[Reply]) -> Reply:
        """Send the command that is made for a request id, and return the agent's reply of this kind.

        Raises AgentSilentError if there is none within 8 s.
        """
        request_id = secrets.token_hex(8)
        self._commands.send_command(agent_id, command(request_id))
        for _ in self._polls():
            reply = self._replies.get(agent_id, request_id)
            if isinstance(reply, kind):
                return reply
        raise AgentSilentError(agent_id, ANSWER_TIMEOUT_S)

    def _polls(self) -> Iterator[None]:
        deadline, interval = self._timer() + ANSWER_TIMEOUT_S, _INITIAL_POLL_INTERVAL_S
        while self._timer() < deadline:
            self._wait(interval)
            yield
            interval = min(interval * 1.5, _MAX_POLL_INTERVAL_S)
