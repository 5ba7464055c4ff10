"""Lists of transfers in order of creation, read from indexes page by page, whatever is asked for.

Each criterion that has an index (state, agent, template, requester, a word of a search) is a *source*: keys
of transfers in order of creation. Of several sources the one that reaches farthest back with `PROBED_KEYS`
keys is read, since it has the fewest transfers, and the other criteria are checked on the headers. So a page
costs as much among 100,000 transfers as among 100, unless two criteria that both have many transfers have few
in common: one answer reads at most `MAX_READ` headers, and the cursor goes on from there.

The indexes hold only keys. Headers are read in batches, and the hops of transfers that have not ended, since
a header's progress is as old as its last change of state.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from events.locations import agent_of
from events.progress import Progress
from events.states import Attention, TransferState
from events.views import TransferSummary
from lambdas.domain.errors import CursorError
from lambdas.domain.hop import Hop
from lambdas.domain.search import occurs, search_parts, words_of
from lambdas.store.cursor import Cursor, read, taken, written
from lambdas.store.transfer_mapping import (
    beginning_term,
    hop_of,
    hop_part,
    requester_term,
    word_term,
)
from lambdas.store.transfer_rows import HEADER, HeaderRow, HopRow, TransferRow

_ENDED = {
    TransferState.SUCCEEDED,
    TransferState.PARTIALLY_FAILED,
    TransferState.FAILED,
    TransferState.CANCELLED,
}

BATCH_SIZE = 100
"""Number of headers that one call reads."""
MAX_READ = 500
"""Maximum number of headers that one answer reads."""
MAX_COUNTED = 1000
"""Maximum number of keys that are counted: about 100 KB."""
PROBED_KEYS = 100
"""Number of keys by which sources are compared."""
MAX_PROBED_WORDS = 8
"""Maximum number of words of a search that are looked up; the others are only checked."""


@dataclass(frozen=True, kw_only=True)
class TransferFilter:
    """Criteria for transfers created in [since, until); all that are given must hold."""

    since: datetime
    until: datetime
    status: TransferState | None = None
    attention: Attention | None = None
    agent_id: str | None = None
    """At either end."""
    source_agent: str | None = None
    destination_agent: str | None = None
    template_id: str | None = None
    requester: str | None = None
    """Name of the person, or template, that requested them."""
    search: str | None = None
    """Texts between spaces, each of which occurs in the transfer's paths, ids, objects or requester."""
    dry_run: bool | None = None
    oldest_first: bool = False
    limit: int = 50
    now: datetime | None = None
    """Current time, to leave out outdated speeds; None: speeds as reported."""

    @property
    def number_of_criteria(self) -> int:
        given = (
            self.status, self.attention, self.agent_id, self.source_agent, self.destination_agent,
            self.template_id, self.requester, self.search, self.dry_run,
        )  # fmt: skip
        return sum(one is not None for one in given)

    @property
    def needs_headers(self) -> bool:
        """Return whether no index alone answers: several criteria, or one that has no index of its own."""
        unindexed = (self.search, self.dry_run, self.source_agent, self.destination_agent)
        return self.number_of_criteria > 1 or any(one is not None for one in unindexed)

    def has(self, row: HeaderRow) -> bool:
        """Return whether a transfer meets every criterion."""
        return (
            (self.status is None or row.status == self.status)
            and (self.attention is None or row.attention == self.attention)
            and (self.agent_id is None or self.agent_id in {agent_of(row.source), *_receivers(row)})
            and (self.source_agent is None or self.source_agent == agent_of(row.source))
            and (self.destination_agent is None or self.destination_agent in _receivers(row))
            and (self.template_id is None or row.template_id == self.template_id)
            and (self.requester is None or row.term == requester_term(self.requester))
            and (self.dry_run is None or row.options.dry_run == self.dry_run)
            and (self.search is None or occurs(search_parts(self.search), _texts(row)))
        )


@dataclass(frozen=True)
class _Source:
    """Keys of an index that are read one after another; several only where time is divided into months."""

    index: Any
    keys: tuple[str, ...]

    def part(self, key: str) -> str:
        """Return the cursor's name of one of the keys."""
        return f"{self.index.Meta.index_name} {key}"


_Found = tuple[str, Cursor]
"""Id of a transfer, and the position after it."""


