"""Lists of transfers, newest first, by state, agent or template, read from indexes page by page.

The indexes hold only keys. Headers are then read in one batch, and the hops of transfers that have not ended,
since a header's progress is as old as its last change of state.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from events.locations import agent_of
from events.progress import Progress
from events.states import Attention, TransferState
from events.views import TransferSummary
from lambdas.domain.transfer import summed
from lambdas.store.cursor import Cursor, read, taken, written
from lambdas.store.transfer_mapping import hop_of, hop_part
from lambdas.store.transfer_rows import HEADER, HeaderRow, HopRow, TransferRow

_ENDED = {
    TransferState.SUCCEEDED,
    TransferState.PARTIALLY_FAILED,
    TransferState.FAILED,
    TransferState.CANCELLED,
}


MAX_READS = 5
"""Maximum number of index queries for one page of a filtered list."""


@dataclass(frozen=True, kw_only=True)
class TransferFilter:
    """Filter for transfers created in [since, until): by state, agent, template, dry runs or not.

    With `attention`, the other filters apply to the transfers that need it for this reason.
    """

    since: datetime
    until: datetime
    status: TransferState | None = None
    attention: Attention | None = None
    agent_id: str | None = None
    template_id: str | None = None
    dry_run: bool | None = None
    limit: int = 50
    now: datetime | None = None
    """Current time, to leave out outdated speeds; None: speeds as reported."""

    def has(self, summary: TransferSummary) -> bool:
        """Return whether a transfer matches what the indexes do not filter."""
        return (
            (self.status is None or summary.state == self.status)
            and (self.agent_id is None or self.agent_id in _agents(summary))
            and (self.template_id is None or summary.template_id == self.template_id)
            and (self.dry_run is None or summary.dry_run == self.dry_run)
        )


def list_transfers(
    wanted: TransferFilter, cursor: str | None
) -> tuple[tuple[TransferSummary, ...], str | None]:
    """Return one page and the cursor of the next, None at the end.

    What the indexes do not filter is filtered after reading, in at most `MAX_READS` queries: pages may be
    short if few of many transfers match.

    Raises:
        CursorError: the cursor is invalid.
    """
    with taken(cursor):
        found, following = _filled(wanted, read(cursor))
    return tuple(found), written(following)


def _filled(
    wanted: TransferFilter, cursor: Cursor, reads: int = MAX_READS
) -> tuple[list[TransferSummary], Cursor | None]:
    ids, following = _page(wanted, cursor)
    found = [summary for summary in _summaries(ids, wanted.now) if wanted.has(summary)]
    lacking = wanted.limit - len(found)
    if following is None or not lacking or reads == 1:
        return found, following
    more, following = _filled(replace(wanted, limit=lacking), following, reads - 1)
    return found + more, following


def created_ids(since: datetime, until: datetime, limit: int) -> list[str]:
    """Return the ids of transfers created in [since, until), newest first."""
    wanted = TransferFilter(since=since, until=until, limit=limit)
    found, following = _by_month(wanted, Cursor())
    while following and len(found) < limit:
        more, following = _by_month(wanted, following)
        found += more
    return found[:limit]


def _agents(summary: TransferSummary) -> set[str | None]:
    return {agent_of(place) for place in (summary.source, *summary.destinations)}


def _page(wanted: TransferFilter, cursor: Cursor) -> tuple[list[str], Cursor | None]:
    if wanted.attention:
        return _by_key(TransferRow.by_attention, str(wanted.attention), wanted, cursor)
    if wanted.agent_id:
        return _by_key(TransferRow.by_agent, wanted.agent_id, wanted, cursor)
    if wanted.template_id:
        return _by_key(TransferRow.by_template, wanted.template_id, wanted, cursor)
    if wanted.status:
        return _by_key(TransferRow.by_status, str(wanted.status), wanted, cursor)
    return _by_month(wanted, cursor)


def _by_key(
    index: Any, key: str, wanted: TransferFilter, cursor: Cursor, limit: int | None = None
) -> tuple[list[str], Cursor | None]:
    rows = index.query(
        key,
        TransferRow.created_at.between(wanted.since, wanted.until - timedelta(microseconds=1)),
        scan_index_forward=False,
        limit=limit or wanted.limit,
        last_evaluated_key=cursor.key,
    )
    ids = list(dict.fromkeys(row.transfer_id for row in rows))
    return ids, Cursor(cursor.part, rows.last_evaluated_key) if rows.last_evaluated_key else None


def _by_month(wanted: TransferFilter, cursor: Cursor) -> tuple[list[str], Cursor | None]:
    ids: list[str] = []
    for month in _months(wanted, cursor.part):
        start = Cursor(month, cursor.key if month == cursor.part else None)
        more, rest = _by_key(TransferRow.by_time, month, wanted, start, wanted.limit - len(ids))
        ids += more
        if rest or len(ids) >= wanted.limit:
            return ids, rest or _after(month, wanted)
    return ids, None


def _months(wanted: TransferFilter, first: str | None) -> Iterator[str]:
    """Yield months from the period's last, or the cursor's, back to its first."""
    day = wanted.until.astimezone(UTC).replace(day=1)
    last = f"{wanted.since.astimezone(UTC):%Y-%m}"
    while (month := f"{day:%Y-%m}") >= last:
        if first is None or month <= first:
            yield month
        day = (day - timedelta(days=1)).replace(day=1)


def _after(month: str, wanted: TransferFilter) -> Cursor | None:
    """Return the cursor of the month before, if the page ended with this month and the period has one."""
    earlier = [other for other in _months(wanted, month) if other != month]
    return Cursor(earlier[0], None) if earlier else None


def _summaries(ids: Sequence[str], now: datetime | None) -> list[TransferSummary]:
    headers = {row.transfer_id: row for row in HeaderRow.batch_get([(each, HEADER) for each in ids])}
    going_on = [row for row in headers.values() if TransferState(row.status) not in _ENDED]
    keys = [(row.transfer_id, hop_part(number)) for row in going_on for number in range(int(row.hop_count))]
    parts: dict[str, list[Progress]] = {}
    for hop in HopRow.batch_get(keys) if keys else ():
        progress = hop_of(hop).progress_at(now) if now else hop.progress
        parts.setdefault(hop.transfer_id, []).append(progress)
    return [_summary(headers[each], parts.get(each)) for each in ids if each in headers]


def _summary(row: HeaderRow, parts: list[Progress] | None) -> TransferSummary:
    return TransferSummary(
        transfer_id=row.transfer_id,
        state=TransferState(row.status),
        source=row.source,
        destinations=row.destinations,
        shape=row.shape,
        dry_run=row.options.dry_run,
        selection_count=None if row.selection is None else len(row.selection),
        template_id=row.template_id,
        created_by=row.created_by,
        created_at=row.created_at,
        ended_at=row.ended_at,
        progress=summed(parts) if parts else row.progress,
        problem=row.problem,
        acknowledged_by=row.acknowledged,
    )
