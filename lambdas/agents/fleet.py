"""Show agents in short and count them, at a cost that does not grow with their number."""

from collections.abc import Sequence
from dataclasses import replace

from events.base import AgentId
from events.states import AgentStatus
from events.views import AgentCounts, AgentSummary, FleetView
from lambdas.agents.cursors import parse_cursor
from lambdas.domain.agent_filter import AgentFilter
from lambdas.domain.agent_summary import GROUPS, IN_MAINTENANCE, AgentGroup, summary_at
from lambdas.domain.page_size import fitting
from lambdas.ports import Clock
from lambdas.store.agent_counts import counts, is_suspected, recount
from lambdas.store.agent_list import in_ended_maintenance, list_summaries
from lambdas.store.agents import AgentStore
from lambdas.store.installer import InstallerStore
from lambdas.telemetry import count, logger

MINUTES_BETWEEN_RECOUNTS = 60
MAX_EXCUSED = 100
"""Agents in maintenance, late and offline each, that an answer reads to count those whose maintenance is
over: some 6 read units each. The alarm `AgentsAbsent` reads all."""


class FleetOverview:
    """Lists and counts agents."""

    def __init__(self, store: AgentStore, installers: InstallerStore, clock: Clock) -> None:
        """`store` is bound to the table that the lists and counts are in."""
        self._store = store
        self._installers = installers
        self._clock = clock

    def show(self, wanted: AgentFilter, after: str | None, *, outdated: bool = False) -> FleetView:
        """Return a page of agents; `outdated`: only those that have not the newest version.

        Raises:
            CursorError: `after` is no agent's name.
        """
        wanted = replace(wanted, after=parse_cursor(AgentId, after))
        newest = self._newest_version()
        if outdated and newest is None:
            return self._view(newest, [], None)
        if outdated:
            wanted = replace(wanted, other_than=newest)
        return self._view(newest, *list_summaries(wanted, self._clock()))

    def show_named(self, names: Sequence[AgentId]) -> FleetView:
        """Return these agents, by name; those that do not exist are left out."""
        now = self._clock()
        summaries = [summary_at(summary, now) for summary in self._store.summaries(names)]
        return self._view(self._newest_version(), summaries, None)

    def recount(self) -> None:
        """Compare the counts with the agents once an hour, and again each minute while they differ."""
        if self._clock().minute % MINUTES_BETWEEN_RECOUNTS and not is_suspected():
            return
        for wrong in recount():
            keys = {"shard": wrong.shard, "counted": wrong.counted, "found": wrong.found}
            logger.warning("agents were counted wrongly; the counts are mended", extra=keys)
            count("AgentCountsMended")

    def _newest_version(self) -> str | None:
        newest = self._installers.get()
        return newest.version if newest else None

    def _view(self, newest: str | None, found: list[AgentSummary], following: AgentId | None) -> FleetView:
        counted, agents = counts(), fitting(found)
        excused = sum(counted[one] for one in IN_MAINTENANCE)
        if excused:
            excused -= in_ended_maintenance(self._clock(), MAX_EXCUSED)
        of = {status: sum(counted[group] for group in groups) for status, groups in GROUPS.items()}
        return FleetView(
            counts=AgentCounts(
                online=of[AgentStatus.ONLINE],
                late=of[AgentStatus.LATE],
                offline=of[AgentStatus.OFFLINE],
                attention=counted.total() - counted[AgentGroup.WELL] - excused,
            ),
            newest_version=newest,
            agents=tuple(agents),
            next=agents[-1].agent_id if len(agents) < len(found) else following,
        )