def list_transfers(
    wanted: TransferFilter, cursor: str | None
) -> tuple[tuple[TransferSummary, ...], str | None]:
    """Return one page and the cursor of the next, None at the end.

    A page may be short, even empty, although others follow: at most `MAX_READ` headers are read for it.

    Raises:
        CursorError: the cursor is invalid.
    """
    with taken(cursor):
        rows, following = _filled(wanted, read(cursor))
    return tuple(_summaries(rows, wanted.now)), written(following)


def count_transfers(
    wanted: TransferFilter, max_counted: int = MAX_COUNTED, max_read: int = MAX_READ
) -> tuple[int, bool]:
    """Return how many transfers meet the criteria, and whether that is all of them.

    Up to `max_counted` are counted by keys alone; where headers must be read, among the first `max_read`.
    """
    source = _chosen(wanted)
    if source is None:
        return 0, True
    if not wanted.needs_headers:
        counted = sum(1 for _ in islice(_walk(source, wanted, Cursor(), max_counted + 1), max_counted + 1))
        return min(counted, max_counted), counted <= max_counted
    walk = _walk(source, wanted, Cursor(), BATCH_SIZE)
    names = [name for name, _ in islice(walk, max_read)]
    return sum(map(wanted.has, _headers(names))), next(walk, None) is None


def created_ids(since: datetime, until: datetime, limit: int) -> list[str]:
    """Return the ids of transfers created in [since, until), newest first."""
    wanted = TransferFilter(since=since, until=until, limit=limit)
    return [name for name, _ in islice(_walk(_by_time(wanted), wanted, Cursor(), limit), limit)]


def _filled(wanted: TransferFilter, start: Cursor) -> tuple[list[HeaderRow], Cursor | None]:
    source = _continued(wanted, start.part) if start.part else _chosen(wanted)
    if source is None:
        return [], None
    found: list[HeaderRow] = []
    seen, size = 0, wanted.limit
    walk = _walk(source, wanted, start, size + 1)
    while batch := list(islice(walk, size)):
        headers = {row.transfer_id: row for row in _headers([name for name, _ in batch])}
        for number, (name, position) in enumerate(batch):
            if (row := headers.get(name)) and wanted.has(row):
                found.append(row)
            if len(found) == wanted.limit:
                is_last = number + 1 == len(batch) and next(walk, None) is None
                return found, None if is_last else position
        seen, size = seen + len(batch), BATCH_SIZE
        if seen >= MAX_READ:
            return found, batch[-1][1]
    return found, None


def _walk(source: _Source, wanted: TransferFilter, start: Cursor, page_size: int) -> Iterator[_Found]:
    """Yield transfers in the order of their creation, newest first unless the oldest are wanted first."""
    for key in source.keys:
        begin = start.key if source.part(key) == start.part else None
        for row in _keys_of(source, key, wanted, page_size=page_size, last_evaluated_key=begin):
            yield row.transfer_id, Cursor(source.part(key), _position(row, source.index, key))


def _keys_of(source: _Source, key: str, wanted: TransferFilter, **paging: Any) -> Iterable[TransferRow]:
    """Return a source's rows of the wanted time; none without a query if that is empty.

    DynamoDB refuses a range whose end is before its beginning.
    """
    if wanted.since >= wanted.until:
        return ()
    time = TransferRow.created_at.between(wanted.since, wanted.until - timedelta(microseconds=1))
    rows: Iterable[TransferRow] = source.index.query(
        key, time, scan_index_forward=wanted.oldest_first, **paging
    )
    return rows


def _position(row: TransferRow, index: Any, key: str) -> dict[str, dict[str, Any]]:
    """Return the key of the index from which DynamoDB goes on after this row."""
    attribute = index._hash_key_attribute()  # pynamodb has no public name for it
    keys = {"transfer_id": row.transfer_id, "part": row.part, attribute.attr_name: key}
    created = TransferRow.created_at.serialize(row.created_at)
    return {"created_at": {"S": created}} | {name: {"S": value} for name, value in keys.items()}


def _chosen(wanted: TransferFilter) -> _Source | None:
    """Return the source with the fewest transfers, None if one has none."""
    sources = _by_criteria(wanted)
    if len(sources) == 1 and wanted.search is None:
        return sources[0]
    ranked = [(_density(source, wanted), source) for source in sources]
    for word in _words(wanted)[:MAX_PROBED_WORDS]:
        for source in _by_word(word):
            density = _density(source, wanted)
            if density > _NONE:
                ranked.append((density, source))
                break
        else:
            if beginning_term(word):
                return None
    return min(ranked, key=lambda each: each[0])[1] if ranked else _by_time(wanted)


