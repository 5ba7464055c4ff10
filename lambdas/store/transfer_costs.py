"""What the transfers of each month cost, by what started them, where they came from and for whom.

Sums are kept as transfers end, like the totals: the write that ends a transfer adds to its month what it has
cost since its end before. The write that starts it again takes away the transfer and its bytes, which count
in the month of its last end, and leaves the money: that was spent.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from events.views import CostLabel, CostSum, CostsView
from lambdas.domain.transfer import Transfer
from lambdas.domain.transfer_cost import cost_of
from lambdas.store.shards import shard_of
from lambdas.store.transfer_rows import COSTS, CostRow

SHARDS = 4
"""Number of rows of a sum: transactions that write one row at once are refused and tried again."""
MAX_SUMS = 1000
"""Sums in one answer, some 300 KB; the rest is one sum."""
MICRO = 1_000_000
_MONEY = ("requests", "egress", "relay")
_MOVING = ("transfers", "bytes_arrived", "storage_a_month")
_SUMS = (*_MOVING, *_MONEY)


def charge_change(old: Transfer, new: Transfer, writes: TransactWrite) -> None:
    """Add the writes that take the old transfer out of the sums, put the new one in, and add its new cost."""
    if new.options.dry_run:
        return
    changes = defaultdict[str, Counter[str]](Counter)
    for transfer, sign in ((old, -1), (new, 1)):
        if transfer.ended_at:
            for name, amount in _moving(transfer).items():
                changes[_month(transfer.ended_at)][name] += sign * amount
    if new.ended_at:
        for name in _MONEY:
            more = round(getattr(new.charged, name) * MICRO) - round(getattr(old.charged, name) * MICRO)
            changes[_month(new.ended_at)][name] += more
    for month, sums in changes.items():
        actions: list[Action] = [getattr(CostRow, name).add(sums[name]) for name in _SUMS if sums[name]]
        for part, name in _labels(new).values() if actions else ():
            row = CostRow(f"{COSTS}{month}", shard_of(f"{part}#", new.transfer_id, SHARDS))
            writes.update(row, [*actions, CostRow.label.set(name)])


def _moving(transfer: Transfer) -> dict[str, int]:
    """Return what of a transfer moves to another month if it ends again."""
    stored = cost_of(transfer.hops, transfer.options, final=True).storage_a_month
    arrived = transfer.arrived[0]
    return {"transfers": 1, "bytes_arrived": arrived, "storage_a_month": round(stored * MICRO)}


def _month(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m}"


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


def costs_of(month: str, by: CostLabel, most: int = MAX_SUMS) -> CostsView:
    """Return the sums of a month (`2026-11`), the most expensive first, and one of all beyond `most`."""
    sums = defaultdict[str, Counter[str]](Counter)
    names: dict[str, str] = {}
    for row in CostRow.query(f"{COSTS}{month}", CostRow.part.startswith(f"{by}#")):
        key = row.part.removeprefix(f"{by}#").rpartition("#")[0]
        sums[key].update({name: int(getattr(row, name)) for name in _SUMS})
        names[key] = row.label
    found = [(key, one) for key, one in sums.items() if any(one.values())]
    found.sort(key=lambda one: (-sum(one[1][name] for name in _MONEY), names[one[0]]))
    rest = found[most:]
    return CostsView(
        month=month,
        by=by,
        sums=tuple(_sum(key, names[key], one) for key, one in found[:most]),
        others=_others([one for _, one in rest]) if rest else None,
    )


def _others(sums: Sequence[Counter[str]]) -> CostSum:
    total = Counter[str]()
    for one in sums:
        total.update(one)
    return _sum("", f"{len(sums):,} others", total)


def _sum(key: str, name: str, sums: Counter[str]) -> CostSum:
    money = {name: max(sums[name], 0) / MICRO for name in _MONEY}
    return CostSum(
        id=key,
        name=name,
        transfers=max(sums["transfers"], 0),
        bytes_arrived=max(sums["bytes_arrived"], 0),
        dollars=round(sum(money.values()), 6),
        storage_a_month=max(sums["storage_a_month"], 0) / MICRO,
        **money,
    )
