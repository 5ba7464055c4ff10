"""Agents in DynamoDB. No Scan: lists use the index `fleet`, the sweeper uses the sparse index `silent`."""

from collections.abc import Iterable
from datetime import datetime
from operator import attrgetter
from typing import Any

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from events.base import AgentId
from events.views import AgentSummary
from lambdas.domain.agent import Agent
from lambdas.domain.errors import AgentUnknownError, StaleError
from lambdas.store import agent_rows as rows
from lambdas.store.agent_counts import count_change
from lambdas.store.agent_list import name_range
from lambdas.store.agent_rows import FLEET, AgentPartRow, AgentRow, HeartbeatRow
from lambdas.store.base import Writes, bind, no_writes, refusal_is, transaction
from lambdas.store.shards import all_shards, earliest


class AgentStore:
    """The only reader and writer of agents."""

    def __init__(self, table: str, region: str) -> None:
        self._region = region
        bind(rows.ROWS, table, region)

    def get(self, agent_id: AgentId) -> Agent:
        """Return an agent; raise AgentUnknownError if it does not exist."""
        found = _read({agent_id}, consistent_read=True)
        if agent_id not in found:
            raise AgentUnknownError(agent_id)
        return found[agent_id]

    def get_many(self, agent_ids: Iterable[AgentId]) -> dict[AgentId, Agent]:
        """Return the agents that exist, by name."""
        return _read(set(agent_ids))

    def summaries(self, agent_ids: Iterable[AgentId]) -> list[AgentSummary]:
        """Return what lists show of the agents that exist, by name."""
        found = AgentRow.batch_get(sorted(set(agent_ids)))
        return sorted((row.summary for row in found), key=attrgetter("agent_id"))

    def key_hashes(self, agent_id: AgentId) -> tuple[str, str | None]:
        """Return the hashes of the agent's API key and of a new one that is not used yet.

        Raises:
            AgentUnknownError: the agent does not exist.
        """
        row = self._row(agent_id)
        return row.key_hash, row.next_key_hash

    def rotate_key(self, agent_id: AgentId, key_hash: str) -> None:
        """Replace the API key by the new one, which the agent has used; raise StaleError if it differs."""
        with refusal_is(StaleError(f"Agent {agent_id}")):
            AgentRow(agent_id).update(_replace_key(key_hash), condition=AgentRow.next_key_hash == key_hash)

    def list_agents(
        self, limit: int, after: AgentId | None, beginning: str = ""
    ) -> tuple[list[Agent], AgentId | None]:
        """Return the agents after `after` whose names begin so, by name.

        Also return the last one's name if there may be more.
        """
        first, last = name_range(after, beginning)
        if first > last:
            return [], None
        within = AgentRow.agent_id.between(first, last)
        names = [row.agent_id for row in AgentRow.fleet.query(FLEET, within, limit=limit)]
        found = self.get_many(names)
        agents = [found[name] for name in names if name in found]
        return agents, names[-1] if len(names) == limit else None

    def create_agent(self, agent: Agent, key_hash: str, also: Writes) -> None:
        """Write a new agent and `also` in one transaction; raise StaleError if it is refused."""
        refusal = StaleError(f"Agent {agent.agent_id}")
        with refusal_is(refusal), transaction(self._region) as writes:
            row, beat = rows.rows_of(agent, key_hash)
            writes.save(row, condition=AgentRow.agent_id.does_not_exist())
            writes.save(beat)
            count_change(None, agent, writes)
            also(writes)

    def replace_agent(self, old: Agent, new: Agent, also: Writes | None = None) -> None:
        """Write what differs; raise StaleError if the agent was written or removed since it was read.

        A change of its group is counted in the same transaction.
        """
        self._update(old, new, _agent_actions(old, new), also)

    def renew(self, old: Agent, new: Agent, key_hash: str, also: Writes) -> None:
        """Write what differs, and a second API key that is valid beside the first; see `replace_agent`."""
        self._update(old, new, [*_agent_actions(old, new), AgentRow.next_key_hash.set(key_hash)], also)

    def confirm_key(self, old: Agent, new: Agent, also: Writes) -> None:
        """Write what differs, and replace the first API key by the second, if any; see `replace_agent`."""
        unused = self._row(old.agent_id).next_key_hash
        self._update(old, new, [*_agent_actions(old, new), *(_replace_key(unused) if unused else ())], also)

    def _update(self, old: Agent, new: Agent, actions: list[Action], also: Writes | None) -> None:
        """Write to the agent's row, and to its heartbeat's what differs; each only if it is as it was read.

        Most heartbeats bring nothing that the agent's row has, and are a single write of a small row. All
        else is decided by both rows, which are not read at one moment: the agent's has the summary and the
        group, to which the heartbeat's clock and free room belong. So a change of it writes both.
        """
        beats = rows.actions(HeartbeatRow, rows.beat_values(old), rows.beat_values(new))
        if not (actions or beats):
            return
        row, beat = AgentRow(old.agent_id), HeartbeatRow(rows.beat_key(old.agent_id))
        with refusal_is(StaleError(f"Agent {old.agent_id}")):
            if also is None and not actions:
                beat.update(beats, condition=_same_heartbeat(old))
                return
            with transaction(self._region) as writes:
                if actions:
                    revised = [*actions, AgentRow.revision.set(old.revision + 1)]
                    writes.update(row, revised, condition=_unchanged(old))
                same: list[Action] = [HeartbeatRow.next_within_s.set(new.next_within_s)]
                writes.update(beat, beats or same, condition=_same_heartbeat(old))
                count_change(old, new, writes)
                (also or no_writes)(writes)

    def silent(self, now: datetime, limit: int) -> list[AgentId]:
        """Return agents that are online, as far as the table says, and count as silent by now."""
        shards = all_shards(rows.AWAITED, rows.AWAITED_SHARDS)
        found = (
            HeartbeatRow.silent.query(shard, HeartbeatRow.silent_at <= now, limit=limit) for shard in shards
        )
        return [rows.agent_id_of(row) for row in earliest(found, lambda row: row.silent_at, limit)]

    def aging(self, now: datetime, limit: int) -> list[AgentId]:
        """Return agents whose keys are due for a check."""
        found = AgentRow.by_age.query(rows.AGING, AgentRow.rotate_at <= now, limit=limit)
        return [row.agent_id for row in found]

    def delete_agent(self, agent: Agent, also: Writes = no_writes) -> None:
        """Delete an agent, and write `also` in the same transaction; see `replace_agent`."""
        with refusal_is(StaleError(f"Agent {agent.agent_id}")), transaction(self._region) as writes:
            writes.delete(AgentRow(agent.agent_id), condition=_unchanged(agent))
            writes.delete(HeartbeatRow(rows.beat_key(agent.agent_id)))
            count_change(agent, None, writes)
            also(writes)

    def _row(self, agent_id: AgentId) -> AgentRow:
        try:
            return AgentRow.get(agent_id, consistent_read=True)
        except AgentRow.DoesNotExist:
            raise AgentUnknownError(agent_id) from None


