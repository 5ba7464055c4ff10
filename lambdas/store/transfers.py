"""Transfers, hops and timelines in DynamoDB: reads, guarded writes, and the lists that the sweeper needs.

No Scan. A change of state is one transaction: the hops, each guarded by state, attempt and seq; a line of
the timeline; and the header, guarded by its revision, when its own state may change by it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pynamodb.expressions.condition import Condition

from events.views import TimelineEntry
from lambdas.domain.errors import StaleError, TransferUnknownError
from lambdas.domain.hop import Hop
from lambdas.domain.transfer import Transfer, group_state
from lambdas.store import transfer_mapping as mapping
from lambdas.store import transfer_rows as rows
from lambdas.store.base import Writes, bind, no_writes, refusal_is, transaction
from lambdas.store.transfer_list import created_ids
from lambdas.store.transfer_mapping import hop_part
from lambdas.store.transfer_rows import HEADER, HeaderRow, HopRow, TimelineEntryRow, TransferRow


@dataclass(frozen=True)
class TimelineRow:
    """A new line of some transfer's timeline, as the stream tells it."""

    transfer_id: str
    entry: TimelineEntry
    fact: str | None


OPEN_PAGE_SIZE = 100

HopKey = tuple[str, int]
"""A transfer's id and a hop's number."""


class TransferStore:
    """The only one who reads and writes the `transfers` table."""

    def __init__(self, table: str, region: str) -> None:
        self._region = region
        bind(rows.ROWS, table, region)

    def get(self, transfer_id: str) -> Transfer:
        """The transfer with all its hops; raises TransferUnknownError.

        The header is read first: should hops change in between, its revision is the older one, and a write
        that was decided upon this mixture is refused.
        """
        try:
            header = HeaderRow.get(transfer_id, HEADER, consistent_read=True)
        except HeaderRow.DoesNotExist:
            raise TransferUnknownError(transfer_id) from None
        found = HopRow.query(transfer_id, HopRow.part.startswith(rows.HOPS), consistent_read=True)
        return mapping.transfer_of(header, [mapping.hop_of(row) for row in found])

    def created(self, since: datetime, until: datetime, limit: int) -> list[Transfer]:
        """Transfers created in this time, the newest first."""
        ids = created_ids(since, until, limit)
        return [self.get(transfer_id) for transfer_id in ids]

    def hop(self, transfer_id: str, number: int) -> Hop | None:
        try:
            return mapping.hop_of(HopRow.get(transfer_id, hop_part(number), consistent_read=True))
        except HopRow.DoesNotExist:
            return None

    def timeline(self, transfer_id: str) -> tuple[TimelineEntry, ...]:
        """Oldest first."""
        found = TimelineEntryRow.query(
            transfer_id, TimelineEntryRow.part.startswith(rows.TIMELINE), consistent_read=True
        )
        return tuple(row.moment for row in found)

    def create(self, transfer: Transfer, moment: TimelineEntry, also: Writes = no_writes) -> None:
        """Write a new transfer, and `also` what belongs to it; raises StaleError if either is there already.

        Takes two writes and one for each hop of the `TRANSACTION_LIMIT`.
        """
        named = {transfer.hops[0].source_agent}
        with refusal_is(StaleError(f"Transfer {transfer.transfer_id}")), transaction(self._region) as writes:
            writes.save(mapping.header_row(transfer), condition=HeaderRow.transfer_id.does_not_exist())
            for hop in transfer.hops:
                news = [agent for agent in hop.agents if agent not in named][:1]
                named.update(news)
                writes.save(mapping.hop_row(hop, next(iter(news), None)))
            writes.save(mapping.timeline_entry_row(transfer.transfer_id, moment, "requested"))
            also(writes)

    def write(
        self, old: Transfer, new: Transfer, moment: TimelineEntry, also: Writes = no_writes
    ) -> Transfer:
        """Replace the old transfer by the new one, say so, and write `also` what belongs to it; raises
        StaleError if it is not the old one.

        Returns the new one with its revision.
        """
        changed = [(a, b) for a, b in zip(old.hops, new.hops, strict=True) if a != b]
        felt = any(group_state(a.state) != group_state(b.state) for a, b in changed)
        new = replace(new, revision=old.revision + 1) if felt else new
        finished = "finished" if new.ended and not old.ended else None
        with refusal_is(StaleError(f"Transfer {old.transfer_id}")), transaction(self._region) as writes:
            for before, after in changed:
                row = HopRow(before.transfer_id, hop_part(before.number))
                writes.update(row, mapping.hop_actions(before, after), condition=_unchanged(before))
            if felt:
                header = HeaderRow(old.transfer_id, HEADER)
                guard = HeaderRow.revision == old.revision
                writes.update(header, mapping.header_actions(new), condition=guard)
            writes.save(mapping.timeline_entry_row(old.transfer_id, moment, finished))
            also(writes)
        return new

    def update_hop(self, old: Hop, new: Hop) -> None:
        """Write what is no change of state (progress, a lease): one write, which wakes nobody."""
        row = HopRow(old.transfer_id, hop_part(old.number))
        with refusal_is(StaleError(f"Hop {old.hop_id}")):
            row.update(mapping.hop_actions(old, new), condition=_unchanged(old))

    def due(self, now: datetime, limit: int) -> list[HopKey]:
        """The hops that someone must look at, the longest overdue first."""
        found = TransferRow.by_due.query(rows.DUE, TransferRow.due_at <= now, limit=limit)
        return [_key(row) for row in found]

    def open_transfers(self, agent_id: str, limit: int = OPEN_PAGE_SIZE) -> list[str]:
        """Transfers with hops that have not ended and that this agent carries or serves; of each kind the
        oldest, up to the limit. What is beyond, the leases and the sweeper find."""
        carried = TransferRow.carrying.query(agent_id, limit=limit)
        served = TransferRow.serving.query(agent_id, limit=limit)
        return list(dict.fromkeys(row.transfer_id for found in (carried, served) for row in found))

    def timeline_row(self, image: Mapping[str, Any]) -> TimelineRow | None:
        """What a row that the stream shows as new says, or None if it is no line of a timeline."""
        if not str(image.get("part", "")).startswith(rows.TIMELINE):
            return None
        return TimelineRow(
            transfer_id=str(image["transfer_id"]),
            entry=TimelineEntry.model_validate_json(image["moment"]),
            fact=image.get("fact"),
        )


def _unchanged(hop: Hop) -> Condition:
    """Nobody else has changed the hop since it was read."""
    where: Condition = (HopRow.state == str(hop.state)) & (HopRow.paused_by_user == hop.paused_by_user)
    when: Condition = (HopRow.attempt == hop.attempt) & (HopRow.seq == hop.seq)
    unchanged: Condition = where & when
    return unchanged


def _key(row: TransferRow) -> HopKey:
    return row.transfer_id, int(row.part.removeprefix(rows.HOPS))
