"""The outcome of each file, link and directory of a hop, in its ledger."""

import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from agent.files.listing import FileEntry
from agent.pull.ledger_database import LedgerDatabase, path_key
from events.base import Problem
from events.progress import Loss

Outcome = Literal["left", "removed", "failed"]

_OTHER = "other"
"""Kind of an entry that cannot be moved (`!` in a listing), as in a manifest."""


@dataclass(frozen=True, slots=True)
class FileOutcome:
    """The outcome of one file, link or directory."""

    path: str
    kind: str
    size: int
    digest: bytes | None
    """The digest of a file or the target of a link."""
    outcome: str
    problem: str | None
    """Why it failed or was left out: a `Problem` as JSON, in the ledger's column `reason`."""
    at: float | None
    lost: str | None = None
    """What of it was not kept, separated by spaces."""


_PROBLEM = "(SELECT reason FROM fates o WHERE o.path = t.path)"
_LOST = "(SELECT kinds FROM lost o WHERE o.path = t.path)"
_IS_COMPLETE = "EXISTS (SELECT 1 FROM files f WHERE f.path = t.path AND f.digest IS NOT NULL)"
_IS_IN = "EXISTS (SELECT 1 FROM {} o WHERE o.path = t.path)".format
_HAS_NOT_FAILED = "NOT EXISTS (SELECT 1 FROM fates o WHERE o.path = t.path AND o.outcome = 'failed')"
_IS_IN_ANOTHER = (
    f"({_IS_COMPLETE} OR {_IS_IN('links')} OR {_IS_IN('unchanged')}"
    " OR EXISTS (SELECT 1 FROM folders o WHERE o.path = t.path AND o.made))"
)
_QUERIES = (
    f"SELECT path, 'f', size, digest, 'sent', {_PROBLEM}, at, {_LOST} FROM files t"
    f" WHERE digest IS NOT NULL AND {_HAS_NOT_FAILED} AND path > ?",
    f"SELECT path, 'l', 0, target, 'sent', {_PROBLEM}, NULL, {_LOST} FROM links t"
    f" WHERE {_HAS_NOT_FAILED} AND path > ?",
    f"SELECT path, 'd', 0, NULL, 'sent', {_PROBLEM}, NULL, {_LOST} FROM folders t"
    f" WHERE made AND {_HAS_NOT_FAILED} AND path > ?",
    f"SELECT path, ifnull(kind, 'f'), size, NULL, 'unchanged', {_PROBLEM}, at, {_LOST} FROM unchanged t"
    f" WHERE NOT {_IS_COMPLETE} AND {_HAS_NOT_FAILED} AND path > ?",
    f"SELECT path, CASE WHEN {_IS_IN('folders')} THEN 'd' ELSE kind END, size,"
    f" (SELECT digest FROM files o WHERE o.path = t.path), outcome, reason, at, {_LOST} FROM fates t"
    " WHERE outcome = 'failed' AND path > ?",
    f"SELECT path, kind, size, NULL, outcome, reason, at, {_LOST} FROM fates t"
    f" WHERE outcome <> 'failed' AND NOT {_IS_IN_ANOTHER} AND path > ?",
    "SELECT path, 'f', size, NULL, 'unfinished', NULL, NULL FROM files t"
    f" WHERE digest IS NULL AND NOT {_IS_IN('fates')} AND NOT {_IS_IN('unchanged')} AND path > ?",
    "SELECT path, 'f', size, NULL, 'unfinished', NULL, NULL FROM names t WHERE"
    f" NOT {_IS_IN('files')} AND NOT {_IS_IN('fates')} AND NOT {_IS_IN('unchanged')} AND path > ?",
    f"SELECT path, 'd', 0, NULL, 'unchanged', {_PROBLEM}, NULL, {_LOST} FROM folders t"
    f" WHERE NOT made AND {_IS_IN('lost')} AND NOT {_IS_IN('fates')} AND path > ?",
)
"""Queries for `LedgerDatabase.paged`; together they return each path once.

A failure comes before what else is known of a path: a directory that was made and then could not be read, or
a file that arrived and could not be removed from the source.
"""


class FileOutcomes:
    """The outcomes of a hop's files. Thread-safe; every method but iterating is one transaction."""

    def __init__(self, database: LedgerDatabase) -> None:
        self._database = database

    def __iter__(self) -> Iterator[FileOutcome]:
        """Yield the outcome of every path of the hop, each path once."""
        for sql in _QUERIES:
            for path, *rest in self._database.paged(sql):
                yield FileOutcome(os.fsdecode(path), *rest)

    def record_unchanged(self, entries: Iterable[FileEntry]) -> None:
        """Record entries that the destination had already, identical."""
        now = time.time()
        rows = [
            (
                os.fsencode(one.path),
                one.size,
                one.mtime_ns,
                now,
                one.kind,
                one.ctime_ns,
                path_key(one.target),
            )
            for one in entries
        ]
        self._database.execute_many("INSERT OR REPLACE INTO unchanged VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

    def record(self, entries: Iterable[FileEntry], outcome: Outcome, problem: Problem | None = None) -> None:
        """Record entries that were not transferred, and why."""
        now = time.time()
        why = problem.model_dump_json(exclude_defaults=True) if problem else None
        rows = [
            (path_key(one.path), _OTHER if one.kind == "!" else one.kind, one.size, outcome, why, now)
            for one in entries
        ]
        self._database.execute_many("INSERT OR REPLACE INTO fates VALUES (?, ?, ?, ?, ?, ?)", rows)

    def record_lost(self, path: str, losses: Iterable[Loss]) -> None:
        """Record what of a file or directory is not kept, in addition to what was recorded before."""
        sql = "INSERT INTO lost VALUES (?, ?) ON CONFLICT (path) DO UPDATE SET kinds = kinds || ' ' || ?2"
        self._database.execute_many(sql, [(path_key(path), " ".join(losses))])

    def start_pass(self) -> None:
        """Forget what the last pass found out: unchanged files, failures, and what is not kept."""
        self._database.execute("DELETE FROM unchanged")
        self._database.execute("DELETE FROM lost")
        self._database.execute("DELETE FROM fates WHERE outcome <> 'removed'")
