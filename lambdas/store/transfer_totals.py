"""Totals of the transfers that have ended, and counts of what waits for a person.

Totals are kept as transfers end: the write that ends a transfer adds it to its quarter of an hour, in one
transaction, and the write that starts it again takes it away. So they are exact whatever the number of
transfers, and reading 30 days reads a few thousand small rows at most.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from events.base import MAX_INTEGER
from events.states import Attention, TransferState
from events.views import AttentionGroup, AttentionView, TransferSummary, TransferTotals
from lambdas.domain.transfer import Transfer
from lambdas.store.shards import shard_of
from lambdas.store.transfer_list import TransferFilter, list_transfers
from lambdas.store.transfer_rows import TOTALS, TotalsRow, TransferRow

QUARTER = timedelta(minutes=15)
"""Step of the totals: every time zone's midnight begins a quarter of an hour."""
SHARDS = 4
"""Number of rows of a quarter: transactions that write one row at once are refused and tried again."""
MAX_COUNTED = 500
"""Maximum number of transfers that are counted for each reason to look at some."""
MAX_NEWEST = 3
"""Number of transfers that are named for each reason to look at some."""
_FAILED = {TransferState.FAILED, TransferState.PARTIALLY_FAILED}
_SUMS = ("transfers", "succeeded", "failed", "bytes_arrived", "files_arrived")


def count_change(old: Transfer, new: Transfer, writes: TransactWrite) -> None:
    """Add the writes that take the old transfer out of the totals and put the new one in; none if equal."""
    before, after = _counted(old), _counted(new)
    if before == after:
        return
    for key in before.keys() | after.keys():
        sums = after.get(key, Counter())
        sums.subtract(before.get(key, Counter()))
        if actions := _additions(sums):
            writes.update(TotalsRow(*key), actions)


def _counted(transfer: Transfer) -> dict[tuple[str, str], Counter[str]]:
    """Return what a transfer adds to which row; nothing before it has ended, nor for a dry run."""
    if transfer.ended_at is None or transfer.options.dry_run:
        return {}
    bytes_arrived, files_arrived = transfer.arrived
    sums = Counter(
        transfers=1,
        succeeded=int(transfer.state == TransferState.SUCCEEDED),
        failed=int(transfer.state in _FAILED),
        bytes_arrived=bytes_arrived,
        files_arrived=files_arrived,
    )
    ended = transfer.ended_at.astimezone(UTC)
    part = shard_of(f"{_quarter(ended)}#", transfer.transfer_id, SHARDS)
    return {(f"{TOTALS}{ended:%Y-%m}", part): sums}


def _additions(sums: Counter[str]) -> list[Action]:
    return [getattr(TotalsRow, name).add(sums[name]) for name in _SUMS if sums[name]]


def _quarter(at: datetime) -> str:
    """Return the sort key of the quarter of an hour that holds this time."""
    at = at.astimezone(UTC)
    return f"{at.replace(minute=at.minute // 15 * 15):%Y-%m-%dT%H:%M}"


def totals(starts: tuple[datetime, ...], until: datetime) -> tuple[TransferTotals, ...]:
    """Return the totals of the transfers that ended since the quarter of an hour of each start."""
    rows = [(row.part, row) for row in _rows(min(starts), until)]
    return tuple(_total(start, [row for part, row in rows if part >= _quarter(start)]) for start in starts)


def _rows(since: datetime, until: datetime) -> Iterator[TotalsRow]:
    month = since.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    while month <= until:
        yield from TotalsRow.query(f"{TOTALS}{month:%Y-%m}", TotalsRow.part >= _quarter(since))
        month = (month + timedelta(days=31)).replace(day=1)


def _total(since: datetime, rows: list[TotalsRow]) -> TransferTotals:
    sums = {name: min(int(sum(getattr(row, name) for row in rows)), MAX_INTEGER) for name in _SUMS}
    return TransferTotals(since=since, **sums)


def attention(since: datetime, until: datetime) -> AttentionView:
    """Return the transfers that need a person, with the newest of each reason, and how many are queued.

    Counting reads keys only.
    """
    counts = {reason: count_waiting(reason) for reason in Attention}
    return AttentionView(
        groups=tuple(
            AttentionGroup(reason=reason, count=count, newest=_newest(reason, since, until))
            for reason, count in counts.items()
            if count
        ),
        queued=_count(TransferRow.by_status, TransferState.QUEUED),
    )


def count_waiting(reason: Attention) -> int:
    """Return how many transfers need a person for this reason, up to `MAX_COUNTED`; reads keys only."""
    return _count(TransferRow.by_attention, reason)


def _newest(reason: Attention, since: datetime, until: datetime) -> tuple[TransferSummary, ...]:
    wanted = TransferFilter(since=since, until=until, attention=reason, limit=MAX_NEWEST)
    return list_transfers(wanted, None)[0]


def _count(index: Any, key: str) -> int:
    # Counting by `index.count` would go on to the end: its limit is that of a page.
    return sum(1 for _ in index.query(str(key), limit=MAX_COUNTED))
