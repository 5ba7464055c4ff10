"""What a list shows of an agent: a small row that changes only when something about the agent does.

The row is kept in an index, which a heartbeat rewrites only if it brings news. So it holds no amount that
changes all the time: free room is in whole percent, and a last heartbeat is told only of an agent that is
away.
"""

from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum

from events.reports import RemoteState, RootState
from events.states import AgentStatus
from events.views import AgentSummary, AgentWarning
from lambdas.domain.agent import Agent, Presence

MAX_SKEW_S = 60
"""Offset of an agent's clock in seconds beyond which it rejects commands."""
NEARLY_FULL_PERCENT = 5
"""Free share of a writable root's disk in percent below which it is nearly full."""
MAX_WARNINGS = 4
"""Maximum number of warnings in a summary; the agent itself shows all."""
MAX_REMOTES = 16
"""Maximum number of remotes in a summary; the agent itself shows all."""
MAX_CHARS = 253
"""Characters of a text that an agent reports, such as its host's name, that a summary has."""


class AgentGroup(StrEnum):
    """Where an agent counts: each is in one group, whatever the time is."""

    WELL = "well"
    WARNED = "warned"
    """Online, and a person should look at it."""
    LATE = "late"
    LATE_IN_MAINTENANCE = "late_in_maintenance"
    OFFLINE = "offline"
    OFFLINE_IN_MAINTENANCE = "offline_in_maintenance"
    """The maintenance may be over: the drain tells until when it is."""


GROUPS: dict[AgentStatus, tuple[AgentGroup, ...]] = {
    AgentStatus.ONLINE: (AgentGroup.WELL, AgentGroup.WARNED),
    AgentStatus.LATE: (AgentGroup.LATE, AgentGroup.LATE_IN_MAINTENANCE),
    AgentStatus.OFFLINE: (AgentGroup.OFFLINE, AgentGroup.OFFLINE_IN_MAINTENANCE),
}
"""Groups of each status."""
IN_MAINTENANCE = (AgentGroup.LATE_IN_MAINTENANCE, AgentGroup.OFFLINE_IN_MAINTENANCE)
"""Groups of agents that are away and were put into maintenance, which may be over."""
_STATUS: dict[Presence, AgentStatus] = {
    "online": AgentStatus.ONLINE,
    "silent": AgentStatus.LATE,
    "offline": AgentStatus.OFFLINE,
}


def group_of(agent: Agent) -> AgentGroup:
    """Return the agent's group. It does not depend on the time, so that only a write can change it."""
    if agent.presence == "online":
        return AgentGroup.WARNED if any(_warnings(agent)) else AgentGroup.WELL
    excused = agent.drain is not None and agent.drain.maintenance
    return GROUPS[_STATUS[agent.presence]][excused]


def summary_of(agent: Agent) -> AgentSummary:
    """Return the row of an agent, with the last drain, which may be over; see `summary_at`."""
    is_away = agent.presence != "online"
    known_free = [free for root in agent.roots if (free := _free_percent(root)) is not None]
    return AgentSummary(
        agent_id=agent.agent_id,
        hostname=agent.hostname[:MAX_CHARS],
        ip_address=agent.ip_address and agent.ip_address[:MAX_CHARS],
        status=_STATUS[agent.presence],
        version=agent.version[:MAX_CHARS],
        tags=agent.tags,
        roots=len(agent.roots),
        free_percent=min(known_free, default=None),
        remotes=tuple(map(_short, agent.capabilities.remotes[:MAX_REMOTES])),
        running=agent.running,
        registered_at=agent.registered_at,
        connected_at=agent.connected_at,
        last_heartbeat=agent.last_heartbeat if is_away else None,
        certified_at=agent.certified_at,
        drain=agent.drain,
        warnings=() if is_away else tuple(_warnings(agent))[:MAX_WARNINGS],
    )


def is_news(old: Agent, new: Agent) -> bool:
    """Return whether open consoles are told of a change of an agent.

    A heartbeat alone is not news, and neither is free room, which changes all the time: a disk that is nearly
    full is a warning, which is news.
    """
    return _announced_fields(old) != _announced_fields(new)


def _announced_fields(agent: Agent) -> AgentSummary:
    return summary_of(agent).model_copy(update={"free_percent": None})


def summary_at(summary: AgentSummary, now: datetime) -> AgentSummary:
    """Return the summary without a drain that is over."""
    drain = summary.drain
    is_over = drain is not None and drain.until is not None and drain.until <= now
    return summary.model_copy(update={"drain": None}) if is_over else summary


def needs_attention(summary: AgentSummary) -> bool:
    """Return whether a person should look at an agent, by its summary of now."""
    excused = summary.drain is not None and summary.drain.maintenance
    return bool(summary.warnings) or (summary.status != AgentStatus.ONLINE and not excused)


def _warnings(agent: Agent) -> Iterator[AgentWarning]:
    if agent.skew is not None and abs(agent.skew) > MAX_SKEW_S:
        yield AgentWarning(kind="clock", amount=round(agent.skew / 60))
    if agent.command_key_status == "none":
        yield AgentWarning(kind="rejects_commands")
    for root in agent.roots:
        if root.free is None:
            yield AgentWarning(kind="root_missing", path=root.path[:MAX_CHARS])
    for root in agent.roots:
        free = _free_percent(root)
        if free is not None and free < NEARLY_FULL_PERCENT:
            yield AgentWarning(kind="root_nearly_full", path=root.path[:MAX_CHARS], amount=free)


def _short(remote: RemoteState) -> RemoteState:
    return remote.model_copy(update={"type": remote.type and remote.type[:MAX_CHARS]})


def _free_percent(root: RootState) -> int | None:
    """Return the free share of a writable root's disk in whole percent, rounded down; None if unknown."""
    if root.access == "ro" or root.free is None or not root.size:
        return None
    return root.free * 100 // root.size
