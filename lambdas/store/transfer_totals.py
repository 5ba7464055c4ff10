"""Totals of recent transfers, summed over the headers of the newest ones, and counts of what is open.

At most `max_counted` transfers are read, with one query per month and one batch per hundred.
"""

from datetime import datetime
from typing import Any

from events.states import Attention, TransferState
from events.views import AttentionGroup, AttentionView, TransferSummary, TransferTotals
from lambdas.store.transfer_list import TransferFilter, list_transfers
from lambdas.store.transfer_rows import TransferRow

MAX_COUNTED = 500
"""Maximum number of transfers that are summed or counted: a header is about 1 KB, so about one long list."""
MAX_NEWEST = 3
"""Number of transfers that are named for each reason to look at some."""
_FAILED = {TransferState.FAILED, TransferState.PARTIALLY_FAILED}


def totals(
    starts: tuple[datetime, ...], until: datetime, max_counted: int = MAX_COUNTED
) -> tuple[TransferTotals, ...]:
    """Return the totals of the transfers created since each start; dry runs are not counted."""
    found, more = list_transfers(TransferFilter(since=min(starts), until=until, limit=max_counted), None)
    oldest = found[-1].created_at if found and more else None
    return tuple(_totals_since(found, start, complete=oldest is None or oldest < start) for start in starts)


def attention(since: datetime, until: datetime) -> AttentionView:
    """Return the transfers that need a person, with the newest of each reason, and how many are queued.

    Counting reads keys only.
    """
    counts = {reason: _count(TransferRow.by_attention, reason) for reason in Attention}
    return AttentionView(
        groups=tuple(
            AttentionGroup(reason=reason, count=count, newest=_newest(reason, since, until))
            for reason, count in counts.items()
            if count
        ),
        queued=_count(TransferRow.by_status, TransferState.QUEUED),
    )


def _newest(reason: Attention, since: datetime, until: datetime) -> tuple[TransferSummary, ...]:
    wanted = TransferFilter(since=since, until=until, attention=reason, limit=MAX_NEWEST)
    return list_transfers(wanted, None)[0]


def _count(index: Any, key: str) -> int:
    # Counting by `index.count` would go on to the end: its limit is that of a page.
    return sum(1 for _ in index.query(str(key), limit=MAX_COUNTED))


def _totals_since(found: tuple[TransferSummary, ...], start: datetime, *, complete: bool) -> TransferTotals:
    inside = [one for one in found if one.created_at >= start and not one.dry_run]
    return TransferTotals(
        since=start,
        transfers=len(inside),
        succeeded=sum(one.state == TransferState.SUCCEEDED for one in inside),
        failed=sum(one.state in _FAILED for one in inside),
        bytes_moved=sum(one.progress.bytes_done - one.progress.bytes_unchanged for one in inside),
        files_moved=sum(one.progress.files_done - one.progress.files_unchanged for one in inside),
        complete=complete,
    )
