"""Rows of the `agents` table: agents, their heartbeats, how many there are, unused enrollments, and replies.

They share one table: an agent's name has no `#` in it, the keys of the others do.

An agent is in two rows. What each heartbeat changes is in one of some 200 bytes, so that a heartbeat without
news costs one write unit, however many roots an agent has and however many peers it has reached.
"""

from datetime import UTC, datetime, timedelta
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
from pynamodb.constants import NUMBER
from pynamodb.expressions.update import Action
from pynamodb.indexes import GlobalSecondaryIndex, IncludeProjection, KeysOnlyProjection
from pynamodb.models import Model

from events.base import AgentId, Problem
from events.progress import PeerReachability
from events.reports import Browsed, Capabilities, LogExcerpt, RootState
from events.views import AgentSummary, Drain
from lambdas.domain.agent import Agent, silence_checked_at
from lambdas.domain.agent_summary import group_of, summary_of
from lambdas.store.base import JsonOf
from lambdas.store.shards import shard_of

FLEET = "agent"
_BEAT = "beat#"
AWAITED = "heartbeat#"
"""Beginning of the keys of the index `silent`."""
AWAITED_SHARDS = 8
"""An index takes 1,000 written units a second for each key: each connection, Hello and heartbeat moves an
agent in it."""
AGING = "rotation"


