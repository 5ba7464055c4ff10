"""Transfers that have ended: which are to be archived, which may be removed, and their removal."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from pynamodb.exceptions import UpdateError
from pynamodb.expressions.update import Action

from events.views import TimelineEntry
from lambdas.domain.errors import StaleError
from lambdas.domain.transfer import Transfer
from lambdas.store import transfer_mapping as mapping
from lambdas.store.base import bind, refusal_is, refused, transaction
from lambdas.store.transfer_rows import (
    ARCHIVED,
    HEADER,
    HOPS,
    REMOVED,
    ROWS,
    TIMELINE,
    TO_ARCHIVE,
    HeaderRow,
    HopRow,
    TimelineEntryRow,
    TransferRow,
)


@dataclass(frozen=True)
class EndedTransfer:
    """A transfer that has ended, and the file of the archive that has it in this revision, if any has."""

    transfer: Transfer
    file: str | None


class ArchiveStore:
    """Keeps account of what is archived, with each transfer's header."""

    def __init__(self, table: str, region: str) -> None:
        self._region = region
        bind(ROWS, table, region)

    def to_archive(self, now: datetime, limit: int) -> list[str]:
        """Return transfers that are due to be archived, the first ended first; the index may lag."""
        return _due(TO_ARCHIVE, now, limit)

    def archived(self, ended_before: datetime, limit: int) -> list[str]:
        """Return archived transfers that ended before, the first ended first; the index may lag."""
        return _due(ARCHIVED, ended_before, limit)

    def get(self, transfer_id: str) -> EndedTransfer | None:
        """Return the transfer; None if it does not exist, or has not ended."""
        try:
            header = HeaderRow.get(transfer_id, HEADER, consistent_read=True)
        except HeaderRow.DoesNotExist:
            return None
        if header.ended_at is None:
            return None
        hops = HopRow.query(transfer_id, HopRow.part.startswith(HOPS), consistent_read=True)
        transfer = mapping.transfer_of(header, [mapping.hop_of(row) for row in hops])
        return EndedTransfer(transfer, header.archive_file)

    def timeline(self, transfer_id: str) -> tuple[TimelineEntry, ...]:
        """Return all entries, oldest first."""
        part = TimelineEntryRow.part.startswith(TIMELINE)
        found = TimelineEntryRow.query(transfer_id, part, consistent_read=True)
        return tuple(row.moment for row in found)

    def set_archived(self, transfer: Transfer, file: str) -> bool:
        """Note that this file has the transfer; return False if the transfer has changed.

        A transfer that a person must still look at is never removed.
        """
        noted = HeaderRow.archive_file.set(file)
        if transfer.attention or transfer.ended_at is None:
            return self._update(transfer, [noted, HeaderRow.due.remove(), HeaderRow.due_at.remove()])
        old = [HeaderRow.due.set(ARCHIVED), HeaderRow.due_at.set(transfer.ended_at)]
        return self._update(transfer, [noted, *old])

    def archive_again(self, transfer: Transfer, now: datetime) -> None:
        """Have the transfer archived again, unless it has changed, which has the same effect."""
        again = [HeaderRow.archive_file.remove(), HeaderRow.due.set(TO_ARCHIVE), HeaderRow.due_at.set(now)]
        self._update(transfer, again)

    def _update(self, transfer: Transfer, actions: Sequence[Action]) -> bool:
        try:
            HeaderRow(transfer.transfer_id, HEADER).update(
                list(actions), condition=HeaderRow.revision == transfer.revision
            )
        except UpdateError as failure:
            if not refused(failure):
                raise
            return False
        return True

    def remove(self, transfer: Transfer) -> None:
        """Remove a transfer: header and hops at once, then all that belongs to them.

        If this call ends in between, `removed` names the transfer, and `clear` continues.

        Raises:
            StaleError: the transfer has changed, and stays, whole.
        """
        transfer_id = transfer.transfer_id
        left = TransferRow(transfer_id, REMOVED, due=REMOVED, due_at=transfer.ended_at)
        with refusal_is(StaleError(f"Transfer {transfer_id}")), transaction(self._region) as writes:
            writes.delete(HeaderRow(transfer_id, HEADER), condition=HeaderRow.revision == transfer.revision)
            for hop in transfer.hops:
                writes.delete(HopRow(transfer_id, mapping.hop_part(hop.number)))
            writes.save(left)
        self.clear(transfer_id)

    def removed(self, now: datetime, limit: int) -> list[str]:
        """Return removed transfers of which rows may be left; the index may lag."""
        return _due(REMOVED, now, limit)

    def clear(self, transfer_id: str) -> None:
        """Remove what is left of a removed transfer, the row that says so last."""
        with TransferRow.batch_write() as batch:
            for part in self._parts(transfer_id):
                if part != REMOVED:
                    batch.delete(TransferRow(transfer_id, part))
        TransferRow(transfer_id, REMOVED).delete()

    def _parts(self, transfer_id: str) -> Iterator[str]:
        found = TransferRow.query(
            transfer_id, consistent_read=True, attributes_to_get=["transfer_id", "part"]
        )
        return (row.part for row in found)


def _due(what: str, until: datetime, limit: int) -> list[str]:
    found = TransferRow.by_due.query(what, TransferRow.due_at <= until, limit=limit)
    return [row.transfer_id for row in found]
