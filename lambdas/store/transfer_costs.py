"""What the transfers of each month cost, by what started them, where they came from and for whom.

Sums are kept as transfers end, like the totals: the write that ends a transfer adds what it cost by the
prices of then to its month, and the write that starts it again takes that away.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import UTC

from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from events.views import CostLabel, CostSum
from lambdas.domain.transfer import Transfer
from lambdas.domain.transfer_cost import cost_of
from lambdas.store.shards import shard_of
from lambdas.store.transfer_rows import COSTS, CostRow

SHARDS = 4
"""Number of rows of a sum: transactions that write one row at once are refused and tried again."""
MICRO = 1_000_000
_MONEY = ("requests", "egress", "relay", "storage_a_month")
_SUMS = ("transfers", "bytes_arrived", *_MONEY)


def charge_change(old: Transfer, new: Transfer, writes: TransactWrite) -> None:
    """Add the writes that take the old transfer out of the sums and put the new one in; none if equal."""
    before, after = _charged(old), _charged(new)
    if before == after:
        return
    names = _labels(new)
    for key in before.keys() | after.keys():
        sums = Counter(after.get(key, Counter()))
        sums.subtract(before.get(key, Counter()))
        month, label = key
        actions: list[Action] = [getattr(CostRow, name).add(sums[name]) for name in _SUMS if sums[name]]
        if actions:
            part, name = names[label]
            row = CostRow(f"{COSTS}{month}", shard_of(f"{part}#", new.transfer_id, SHARDS))
            writes.update(row, [*actions, CostRow.label.set(name)])


def _charged(transfer: Transfer) -> dict[tuple[str, CostLabel], Counter[str]]:
    """Return what a transfer adds to which row; nothing before it has ended, nor for a dry run."""
    if transfer.ended_at is None or transfer.options.dry_run:
        return {}
    cost = cost_of(transfer.hops, transfer.options, final=True)
    sums = Counter({name: round(getattr(cost, name) * MICRO) for name in _MONEY})
    sums.update(transfers=1, bytes_arrived=transfer.arrived[0])
    month = f"{transfer.ended_at.astimezone(UTC):%Y-%m}"
    return {(month, label): sums for label in _labels(transfer)}


def _labels(transfer: Transfer) -> Mapping[CostLabel, tuple[str, str]]:
    """Return the key and the name of the transfer's row by label.

    The agent is the one that the bytes come from, or if they come from S3, the one that fetches them.
    """
    first, person = transfer.hops[0], transfer.acting
    agent = first.source_agent or first.carrier
    found: dict[CostLabel, tuple[str, str]] = {
        "agent": (f"agent#{agent}", agent),
        "person": (f"person#{person.id}", person.name),
    }
    if transfer.template_id:
        found["template"] = (f"template#{transfer.template_id}", transfer.template_id)
    return found


def cost_sums(month: str, by: CostLabel) -> list[CostSum]:
    """Return the sums of a month (`2026-11`), the most expensive first."""
    sums = defaultdict[str, Counter[str]](Counter)
    names: dict[str, str] = {}
    for row in CostRow.query(f"{COSTS}{month}", CostRow.part.startswith(f"{by}#")):
        key = row.part.removeprefix(f"{by}#").rpartition("#")[0]
        sums[key].update({name: int(getattr(row, name)) for name in _SUMS})
        names[key] = row.label
    found = [_sum(key, names[key], one) for key, one in sums.items() if one["transfers"] > 0]
    return sorted(found, key=lambda one: (-one.dollars, one.name))


def _sum(key: str, name: str, sums: Counter[str]) -> CostSum:
    money = {name: max(sums[name], 0) / MICRO for name in _MONEY}
    return CostSum(
        id=key,
        name=name,
        transfers=sums["transfers"],
        bytes_arrived=max(sums["bytes_arrived"], 0),
        dollars=round(money["requests"] + money["egress"] + money["relay"], 6),
        **money,
    )
