"""Totals of recent transfers, summed over the headers of the newest ones.

At most `max_counted` transfers are read, with one query per month and one batch per hundred.
"""

from datetime import datetime

from events.states import TransferState
from events.views import TransferSummary, TransferTotals
from lambdas.store.transfer_list import TransferFilter, list_transfers

MAX_COUNTED = 500
"""Maximum number of transfers that are summed. A header is about 1 KB: this costs about one long list."""
_FAILED = {TransferState.FAILED, TransferState.PARTIALLY_FAILED}


def totals(
    starts: tuple[datetime, ...], until: datetime, max_counted: int = MAX_COUNTED
) -> tuple[TransferTotals, ...]:
    """Return the totals of the transfers created since each start; dry runs are not counted."""
    found, more = list_transfers(TransferFilter(since=min(starts), until=until, limit=max_counted), None)
    oldest = found[-1].created_at if found and more else None
    return tuple(_totals_since(found, start, complete=oldest is None or oldest < start) for start in starts)


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
