"""Transfers, hops and timelines in DynamoDB: reads, conditional writes, and the sweeper's lists.

No Scan. A change of state is one transaction: the hops, each conditional on state, attempt and seq; a
timeline entry; and the header, conditional on its revision, if the change may affect its state.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pynamodb.exceptions import UpdateError
from pynamodb.expressions.condition import Condition

from events.states import TransferState
from events.views import TimelineEntry
from lambdas.domain.errors import StaleError, TransferUnknownError
from lambdas.domain.hop import Hop
from lambdas.domain.transfer import Transfer, group_state
from lambdas.store import transfer_mapping as mapping
from lambdas.store import transfer_rows as rows
from lambdas.store.base import Writes, bind, no_writes, refusal_is, refused, transaction
from lambdas.store.cursor import read, rest, taken, written
from lambdas.store.shards import all_shards, earliest
from lambdas.store.transfer_costs import charge_change
from lambdas.store.transfer_list import created_ids
from lambdas.store.transfer_mapping import hop_part
from lambdas.store.transfer_rows import HEADER, HeaderRow, HopRow, TimelineEntryRow, TransferRow
from lambdas.store.transfer_totals import count_change


@dataclass(frozen=True)
class TimelineRow:
    """A new timeline entry, as the table's stream shows it."""

    transfer_id: str
    entry: TimelineEntry
    fact: str | None


OPEN_PAGE_SIZE = 100
TIMELINE_PAGE_SIZE = 200
"""Entries read at once: a disk that stays full for a week makes tens of thousands."""

HopKey = tuple[str, int]
"""Id of a transfer and number of a hop."""


