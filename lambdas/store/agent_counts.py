"""Count agents by group: kept by the transactions that change an agent's group, read at a constant cost.

A recount compares the counts with the index of groups. The index lags, and agents change while it is read: a
difference is only suspected at first, and mended if the next recount finds it again and no agent of the shard
was counted in between.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from pynamodb.attributes import NumberAttribute
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from events.base import AgentId
from lambdas.domain.agent import Agent
from lambdas.domain.agent_summary import AgentGroup, group_of
from lambdas.domain.errors import StaleError
from lambdas.store.agent_rows import AgentRow, CountsRow
from lambdas.store.base import refusal_is
from lambdas.store.shards import all_shards, shard_of

COUNTS = "counts#"
"""Beginning of the keys of the rows of counts."""
SHARDS = 16
"""Number of rows: ten thousand agents that come back within a minute are ten writes a second in each."""

Counts = Mapping[AgentGroup, int]


def changes_group(old: Agent | None, new: Agent | None) -> bool:
    """Return whether the change of an agent changes the counts; None: it does not exist."""
    return (old and group_of(old)) != (new and group_of(new))


def count_change(old: Agent | None, new: Agent | None, writes: TransactWrite) -> None:
    """Add the write that takes the old agent out of the counts and puts the new one in; none if equal."""
    agent = new or old
    if agent is None or not changes_group(old, new):
        return
    actions: list[Action] = [CountsRow.changes.add(1)]
    if old:
        actions.append(_attribute(group_of(old)).add(-1))
    if new:
        actions.append(_attribute(group_of(new)).add(1))
    writes.update(CountsRow(_shard(agent.agent_id)), actions)


def counts() -> Counter[AgentGroup]:
    """Return the number of agents by group."""
    total: Counter[AgentGroup] = Counter()
    for row in CountsRow.batch_get(_shards()):
        total.update(_counted(row))
    return +total


@dataclass(frozen=True)
class Mended:
    """Counts of a shard that were wrong."""

    shard: str
    counted: Counts
    found: Counts


def recount() -> list[Mended]:
    """Compare the counts with the index, and mend those that are wrong; return them."""
    rows = {row.agent_id: row for row in CountsRow.batch_get(_shards(), consistent_read=True)}
    found = _found()
    compared = (_compare(shard, rows.get(shard), found[shard]) for shard in _shards())
    return [mended for mended in compared if mended]


def is_suspected() -> bool:
    """Return whether the last recount found a difference that is not mended yet."""
    return any(row.suspected is not None for row in CountsRow.batch_get(_shards()))


def _compare(shard: str, known: CountsRow | None, found: Counter[AgentGroup]) -> Mended | None:
    """Compare and mend one shard; if an agent of it is counted meanwhile, leave it to the next recount."""
    row = known or CountsRow(shard)
    counted = _counted(row)
    wrong = counted != found
    if not wrong and row.suspected is None:
        return None
    if not wrong:
        actions: list[Action] = [CountsRow.suspected.remove()]
    elif row.suspected != row.changes:
        actions = [CountsRow.suspected.set(row.changes), CountsRow.changes.set(row.changes)]
    else:
        actions = [_attribute(group).set(found[group]) for group in AgentGroup]
        actions.append(CountsRow.suspected.remove())
    unchanged: Condition = CountsRow.changes == row.changes if known else ~CountsRow.changes.exists()
    try:
        with refusal_is(StaleError(shard)):
            row.update(actions, condition=unchanged)
    except StaleError:
        return None
    is_mended = wrong and row.suspected == row.changes
    return Mended(shard, counted, found) if is_mended else None


def _found() -> dict[str, Counter[AgentGroup]]:
    """Return the number of agents by shard and group, as the index has them."""
    found: dict[str, Counter[AgentGroup]] = {shard: Counter() for shard in _shards()}
    for group in AgentGroup:
        for row in AgentRow.by_group.query(group):
            found[_shard(row.agent_id)][group] += 1
    return found


def _counted(row: CountsRow) -> Counter[AgentGroup]:
    numbers = {group: int(getattr(row, group)) for group in AgentGroup}
    return Counter({group: number for group, number in numbers.items() if number})


def _attribute(group: AgentGroup) -> NumberAttribute:
    attribute: NumberAttribute = getattr(CountsRow, group)
    return attribute


def _shard(agent_id: AgentId) -> str:
    return shard_of(COUNTS, agent_id, SHARDS)


def _shards() -> tuple[str, ...]:
    return all_shards(COUNTS, SHARDS)
