"""Say why a transfer is not moving: which agent is offline, which approval it needs, which queue it is in."""

from typing import TYPE_CHECKING

from agent.cli.text import ago, clock, counted
from events.states import AgentStatus, HopState, TransferState
from events.views import AgentView, HopView, TransferView

if TYPE_CHECKING:
    from agent.cli.api import ApiClient

REPORT_OVERDUE_S = 15.0
"""Seconds after which a missing report is worth a remark: agents report progress every 10 s."""
_OFFLINE = {AgentStatus.OFFLINE, AgentStatus.LATE}


class AgentCache:
    """Agents by name, each asked for once."""

    def __init__(self, api: "ApiClient") -> None:
        self._api = api
        self._known: dict[str, AgentView | None] = {}

    def find(self, agent_id: str) -> AgentView | None:
        """Return the agent; None if the API does not say."""
        if agent_id not in self._known:
            self._known[agent_id] = self._ask(agent_id)
        return self._known[agent_id]

    def _ask(self, agent_id: str) -> AgentView | None:
        import httpx
        import pydantic

        from agent.cloud.http import ApiProblem

        try:
            return AgentView.model_validate(self._api.glance("agents", agent_id))
        except (ApiProblem, httpx.TransportError, pydantic.ValidationError):
            return None


def reasons(view: TransferView, agents: AgentCache) -> list[str]:
    """Return why hops of the transfer do not move, each reason once: `waits for server-c, …`."""
    if view.state is TransferState.AWAITING_APPROVAL:
        return [_approval(view)]
    if by := paused_by(view):
        return [f"is paused by {by}: crosshaul resume {view.transfer_id}"]
    found = [reason for hop in view.hops for reason in hop_reasons(hop, agents)]
    return list(dict.fromkeys(found))


def _approval(view: TransferView) -> str:
    if view.approval is None:
        return "waits for approval"
    people = ", ".join(person.name for person in view.approval.asked_for)
    policies = ", ".join(view.approval.policies)
    return (
        f"waits for approval by a person other than {people} (policies: {policies}): "
        f"crosshaul approve {view.transfer_id}"
    )


def paused_by(view: TransferView) -> str:
    """Return the person who paused the transfer; empty if it moves, or paused by itself."""
    if view.state is not TransferState.PAUSED:
        return ""
    entries = [entry for entry in view.timeline if entry.state is HopState.PAUSED]
    return entries[-1].by.name if entries and entries[-1].problem is None else ""


def hop_reasons(hop: HopView, agents: AgentCache) -> list[str]:
    """Return why this hop does not move; empty if it does, or waits only for the hop before it."""
    overdue = hop.seconds_since_report is not None and hop.seconds_since_report > REPORT_OVERDUE_S
    if hop.state is HopState.PAUSED and hop.problem:
        return [f"is paused: {hop.problem.message}"]
    if hop.state not in {HopState.QUEUED, HopState.OFFERED} and not overdue:
        return []
    if offline := [reason for name in hop.agents for reason in _offline(name, agents)]:
        return offline
    if hop.state is HopState.QUEUED and (held := [one for name in hop.agents for one in _held(name, agents)]):
        return held
    if hop.state is not HopState.OFFERED:
        return [f"is retried at {clock(hop.retry_at)}"] if hop.retry_at else []
    carrier = agents.find(hop.agents[-1]) if hop.agents else None
    if carrier is None or not carrier.running:
        return []
    return [f"waits for its turn on {carrier.agent_id}, which has {counted(carrier.running, 'hop')} running"]


def drained(agent: AgentView) -> str:
    """Return who drained an agent and until when: `is drained by ana@example.org until …`; '' if not."""
    drain = agent.drain
    if drain is None:
        return ""
    kind = "is in maintenance" if drain.maintenance else "is drained"
    until = f" until {clock(drain.until)}" if drain.until else ""
    return f"{kind}, by {drain.by.name}{until}{f': {drain.why}' if drain.why else ''}"


def _held(name: str, agents: AgentCache) -> list[str]:
    agent = agents.find(name)
    return [f"waits for {name}, which {drained(agent)}"] if agent and agent.drain else []


def _offline(name: str, agents: AgentCache) -> list[str]:
    agent = agents.find(name)
    if agent is None or agent.status not in _OFFLINE:
        return []
    return [f"waits for {name}, which is {agent.status} (last heartbeat {ago(agent.last_heartbeat)})"]