_NONE = (0, 0.0)


def _density(source: _Source, wanted: TransferFilter) -> tuple[int, float]:
    """Return a number that is less for a source with fewer transfers.

    Few are counted. Of many, the time that the first of them span tells: the longer, the fewer there are.
    """
    [key] = source.keys
    times = [row.created_at for row in _keys_of(source, key, wanted, limit=PROBED_KEYS)]
    if len(times) < PROBED_KEYS:
        return 0, float(len(times))
    return 1, -abs((times[0] - times[-1]).total_seconds())


def _by_criteria(wanted: TransferFilter) -> list[_Source]:
    """Return the sources of the criteria, without those of the search."""
    keys = (
        (TransferRow.by_attention, wanted.attention),
        (TransferRow.by_status, wanted.status),
        (TransferRow.by_template, wanted.template_id),
        (TransferRow.by_term, requester_term(wanted.requester) if wanted.requester else None),
        (TransferRow.by_agent, wanted.agent_id),
        (TransferRow.by_agent, wanted.source_agent),
        (TransferRow.by_agent, wanted.destination_agent),
    )
    return [_Source(index, (str(key),)) for index, key in keys if key]


def _by_word(word: str) -> list[_Source]:
    """Return the source of a whole word, and of what begins like it if no transfer has the whole word."""
    terms = (word_term(word), beginning_term(word))
    return [_Source(TransferRow.by_term, (term,)) for term in terms if term]


def _words(wanted: TransferFilter) -> list[str]:
    return list(dict.fromkeys(words_of(wanted.search or "")))


def _by_time(wanted: TransferFilter) -> _Source:
    """Return every transfer, month by month."""
    months: list[str] = []
    day = wanted.until.astimezone(UTC).replace(day=1)
    first = f"{wanted.since.astimezone(UTC):%Y-%m}"
    while (month := f"{day:%Y-%m}") >= first:
        months.append(month)
        day = (day - timedelta(days=1)).replace(day=1)
    return _Source(TransferRow.by_time, tuple(reversed(months) if wanted.oldest_first else months))


def _continued(wanted: TransferFilter, part: str) -> _Source:
    """Return the source that the cursor names, from its key on; raise CursorError if it is no source here."""
    words = (source for word in _words(wanted) for source in _by_word(word))
    for source in (*_by_criteria(wanted), *words, _by_time(wanted)):
        for number, key in enumerate(source.keys):
            if source.part(key) == part:
                return _Source(source.index, source.keys[number:])
    raise CursorError


def _receivers(row: HeaderRow) -> set[str | None]:
    return set(map(agent_of, row.destinations))


def _texts(row: HeaderRow) -> list[str]:
    """Return the texts in which a search looks."""
    places = map(str, (row.source, *row.destinations))
    names = (row.transfer_id, row.template_id or "", row.created_by.name)
    return [*names, *places, *(row.selection or ())]


def _headers(ids: Sequence[str]) -> list[HeaderRow]:
    return list(HeaderRow.batch_get([(each, HEADER) for each in ids])) if ids else []


def _summaries(rows: Sequence[HeaderRow], now: datetime | None) -> list[TransferSummary]:
    going_on = [row for row in rows if TransferState(row.status) not in _ENDED]
    keys = [(row.transfer_id, hop_part(number)) for row in going_on for number in range(int(row.hop_count))]
    hops: dict[str, list[Hop]] = {}
    for found in HopRow.batch_get(keys) if keys else ():
        hops.setdefault(found.transfer_id, []).append(hop_of(found))
    return [_summary(row, hops.get(row.transfer_id), now) for row in rows]


def _summary(row: HeaderRow, hops: list[Hop] | None, now: datetime | None) -> TransferSummary:
    parts = [hop.progress_at(now) if now else hop.progress for hop in hops or ()]
    progress = Progress.of_hops(parts) if parts else row.progress
    return TransferSummary(
        transfer_id=row.transfer_id,
        state=TransferState(row.status),
        source=row.source,
        destinations=row.destinations,
        shape=row.shape,
        dry_run=row.options.dry_run,
        selection_count=None if row.selection is None else len(row.selection),
        selection_first=row.selection[0] if row.selection else None,
        template_id=row.template_id,
        created_by=row.created_by,
        created_at=row.created_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        progress=progress,
        size=row.size if progress.bytes_total is None else progress.bytes_total,
        problem=row.problem,
        acknowledged_by=row.acknowledged,
    )
