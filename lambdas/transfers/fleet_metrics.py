"""Measure agents and waiting transfers once a minute, at a cost that hardly grows with the fleet.

The counts of agents are read, and those that are away in a maintenance; of queued transfers the oldest few.
"""

from datetime import datetime

from events.states import AgentStatus, Attention, HopState
from lambdas.domain.agent import in_maintenance
from lambdas.domain.agent_summary import GROUPS, AgentGroup
from lambdas.domain.errors import TransferUnknownError
from lambdas.domain.hop import OFFER_LEASE, Hop
from lambdas.ports import Clock
from lambdas.store.agent_counts import counts
from lambdas.store.agent_list import in_ended_maintenance
from lambdas.store.agents import AgentStore
from lambdas.store.transfer_totals import count_waiting
from lambdas.store.transfers import TransferStore
from lambdas.telemetry import (
    AGENTS,
    AGENTS_ABSENT,
    AGENTS_LATE,
    AGENTS_OFFLINE,
    AGENTS_WARNED,
    APPROVALS_WAITING,
    OLDEST_QUEUED,
    measure,
)

MAX_OLDEST = 5
"""Queued transfers that are read, the first created first: one of them may have been retried just now."""


class FleetMetrics:
    """Measures how many agents are there, and what waits for how long."""

    def __init__(self, transfers: TransferStore, agents: AgentStore, clock: Clock) -> None:
        self._transfers = transfers
        self._agents = agents
        self._clock = clock

    def measure(self) -> None:
        now = self._clock()
        counted = counts()
        registered = counted.total()
        measure(AGENTS, registered)
        measure(AGENTS_WARNED, counted[AgentGroup.WARNED])
        measure(AGENTS_LATE, sum(counted[group] for group in GROUPS[AgentStatus.LATE]))
        measure(AGENTS_OFFLINE, sum(counted[group] for group in GROUPS[AgentStatus.OFFLINE]))
        absent = counted[AgentGroup.LATE] + counted[AgentGroup.OFFLINE] + in_ended_maintenance(now)
        measure(AGENTS_ABSENT, 100 * absent / registered if registered else 0, "Percent")
        measure(OLDEST_QUEUED, self.seconds_queued(now), "Seconds")
        measure(APPROVALS_WAITING, count_waiting(Attention.AWAITING_APPROVAL))

    def seconds_queued(self, now: datetime) -> float:
        """Return how long the oldest queued hop has waited, in seconds; 0 if none is queued.

        Hops of an agent in maintenance do not count: they wait because a person said so.
        """
        queued = self._queued_hops()
        agents = self._agents.get_many({agent_id for hop in queued for agent_id in hop.agents})
        away = {agent_id for agent_id, agent in agents.items() if in_maintenance(agent, now)}
        waits = [_seconds_queued(hop, now) for hop in queued if away.isdisjoint(hop.agents)]
        return max(waits, default=0.0)

    def _queued_hops(self) -> list[Hop]:
        """Return the queued hops of the oldest queued transfers."""
        found: list[Hop] = []
        for transfer_id in self._transfers.oldest_queued(MAX_OLDEST):
            try:
                transfer = self._transfers.get(transfer_id)
            except TransferUnknownError:
                continue  # it was deleted, and the index lags
            found += [hop for hop in transfer.hops if hop.state == HopState.QUEUED]
        return found


def _seconds_queued(hop: Hop, now: datetime) -> float:
    """Return how long a hop has been queued; offers that were not answered count as waiting."""
    waited = now - hop.changed_at + hop.unanswered * OFFER_LEASE
    return max(waited.total_seconds(), 0.0)