def _replace_key(key_hash: str) -> list[Action]:
    return [AgentRow.key_hash.set(key_hash), AgentRow.next_key_hash.remove()]


def _read(names: set[AgentId], *, consistent_read: bool = False) -> dict[AgentId, Agent]:
    """Read agents and their heartbeats; return those that exist, by name."""
    beat_keys = {name: rows.beat_key(name) for name in names}
    parts = AgentPartRow.batch_get(sorted({*names, *beat_keys.values()}), consistent_read=consistent_read)
    found: dict[str, Any] = {part.agent_id: part for part in parts}
    return {
        name: rows.agent_of(found[name], found[key])
        for name, key in beat_keys.items()
        if {name, key} <= found.keys()  # it may be removed at this moment
    }


def _agent_actions(old: Agent, new: Agent) -> list[Action]:
    return rows.actions(AgentRow, rows.agent_values(old), rows.agent_values(new))


def _unchanged(agent: Agent) -> Condition:
    """Return the condition that an agent exists and was not written since it was read."""
    condition: Condition = AgentRow.revision == agent.revision
    return condition


def _same_heartbeat(agent: Agent) -> Condition:
    """Return the condition that an agent exists, and was neither heard nor found gone since it was read."""
    awaited, heard_at = rows.awaited(agent), agent.heard_at
    is_awaited: Condition = (
        HeartbeatRow.awaited == awaited if awaited else HeartbeatRow.awaited.does_not_exist()
    )
    is_heard: Condition = (
        HeartbeatRow.heard_at == heard_at if heard_at else HeartbeatRow.heard_at.does_not_exist()
    )
    condition: Condition = HeartbeatRow.agent_id.exists() & is_awaited & is_heard
    return condition
