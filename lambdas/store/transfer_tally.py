"""What has been moved lately: the newest transfers of a window, added up from their headers.

One query a month and one batch read a hundred transfers, of `NEWEST` at the most, however many there are.
"""

from datetime import datetime

from events.states import TransferState
from events.views import TransferSummary, TransferTotals
from lambdas.store.transfer_list import TransferFilter, list_transfers

MAX_COUNTED = 500
"""How many transfers are looked at. A header is some kilobyte: this costs about as much as one long list."""
_FAILED = {TransferState.FAILED, TransferState.PARTIALLY_FAILED}


def totals(starts: tuple[datetime, ...], until: datetime) -> tuple[TransferTotals, ...]:
    """For each start, what was asked for since then; `complete` says whether everything could be counted.
    Dry runs move nothing, and are not counted."""
    found, more = list_transfers(TransferFilter(since=min(starts), until=until, limit=MAX_COUNTED), None)
    oldest = found[-1].created_at if found and more else None
    return tuple(_tally(found, start, complete=oldest is None or oldest < start) for start in starts)


def _tally(found: tuple[TransferSummary, ...], start: datetime, *, complete: bool) -> TransferTotals:
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
