"""Lists of agents in short, by name, read from the index of groups.

Each group of agents is a part of the index. A list of several groups is their merger, of which each is read
page by page as far as it is needed. So a page costs as much among 10,000 agents as among 100. Criteria that
are no group, nor the beginning of a name, are checked on the rows: one answer reads at most `MAX_READ`, and
the next one goes on from there.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from heapq import merge
from itertools import groupby
from operator import attrgetter

from events.base import AgentId
from events.views import AgentSummary
from lambdas.domain.agent_filter import AgentFilter
from lambdas.domain.agent_summary import IN_MAINTENANCE, AgentGroup, needs_attention, summary_at
from lambdas.store.agent_rows import AgentRow

MAX_READ = 250
"""Maximum number of rows that one answer checks: some 110 KB, or 14 read units."""
CHECKED_PAGE = 50
"""Number of rows of a group that one query reads where they are checked."""


def list_summaries(wanted: AgentFilter, now: datetime) -> tuple[list[AgentSummary], AgentId | None]:
    """Return one page, and the name after which the next begins, None at the end.

    A page may be short, even empty, although others follow. Drains that are over by now are left out.
    """
    found: list[AgentSummary] = []
    walk = _walk(wanted, now)
    for number, summary in enumerate(walk, 1):
        if wanted.has(summary):
            found.append(summary)
        if len(found) == wanted.limit or number == MAX_READ:
            return found, summary.agent_id if next(walk, None) else None
    return found, None


def find_names(tags: Mapping[str, str], other_than: str) -> list[AgentId]:
    """Return the names of all agents with these tags and another version; reads every summary."""
    rows = (row for group in AgentGroup for row in AgentRow.by_group.query(group))
    return sorted(
        {
            row.agent_id
            for row in rows
            if tags.items() <= row.summary.tags.items() and row.summary.version != other_than
        }
    )


def in_ended_maintenance(now: datetime, limit: int | None = None) -> int:
    """Return how many agents are away though the maintenance is over.

    Reads all that were put into one, or as many of those that are late, and of those that are offline, as
    `limit` says.
    """
    rows = (row for group in IN_MAINTENANCE for row in AgentRow.by_group.query(group, limit=limit))
    return sum(needs_attention(summary_at(row.summary, now)) for row in rows)


def name_range(after: AgentId | None, beginning: str) -> tuple[str, str]:
    """Return between which texts the names are that begin so and come after another.

    Names consist of letters, digits and hyphens: a hyphen is the first of these, `~` beyond the last.
    """
    return max(beginning or "-", f"{after}-" if after else "-"), f"{beginning}~"


def _walk(wanted: AgentFilter, now: datetime) -> Iterator[AgentSummary]:
    """Yield agents by name. One that changes its group while they are read may be found in both."""
    rows = merge(*(_group(group, wanted) for group in wanted.groups), key=attrgetter("agent_id"))
    for _, same in groupby(rows, key=attrgetter("agent_id")):
        yield summary_at(next(same).summary, now)


def _group(group: AgentGroup, wanted: AgentFilter) -> Iterator[AgentRow]:
    first, last = name_range(wanted.after, wanted.beginning)
    if first > last:
        return
    page = CHECKED_PAGE if wanted.is_checked else wanted.limit + 1
    yield from AgentRow.by_group.query(group, AgentRow.agent_id.between(first, last), page_size=page)
