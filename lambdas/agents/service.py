"""Agents: record what they and the broker report, and show it to people."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import fields, replace
from datetime import datetime, timedelta

from events.base import Actor, AgentId
from events.facts import AgentWentSilent
from events.reports import Browsed, Heartbeat, Hello, LogExcerpt
from events.requests import AgentChange, DrainRequest
from events.states import CommandKeyStatus
from events.views import AgentsView, AgentView, Drain
from lambdas.agents.cursors import parse_cursor
from lambdas.agents.tokens import is_secret
from lambdas.audit.recorder import Record
from lambdas.domain import agent as domain
from lambdas.domain.agent import Agent
from lambdas.domain.agent_summary import is_news
from lambdas.domain.endpoint import check_endpoints
from lambdas.domain.errors import AgentKeyError, AgentUnknownError, DrainOverError, StaleError
from lambdas.domain.page_size import fitting
from lambdas.ports import ChangeNotifier, Clock
from lambdas.store.agents import AgentStore
from lambdas.store.optimistic import retry_stale
from lambdas.store.replies import ReplyStore
from lambdas.telemetry import count, logger

MAX_SILENT_PER_RUN = 10_000
"""Agents that one run marks as silent; the rest is left to the next."""
MAX_RUN_TIME = timedelta(seconds=20)
"""Duration after which a run marks no more agents, since the next one is due soon."""
THREADS = 20
"""Agents that are marked at the same time: with 16, 10,000 took a third run."""

Step = Callable[[Agent, datetime], Agent]


class AgentService:
    """Records presence and descriptions of agents, shows them, and checks their API keys."""

    def __init__(
        self, store: AgentStore, replies: ReplyStore, consoles: ChangeNotifier, clock: Clock
    ) -> None:
        self._store = store
        self._replies = replies
        self._consoles = consoles
        self._clock = clock

    def hello(self, agent_id: AgentId, hello: Hello, received_at: datetime | None = None) -> Agent | None:
        """Record an agent's Hello, its description of itself; return None if a newer one is known.

        `received_at` is the broker's time; None: now. Raises AgentUnknownError.
        """
        is_newest: list[bool] = []

        def step(agent: Agent, now: datetime) -> Agent:
            heard_at = min(received_at or now, now)
            is_newest.append(agent.hello_at is None or heard_at >= agent.hello_at)
            return domain.with_hello(agent, hello, heard_at, now) if is_newest[-1] else agent

        agent = self._change(agent_id, step)
        return agent if is_newest[-1] else None

    def heartbeat(
        self,
        agent_id: AgentId,
        heartbeat: Heartbeat,
        received_at: datetime | None = None,
        key_status: CommandKeyStatus | None = None,
    ) -> bool:
        """Record a heartbeat and return whether the agent is online by it and was not before.

        `received_at` is the broker's time; None: now. Raises AgentUnknownError.
        """
        presences: list[domain.Presence] = []

        def step(agent: Agent, now: datetime) -> Agent:
            presences.append(agent.presence)
            return domain.with_heartbeat(agent, heartbeat, min(received_at or now, now), now, key_status)

        agent = self._change(agent_id, step)
        return agent.presence == "online" != presences[-1]

    def answered(self, agent_id: AgentId, reply: Browsed | LogExcerpt) -> None:
        """Store the answer to a command that a request waits for."""
        self._replies.save_reply(agent_id, reply, self._clock())

    def connected(self, agent_id: AgentId, at: datetime, session: int) -> None:
        """Record a connection that the broker reports; raises AgentUnknownError."""
        self._change(agent_id, lambda agent, now: domain.connected(agent, at, session, now))

    def disconnected(self, agent_id: AgentId, at: datetime, session: int) -> None:
        """Record a disconnection that the broker reports; raises AgentUnknownError."""
        self._change(agent_id, lambda agent, _: domain.disconnected(agent, at, session))

    def mark_silent_agents(self, publish: Callable[[AgentWentSilent], None]) -> None:
        """Mark agents whose heartbeat has stopped as silent, and publish an event for each.

        There is none for an agent in maintenance.
        They are marked in parallel: when a site loses its line, its agents must not wait for one another.

        Raises:
            ExceptionGroup: The failures of single agents, raised at the end.
        """
        now = self._clock()

        def mark(agent_id: AgentId) -> Exception | bool:
            if self._clock() - now > MAX_RUN_TIME:
                return False
            try:
                fact = self._silence(agent_id, now)
                if fact:
                    logger.warning("agent went silent", extra={"agent_id": agent_id})
                    publish(fact)
            except Exception as failure:
                logger.exception("agent not marked as silent", extra={"agent_id": agent_id})
                return failure
            return fact is not None

        agent_ids = self._store.silent(now, MAX_SILENT_PER_RUN)
        with ThreadPoolExecutor(THREADS) as threads:
            results = list(threads.map(mark, agent_ids))
        if marked := sum(result is True for result in results):
            count("AgentsWentSilent", marked)
        if failures := [result for result in results if isinstance(result, Exception)]:
            raise ExceptionGroup("agents that could not be marked as silent", failures)

    def _silence(self, agent_id: AgentId, now: datetime) -> AgentWentSilent | None:
        try:
            old, agent = self._replace(agent_id, lambda agent, _: domain.silenced(agent, now))
        except (StaleError, AgentUnknownError):
            return None  # it reports again and again at this moment, or was removed
        if agent is old or domain.in_maintenance(agent, now):
            return None
        heard_at = agent.heard_at or agent.registered_at
        return AgentWentSilent(agent_id=agent_id, at=now, last_heartbeat=agent.last_heartbeat or heard_at)

    def view(self, agent_id: AgentId) -> AgentView:
        """Return an agent as the API shows it; raises AgentUnknownError."""
        return agent_view(self._store.get(agent_id), self._clock())

    def list_agents(self, limit: int, after: str | None, beginning: str = "") -> AgentsView:
        """Return one page of the agents whose names begin so, sorted by name; raises CursorError."""
        agents, following = self._store.list_agents(limit, parse_cursor(AgentId, after), beginning)
        now = self._clock()
        views = fitting(agent_view(agent, now) for agent in agents)
        is_cut = len(views) < len(agents)
        return AgentsView(agents=tuple(views), next=views[-1].agent_id if is_cut else following)

    def change(self, agent_id: AgentId, change: AgentChange, record: Record | None = None) -> AgentView:
        """Change tags or endpoints; raises AgentUnknownError or EndpointError."""
        check_endpoints(change.endpoints or ())
        agent = self._change(agent_id, lambda agent, _: domain.changed(agent, change), record)
        return agent_view(agent, self._clock())

    def drain(self, agent_id: AgentId, wanted: DrainRequest, by: Actor, record: Record) -> AgentView:
        """Drain an agent, or change its drain.

        Raises:
            AgentUnknownError: The agent does not exist.
            DrainOverError: The drain would end before it begins.
        """
        now = self._clock()
        if wanted.until is not None and wanted.until <= now:
            raise DrainOverError(wanted.until)
        drain = Drain(by=by, at=now, **dict(wanted))
        agent = self._change(agent_id, lambda agent, _: replace(agent, drain=drain), record)
        return agent_view(agent, now)

    def end_drain(self, agent_id: AgentId, record: Record) -> AgentView:
        """Let an agent have new hops again; raises AgentUnknownError."""
        agent = self._change(agent_id, lambda agent, _: replace(agent, drain=None), record)
        return agent_view(agent, self._clock())

    def check_key(self, agent_id: AgentId, key: str) -> None:
        """Check an agent's API key. The first use of a new key invalidates the old one.

        Raises:
            AgentKeyError: The key is wrong, or the agent is unknown; the error does not tell which.
        """
        current_hash: str | None
        try:
            current_hash, next_hash = self._store.key_hashes(agent_id)
        except AgentUnknownError:
            current_hash = next_hash = None
        if is_secret(key, current_hash):
            return
        if next_hash is None or not is_secret(key, next_hash):
            raise AgentKeyError
        with suppress(StaleError):  # a concurrent request has rotated the key
            self._store.rotate_key(agent_id, next_hash)

    def _change(self, agent_id: AgentId, step: Step, record: Record | None = None) -> Agent:
        return self._replace(agent_id, step, record)[1]

    def _replace(self, agent_id: AgentId, step: Step, record: Record | None = None) -> tuple[Agent, Agent]:
        """Change an agent, and tell consoles if it is news; return it as it was and as it is."""

        def attempt() -> tuple[Agent, Agent]:
            agent = self._store.get(agent_id)
            new = step(agent, self._clock())
            self._store.replace_agent(agent, new, record(agent, new) if record else None)
            return agent, new

        old, new = retry_stale(attempt, f"Agent {agent_id}")
        if is_news(old, new):
            self._consoles.announce_agents()
        return old, new


def agent_view(agent: Agent, now: datetime) -> AgentView:
    """Return an agent as the API shows it, with its status at this time."""
    shared = {field.name: getattr(agent, field.name) for field in fields(agent)}
    now_true = {"status": domain.status(agent, now), "drain": domain.drain_at(agent, now)}
    return AgentView.model_validate({**shared, **now_true})