class MicrosecondsAttribute(Attribute[datetime]):
    """A time as microseconds since 1970: 9 bytes instead of 31."""

    attr_type = NUMBER

    def serialize(self, value: datetime) -> str:
        return str((value - _EPOCH) // timedelta(microseconds=1))

    def deserialize(self, value: str) -> datetime:
        return _EPOCH + timedelta(microseconds=int(value))


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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


class BySilence(GlobalSecondaryIndex["HeartbeatRow"]):
    """Sparse index of heartbeats of connected agents in shards, by the time at which to look for silence."""

    class Meta:
        index_name = "silent"
        projection = KeysOnlyProjection()

    awaited = UnicodeAttribute(hash_key=True)
    silent_at = MicrosecondsAttribute(range_key=True)


class ByKeyAge(GlobalSecondaryIndex["AgentRow"]):
    """Sparse index of agents, by the next check of their keys' age."""

    class Meta:
        index_name = "aging"
        projection = KeysOnlyProjection()

    aging = UnicodeAttribute(hash_key=True)
    rotate_at = UTCDateTimeAttribute(range_key=True)


class AgentRow(Model):
    """An agent without its heartbeat; the attributes have the names of the domain's fields.

    The roots are without their free room.
    """

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
    presence = UnicodeAttribute()
    presence_at = UTCDateTimeAttribute(null=True)
    session = NumberAttribute()
    running = NumberAttribute()
    certificate = UnicodeAttribute(null=True)
    certified_at = UTCDateTimeAttribute(null=True)
    next_certificate = UnicodeAttribute(null=True)
    rotation_wanted_at = UTCDateTimeAttribute(null=True)
    aging = UnicodeAttribute(null=True)
    rotate_at = UTCDateTimeAttribute(null=True)
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


class HeartbeatRow(Model):
    """What every heartbeat of an agent changes; the attributes have the names of the domain's fields.

    Each name of an attribute is written, and paid for, with each heartbeat.
    """

    class Meta:
        table_name = ""

    agent_id = UnicodeAttribute(hash_key=True)
    """Its key, see `beat_key`."""
    heard_at = MicrosecondsAttribute(null=True)
    last_heartbeat = MicrosecondsAttribute(null=True)
    hello_at = MicrosecondsAttribute(null=True)
    """A Hello that is only repeated costs no more than a heartbeat."""
    next_within_s = NumberAttribute()
    load = NumberAttribute(null=True)
    skew = NumberAttribute(null=True)
    free: JsonOf[tuple[int | None, ...]] = JsonOf(tuple[int | None, ...], default=())
    """Free room of the roots in bytes, in their order."""
    awaited = UnicodeAttribute(null=True)
    """Set while the agent is connected."""
    silent_at = MicrosecondsAttribute(null=True)

    silent = BySilence()


class AgentPartRow(Model):
    """A row of an agent or of its heartbeat, to read both with one request."""

    class Meta:
        table_name = ""

    agent_id = UnicodeAttribute(hash_key=True)

    @classmethod
    def from_raw_data(cls, data: dict[str, Any]) -> Any:
        """Return the row as one of its own class."""
        is_beat = data["agent_id"]["S"].startswith(_BEAT)
        return (HeartbeatRow if is_beat else AgentRow).from_raw_data(data)


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


ROWS: tuple[type[Model], ...] = (AgentRow, HeartbeatRow, AgentPartRow, EnrollmentRow, ReplyRow, CountsRow)

_ROW_ONLY = {
    "agent_id", "kind", "awaited", "silent_at", "aging", "group", "summary", "key_hash", "next_key_hash",
    "expires_at", "free",
}  # fmt: skip


def _fields(kind: type[Model]) -> tuple[str, ...]:
    """Return the fields of an agent that a row of this kind has."""
    return tuple(name for name in kind.get_attributes() if name not in _ROW_ONLY)


AGENT_FIELDS, BEAT_FIELDS = _fields(AgentRow), _fields(HeartbeatRow)


def beat_key(agent_id: AgentId) -> str:
    """Return the key of the row of an agent's heartbeat."""
    return f"{_BEAT}{agent_id}"


def agent_id_of(beat: HeartbeatRow) -> AgentId:
    """Return the agent whose heartbeat this is."""
    return beat.agent_id.removeprefix(_BEAT)


def agent_values(agent: Agent) -> dict[str, Any]:
    """Return every attribute of an agent's row that may change."""
    derived = {
        "roots": tuple(root.model_copy(update={"free": None}) for root in agent.roots),
        "aging": AGING if agent.rotate_at else None,
        "group": group_of(agent),
        "summary": summary_of(agent),
    }
    return {name: getattr(agent, name) for name in AGENT_FIELDS} | derived


def beat_values(agent: Agent) -> dict[str, Any]:
    """Return every attribute of the row of an agent's heartbeat that may change."""
    silent_at = silence_checked_at(agent) if agent.presence == "online" else None
    derived = {
        "free": tuple(root.free for root in agent.roots),
        "awaited": awaited(agent),
        "silent_at": silent_at,
    }
    return {name: getattr(agent, name) for name in BEAT_FIELDS} | derived


def awaited(agent: Agent) -> str | None:
    """Return the shard in which a heartbeat of the agent is awaited; None if it is not."""
    is_awaited = agent.presence == "online" and agent.heard_at
    return shard_of(AWAITED, agent.agent_id, AWAITED_SHARDS) if is_awaited else None


def rows_of(agent: Agent, key_hash: str) -> tuple[AgentRow, HeartbeatRow]:
    """Return the rows of a new agent."""
    return (
        AgentRow(agent.agent_id, kind=FLEET, key_hash=key_hash, **agent_values(agent)),
        HeartbeatRow(beat_key(agent.agent_id), **beat_values(agent)),
    )


def agent_of(row: AgentRow, beat: HeartbeatRow) -> Agent:
    """Return the agent that two rows describe."""
    known = {name: getattr(row, name) for name in AGENT_FIELDS}
    known |= {name: getattr(beat, name) for name in BEAT_FIELDS}
    # One of the two may have been read before, the other after a change of the roots.
    free = (*beat.free, *(None for _ in row.roots))
    known["roots"] = tuple(
        root.model_copy(update={"free": left}) for root, left in zip(row.roots, free, strict=False)
    )
    return Agent(agent_id=row.agent_id, **known)


def actions(kind: type[Model], before: dict[str, Any], after: dict[str, Any]) -> list[Action]:
    """Return the update actions that turn a row with these values into one with the others."""
    attributes: dict[str, Attribute[Any]] = kind.get_attributes()
    return [
        attributes[name].remove() if value is None else attributes[name].set(value)
        for name, value in after.items()
        if value != before[name]
    ]