class TransferStore:
    """The only reader and writer of transfers; gathered objects in the same table are GatheredStore's."""

    def __init__(self, table: str, region: str) -> None:
        self._region = region
        bind(rows.ROWS, table, region)

    def get(self, transfer_id: str) -> Transfer:
        """Return the transfer with all its hops.

        The header is read first: if hops change in between, its revision is the older one, and a write based
        on this mixture is refused.

        Raises:
            TransferUnknownError: the transfer does not exist.
        """
        try:
            header = HeaderRow.get(transfer_id, HEADER, consistent_read=True)
        except HeaderRow.DoesNotExist:
            raise TransferUnknownError(transfer_id) from None
        found = HopRow.query(transfer_id, HopRow.part.startswith(rows.HOPS), consistent_read=True)
        return mapping.transfer_of(header, [mapping.hop_of(row) for row in found])

    def created(self, since: datetime, until: datetime, limit: int) -> list[Transfer]:
        """Return transfers created in [since, until), newest first."""
        ids = created_ids(since, until, limit)
        return [self.get(transfer_id) for transfer_id in ids]

    def hop(self, transfer_id: str, number: int) -> Hop | None:
        try:
            return mapping.hop_of(HopRow.get(transfer_id, hop_part(number), consistent_read=True))
        except HopRow.DoesNotExist:
            return None

    def hop_and_next(self, transfer_id: str, number: int) -> tuple[Hop, Hop | None]:
        """Return a hop, and the hop that follows it in a chain, if any; the other hops are not read.

        Raises:
            TransferUnknownError: the hop does not exist.
        """
        parts = HopRow.part.between(hop_part(number), hop_part(number + 1))
        found = [mapping.hop_of(row) for row in HopRow.query(transfer_id, parts, consistent_read=True)]
        if not found or found[0].number != number:
            raise TransferUnknownError(transfer_id)
        return found[0], next((hop for hop in found if hop.after == number), None)

    def timeline(
        self, transfer_id: str, cursor: str | None = None, limit: int = TIMELINE_PAGE_SIZE
    ) -> tuple[tuple[TimelineEntry, ...], str | None]:
        """Return the newest entries, or those before the cursor, oldest first; and the next page's cursor.

        Raises:
            CursorError: the cursor is invalid.
        """
        with taken(cursor):
            found = TimelineEntryRow.query(
                transfer_id,
                TimelineEntryRow.part.startswith(rows.TIMELINE),
                consistent_read=True,
                scan_index_forward=False,
                limit=limit,
                last_evaluated_key=read(cursor).key,
            )
            entries = tuple(row.moment for row in found)[::-1]
        return entries, written(rest(found))

    def create_transfer(self, transfer: Transfer, moment: TimelineEntry, also: Writes = no_writes) -> None:
        """Write a new transfer and `also` in one transaction.

        This needs two writes, and one for each hop, of the `TRANSACTION_LIMIT`.

        Raises:
            StaleError: the transfer, or something of `also`, exists already.
        """
        named = {transfer.hops[0].source_agent}
        with refusal_is(StaleError(f"Transfer {transfer.transfer_id}")), transaction(self._region) as writes:
            writes.save(mapping.header_row(transfer), condition=HeaderRow.transfer_id.does_not_exist())
            for hop in transfer.hops:
                new_agents = [agent for agent in hop.agents if agent not in named][:1]
                named.update(new_agents)
                writes.save(mapping.hop_row(hop, next(iter(new_agents), None)))
            writes.save(mapping.timeline_entry_row(transfer.transfer_id, moment, "requested"))
            also(writes)

    def write_change(
        self, old: Transfer, new: Transfer, moment: TimelineEntry, also: Writes = no_writes
    ) -> Transfer:
        """Replace the old transfer, with a timeline entry and `also`; return the new one with its revision.

        Raises:
            StaleError: the stored transfer is not the old one.
        """
        changed = [(a, b) for a, b in zip(old.hops, new.hops, strict=True) if a != b]
        affects_header = (
            _of_header(old) != _of_header(new)
            or any(group_state(a.state) != group_state(b.state) for a, b in changed)
            or old.ended  # what was archived is archived again
        )
        new = replace(new, revision=old.revision + 1) if affects_header else new
        finished = "finished" if new.ended and not old.ended else None
        with refusal_is(StaleError(f"Transfer {old.transfer_id}")), transaction(self._region) as writes:
            for before, after in changed:
                row = HopRow(before.transfer_id, hop_part(before.number))
                writes.update(row, mapping.hop_actions(before, after), condition=_unchanged(before))
            if affects_header:
                header = HeaderRow(old.transfer_id, HEADER)
                guard = HeaderRow.revision == old.revision
                writes.update(header, mapping.header_actions(new), condition=guard)
            writes.save(mapping.timeline_entry_row(old.transfer_id, moment, finished))
            count_change(old, new, writes)
            charge_change(old, new, writes)
            also(writes)
        return new

    def index_words(self, transfer: Transfer) -> None:
        """Write the words by which the transfer is found; writing them again changes nothing.

        They are not part of its creation, whose transaction has no room for them.
        """
        with transaction(self._region) as writes:
            for row in mapping.term_rows(transfer):
                writes.save(row)

    def update_hop(self, old: Hop, new: Hop) -> None:
        """Write what does not change the state (progress, a lease): one write, without a timeline entry."""
        row = HopRow(old.transfer_id, hop_part(old.number))
        with refusal_is(StaleError(f"Hop {old.hop_id}")):
            row.update(mapping.hop_actions(old, new), condition=_unchanged(old))

    def unwatched(self, transfer_ids: Iterable[str], until: datetime) -> list[str]:
        """Return those of the transfers that have not ended and are not watched until then."""
        keys = [(transfer_id, HEADER) for transfer_id in dict.fromkeys(transfer_ids)]
        found = HeaderRow.batch_get(keys)
        return [
            row.transfer_id
            for row in found
            if row.ended_at is None and (row.watched_until is None or row.watched_until < until)
        ]

    def extend_watch(self, transfer_id: str, before: datetime | None, until: datetime) -> bool:
        """Set until when a transfer is watched; return False if another watcher has just done so.

        The header's revision stays: nothing that is decided depends on who watches.
        """
        unchanged = (
            HeaderRow.watched_until.does_not_exist() if before is None else HeaderRow.watched_until == before
        )
        try:
            HeaderRow(transfer_id, HEADER).update(
                [HeaderRow.watched_until.set(until)],
                condition=HeaderRow.transfer_id.exists() & unchanged,
            )
        except UpdateError as failure:
            if not refused(failure):
                raise
            return False
        return True

    def due(self, now: datetime, limit: int) -> list[HopKey]:
        """Return the hops that are due for a check, the longest overdue first."""
        shards = all_shards(rows.DUE, rows.DUE_SHARDS)
        found = (TransferRow.by_due.query(shard, TransferRow.due_at <= now, limit=limit) for shard in shards)
        return [_key(row) for row in earliest(found, lambda row: row.due_at, limit)]

    def oldest_queued(self, limit: int) -> list[str]:
        """Return the transfers that are queued, the first created first."""
        found = TransferRow.by_status.query(str(TransferState.QUEUED), limit=limit)
        return [row.transfer_id for row in found]

    def open_transfers(self, agent_id: str, limit: int = OPEN_PAGE_SIZE) -> list[str]:
        """Return the transfers with hops that have not ended and that this agent carries or serves.

        Up to `limit` of each kind, oldest first; the sweeper finds the rest.
        """
        carried = TransferRow.carrying.query(agent_id, limit=limit)
        served = TransferRow.serving.query(agent_id, limit=limit)
        return list(dict.fromkeys(row.transfer_id for found in (carried, served) for row in found))

    def timeline_row(self, image: Mapping[str, Any]) -> TimelineRow | None:
        """Return the timeline entry in a row that the stream shows as new, None if it is another row."""
        if not str(image.get("part", "")).startswith(rows.TIMELINE):
            return None
        return TimelineRow(
            transfer_id=str(image["transfer_id"]),
            entry=TimelineEntry.model_validate_json(image["moment"]),
            fact=image.get("fact"),
        )


def _of_header(transfer: Transfer) -> tuple[object, ...]:
    """Return what the header holds that can change without a change of a hop's state."""
    start = transfer.asked_for, transfer.approval, transfer.authorized_size
    return *start, transfer.acknowledged, transfer.attention


def _unchanged(hop: Hop) -> Condition:
    """Return the condition that the hop has not changed since it was read."""
    same_state: Condition = (HopRow.state == str(hop.state)) & (HopRow.paused_by_user == hop.paused_by_user)
    same_report: Condition = (HopRow.attempt == hop.attempt) & (HopRow.seq == hop.seq)
    unchanged: Condition = same_state & same_report
    return unchanged


def _key(row: TransferRow) -> HopKey:
    return row.transfer_id, int(row.part.removeprefix(rows.HOPS))
