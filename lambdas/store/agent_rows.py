"""Rows of the `agents` table: agents, how many there are, unused enrollments, and replies of agents.

They share one table: an agent's name has no `#` in it, the keys of the others do.
"""

from typing import Annotated, Any

from pydantic import Field
from pynamodb.attributes import (
    Attribute,
    BooleanAttribute,
    NumberAttribute,
    TTLAttribute,
    UnicodeAttribute,
    UTCDateTimeAttribute,
)
from pynamodb.expressions.update import Action
from pynamodb.indexes import GlobalSecondaryIndex, IncludeProjection, KeysOnlyProjection
from pynamodb.models import Model

from events.base import Problem
from events.progress import PeerReachability
from events.reports import Browsed, Capabilities, LogExcerpt, RootState
from events.views import AgentSummary, Drain
from lambdas.domain.agent import Agent, silence_checked_at
from lambdas.domain.agent_summary import group_of, summary_of
from lambdas.store.base import JsonOf
from lambdas.store.shards import shard_of

FLEET = "agent"
AWAITED = "heartbeat#"
"""Beginning of the keys of the index `silent`."""
AWAITED_SHARDS = 8
"""An index takes 1,000 written units a second for each key: each connection, Hello and heartbeat moves an
agent in it."""
AGING = "rotation"


class ByAgentName(GlobalSecondaryIndex["AgentRow"]):
    """Index of all agents, by name."""

    class Meta:
        index_name = "fleet"
        projection = KeysOnlyProjection()

    kind = UnicodeAttribute(hash_key=True)
    agent_id = UnicodeAttribute(range_key=True)


class ByGroup(GlobalSecondaryIndex["AgentRow"]):
    """Index of all agents by group and name, with what lists show of each.

    A heartbeat without news does not change it.
    """

    class Meta:
        index_name = "by_group"
        projection = IncludeProjection(["summary"])

    group = UnicodeAttribute(hash_key=True)
    agent_id = UnicodeAttribute(range_key=True)


class BySilence(GlobalSecondaryIndex["AgentRow"]):
    """Sparse index of connected agents in shards, by the time at which they are looked at for silence."""

    class Meta:
        index_name = "silent"
        projection = KeysOnlyProjection()

    awaited = UnicodeAttribute(hash_key=True)
    silent_at = UTCDateTimeAttribute(range_key=True)


class ByKeyAge(GlobalSecondaryIndex["AgentRow"]):
    """Sparse index of agents, by the next check of their keys' age."""

    class Meta:
        index_name = "aging"
        projection = KeysOnlyProjection()

    aging = UnicodeAttribute(hash_key=True)
    rotate_at = UTCDateTimeAttribute(range_key=True)


class AgentRow(Model):
    """An agent; the attributes have the names of the domain's fields."""

    class Meta:
        table_name = ""

    agent_id = UnicodeAttribute(hash_key=True)
    kind = UnicodeAttribute(null=True)
    hostname = UnicodeAttribute()
    ip_address = UnicodeAttribute(null=True)
    tags: JsonOf[dict[str, str]] = JsonOf(dict[str, str])
    roots: JsonOf[tuple[RootState, ...]] = JsonOf(tuple[RootState, ...])
    endpoints: JsonOf[tuple[str, ...]] = JsonOf(tuple[str, ...])
    endpoints_fixed = BooleanAttribute()
    lane_certificate = UnicodeAttribute()
    capabilities: JsonOf[Capabilities] = JsonOf(Capabilities)
    version = UnicodeAttribute()
    registered_at = UTCDateTimeAttribute()
    connected_at = UTCDateTimeAttribute(null=True)
    last_heartbeat = UTCDateTimeAttribute(null=True)
    awaited = UnicodeAttribute(null=True)
    silent_at = UTCDateTimeAttribute(null=True)
    heard_at = UTCDateTimeAttribute(null=True)
    hello_at = UTCDateTimeAttribute(null=True)
    presence = UnicodeAttribute()
    presence_at = UTCDateTimeAttribute(null=True)
    session = NumberAttribute()
    running = NumberAttribute()
    load = NumberAttribute(null=True)
    next_within_s = NumberAttribute()
    certificate = UnicodeAttribute(null=True)
    certified_at = UTCDateTimeAttribute(null=True)
    next_certificate = UnicodeAttribute(null=True)
    rotation_wanted_at = UTCDateTimeAttribute(null=True)
    aging = UnicodeAttribute(null=True)
    rotate_at = UTCDateTimeAttribute(null=True)
    skew = NumberAttribute(null=True)
    reached: JsonOf[tuple[PeerReachability, ...]] = JsonOf(tuple[PeerReachability, ...], default=())
    command_key_status = UnicodeAttribute(null=True)
    problems: JsonOf[tuple[Problem, ...]] = JsonOf(tuple[Problem, ...], default=())
    drain: JsonOf[Drain | None] = JsonOf(Drain, null=True)
    group = UnicodeAttribute(null=True)
    summary: JsonOf[AgentSummary] = JsonOf(AgentSummary, null=True)
    revision = NumberAttribute(null=True)
    key_hash = UnicodeAttribute()
    next_key_hash = UnicodeAttribute(null=True)
    """Hash of an API key that was issued and is not used yet."""
    expires_at = TTLAttribute(null=True)
    """Expiry of the other rows in this table; agents never expire."""

    fleet = ByAgentName()
    by_group = ByGroup()
    silent = BySilence()
    by_age = ByKeyAge()


