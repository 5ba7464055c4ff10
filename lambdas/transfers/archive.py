"""Archive transfers that have ended, and remove them when they are old (docs/adr/037).

A transfer is removed only if the archive is read and has it in its present revision.
"""

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Protocol

from pydantic import ValidationError

from events.archive import ArchivedTransfer
from events.views import TimelineEntry, TimelineView
from lambdas.domain.errors import StaleError
from lambdas.domain.transfer import Transfer
from lambdas.ports import Clock
from lambdas.store.transfer_archive import ArchiveStore, EndedTransfer
from lambdas.telemetry import ARCHIVE_LACKED, count, logger
from lambdas.transfers.views import transfer_view

BATCH_SIZE = 200
"""Transfers that are read at once: the most in one file."""
MAX_WORK = timedelta(seconds=5)
"""Longest work of a minute's run on each of the two; the next minute continues."""
Revisions = Mapping[str, int]
"""Revision of each transfer in a file."""


class ArchiveFiles(Protocol):
    """The files of the archive."""

    def write(self, name: str, lines: list[bytes]) -> None:
        """Write a file, durably; the same name has the same lines."""

    def read(self, name: str) -> list[bytes]:
        """Return the lines of a file; none if it does not exist or is damaged."""


class TransferArchive:
    """Moves transfers from the table to the archive."""

    def __init__(self, store: ArchiveStore, files: ArchiveFiles, keep: timedelta, clock: Clock) -> None:
        """`keep` is how long a transfer stays in the table after its end."""
        self._store = store
        self._files = files
        self._keep = keep
        self._clock = clock

    def work(self) -> None:
        """Archive what is due, then remove what is old.

        Raises:
            ExceptionGroup: Some transfers could not be read or written; all others were done.
        """
        failures = [*self._archive(), *self._clear(), *self._expire()]
        if failures:
            raise ExceptionGroup("transfers could not be archived or removed", failures)

    def _archive(self) -> list[Exception]:
        end, failed = self._clock() + MAX_WORK, dict[str, Exception]()
        while self._clock() < end:
            due = self._store.to_archive(self._clock(), BATCH_SIZE)
            done = self._archive_some([one for one in due if one not in failed], end, failed)
            if not done or len(due) < BATCH_SIZE:
                break
        return list(failed.values())

    def _archive_some(self, transfer_ids: list[str], end: datetime, failed: dict[str, Exception]) -> int:
        """Archive transfers, a file for each day; return how many are archived, and collect failures.

        At `end`, those that are read by then: a disk that was full for a week makes long timelines.
        """
        by_day = defaultdict[date, list[tuple[Transfer, bytes]]](list)
        for transfer_id in transfer_ids:
            try:
                ended = self._store.get(transfer_id)
                if ended and not ended.file:
                    line = archive_line(ended.transfer, self._store.timeline(transfer_id))
                    by_day[_day(ended.transfer)].append((ended.transfer, line))
            except Exception as error:
                logger.exception("transfer not archived", extra={"transfer_id": transfer_id})
                failed[transfer_id] = error
            if self._clock() >= end:
                break
        done = 0
        for day, some in by_day.items():
            lines = [line for _, line in some]
            name = file_name(day, lines)
            self._files.write(name, lines)
            done += sum(self._store.set_archived(transfer, name) for transfer, _ in some)
        if done:  # CloudWatch bills a metric for each hour in which it is written
            count("TransfersArchived", done)
        return done

    def _clear(self) -> list[Exception]:
        """Continue removals that have ended half way; return failures."""
        failures = list[Exception]()
        for transfer_id in self._store.removed(self._clock(), BATCH_SIZE):
            try:
                self._store.clear(transfer_id)
            except Exception as error:
                logger.exception("removed transfer not cleared", extra={"transfer_id": transfer_id})
                failures.append(error)
        return failures

    def _expire(self) -> list[Exception]:
        end, failures = self._clock() + MAX_WORK, list[Exception]()
        while self._clock() < end and not failures:
            old = self._store.archived(self._clock() - self._keep, BATCH_SIZE)
            found = self._read(old, failures)
            removed = 0
            for name in dict.fromkeys(ended.file for ended in found if ended.file):
                revisions = self._revisions(name)
                for ended in found:
                    if ended.file == name:
                        removed += self._remove(ended, revisions, failures)
                if self._clock() >= end:
                    break
            if removed:
                count("TransfersExpired", removed)
            if not removed or len(old) < BATCH_SIZE:
                break
        return failures

    def _read(self, transfer_ids: list[str], failures: list[Exception]) -> list[EndedTransfer]:
        """Return the transfers that can be read, and collect failures."""
        found = list[EndedTransfer]()
        for transfer_id in transfer_ids:
            try:
                found += filter(None, [self._store.get(transfer_id)])
            except Exception as error:
                logger.exception("transfer not removed", extra={"transfer_id": transfer_id})
                failures.append(error)
        return found

    def _revisions(self, file: str) -> Revisions:
        """Return what a file has; a transfer whose line is damaged is not in it, and archived again."""
        found = dict[str, int]()
        for line in self._files.read(file):
            try:
                archived = ArchivedTransfer.model_validate_json(line)
            except ValidationError as error:
                keys = {"file": file, "errors": error.errors(include_input=False, include_url=False)}
                logger.error("line of the archive is damaged", extra=keys)
            else:
                found[archived.transfer_id] = archived.revision
        return found

    def _remove(self, ended: EndedTransfer, revisions: Revisions, failures: list[Exception]) -> bool:
        """Remove a transfer if the archive has it; otherwise have it archived again."""
        transfer = ended.transfer
        if revisions.get(transfer.transfer_id) != transfer.revision:
            logger.error(
                "archive lacks a transfer", extra={"transfer_id": transfer.transfer_id, "file": ended.file}
            )
            count(ARCHIVE_LACKED)
            self._store.archive_again(transfer, self._clock())
            return False
        try:
            self._store.remove(transfer)
        except StaleError:
            return False  # it was retried or acknowledged just now
        except Exception as error:
            logger.exception("transfer not removed", extra={"transfer_id": transfer.transfer_id})
            failures.append(error)
            return False
        return True


def archive_line(transfer: Transfer, timeline: tuple[TimelineEntry, ...]) -> bytes:
    """Return the line of the archive for a transfer that has ended."""
    ended_at = _ended_at(transfer)
    view = transfer_view(transfer, TimelineView(entries=timeline), ended_at)
    fields = {name: getattr(view, name) for name in type(view).model_fields}
    archived = ArchivedTransfer(**fields, revision=transfer.revision, selection=transfer.selection)
    return archived.model_dump_json().encode()


def file_name(day: date, lines: list[bytes]) -> str:
    """Return the name of a file: its day, as Athena's partitions are written, and a digest of its lines."""
    digest = hashlib.sha256(b"\n".join(lines)).hexdigest()
    return f"transfers/year={day:%Y}/month={day:%m}/day={day:%d}/{digest[:32]}.jsonl.gz"


def _day(transfer: Transfer) -> date:
    """Return the day of its end, in UTC as all times are stored."""
    return _ended_at(transfer).date()


def _ended_at(transfer: Transfer) -> datetime:
    if transfer.ended_at is None:
        raise ValueError(f"transfer {transfer.transfer_id} has not ended")
    return transfer.ended_at