class EnrollmentRow(Model):
    """An enrollment: the hash of the token that was issued for a name."""

    class Meta:
        table_name = ""

    agent_id = UnicodeAttribute(hash_key=True)
    token_hash = UnicodeAttribute()
    tags: JsonOf[dict[str, str]] = JsonOf(dict[str, str])
    claimed_at = UTCDateTimeAttribute(null=True)
    expires_at = TTLAttribute()


class ReplyRow(Model):
    """An agent's reply to a Browse or a ReadLog."""

    class Meta:
        table_name = ""

    agent_id = UnicodeAttribute(hash_key=True)
    reply: JsonOf[Browsed | LogExcerpt] = JsonOf(Annotated[Browsed | LogExcerpt, Field(discriminator="kind")])
    expires_at = TTLAttribute()


class CountsRow(Model):
    """How many agents of one shard of the names are in each group; each attribute is a group's.

    Transactions that write one row at once are refused and tried again, hence several rows.
    """

    class Meta:
        table_name = ""

    agent_id = UnicodeAttribute(hash_key=True)
    well = NumberAttribute(default=0)
    warned = NumberAttribute(default=0)
    late = NumberAttribute(default=0)
    late_in_maintenance = NumberAttribute(default=0)
    offline = NumberAttribute(default=0)
    offline_in_maintenance = NumberAttribute(default=0)
    changes = NumberAttribute(default=0)
    """How many times an agent was added, removed, or put into another group."""
    suspected = NumberAttribute(null=True)
    """`changes` when a recount found another number of agents; None if it found the same."""


ROWS: tuple[type[Model], ...] = (AgentRow, EnrollmentRow, ReplyRow, CountsRow)

_ROW_ONLY = {
    "agent_id", "kind", "awaited", "silent_at", "aging", "group", "summary", "key_hash", "next_key_hash",
    "expires_at",
}  # fmt: skip
FIELDS = tuple(name for name in AgentRow.get_attributes() if name not in _ROW_ONLY)


def values(agent: Agent) -> dict[str, Any]:
    """Return every attribute of an agent's row that may change."""
    silent_at = silence_checked_at(agent) if agent.presence == "online" else None
    derived = {
        "awaited": shard_of(AWAITED, agent.agent_id, AWAITED_SHARDS) if silent_at else None,
        "silent_at": silent_at,
        "aging": AGING if agent.rotate_at else None,
        "group": group_of(agent),
        "summary": summary_of(agent),
    }
    return {name: getattr(agent, name) for name in FIELDS} | derived


def agent_row(agent: Agent, key_hash: str) -> AgentRow:
    return AgentRow(agent.agent_id, kind=FLEET, key_hash=key_hash, **values(agent))


def agent_of(row: AgentRow) -> Agent:
    return Agent(agent_id=row.agent_id, **{name: getattr(row, name) for name in FIELDS})


def actions(old: Agent, new: Agent) -> list[Action]:
    """Return the update actions that turn the old agent's row into the new one's."""
    before, after = values(old), values(new)
    attributes: dict[str, Attribute[Any]] = AgentRow.get_attributes()
    return [
        attributes[name].remove() if value is None else attributes[name].set(value)
        for name, value in after.items()
        if value != before[name]
    ]
