"""The outcome of each file, link and directory of a hop, read from its ledger."""

import os
from collections.abc import Iterator
from dataclasses import dataclass

from agent.pull.ledger import Ledger


@dataclass(frozen=True, slots=True)
class FileOutcome:
    """The outcome of one file, link or directory."""

    path: str
    kind: str
    size: int
    digest: bytes | None
    """The digest of a file or the target of a link."""
    outcome: str
    reason: str | None
    at: float | None


_REASON = "(SELECT reason FROM fates o WHERE o.path = t.path)"
_IS_COMPLETE = "EXISTS (SELECT 1 FROM files f WHERE f.path = t.path AND f.digest IS NOT NULL)"
_IS_IN = "EXISTS (SELECT 1 FROM {} o WHERE o.path = t.path)".format
_QUERIES = (
    f"SELECT path, 'f', size, digest, 'sent', {_REASON}, at FROM files t"
    " WHERE digest IS NOT NULL AND path > ?",
    f"SELECT path, 'l', 0, target, 'sent', {_REASON}, NULL FROM links t WHERE path > ?",
    f"SELECT path, 'd', 0, NULL, 'sent', {_REASON}, NULL FROM folders t WHERE made AND path > ?",
    f"SELECT path, ifnull(kind, 'f'), size, NULL, 'unchanged', {_REASON}, at FROM unchanged t"
    f" WHERE NOT {_IS_COMPLETE} AND path > ?",
    "SELECT path, kind, size, NULL, outcome, reason, at FROM fates t"
    f" WHERE NOT ({_IS_COMPLETE} OR {_IS_IN('links')} OR {_IS_IN('folders')} OR {_IS_IN('unchanged')})"
    " AND path > ?",
    "SELECT path, 'f', size, NULL, 'unfinished', NULL, NULL FROM files t"
    f" WHERE digest IS NULL AND NOT {_IS_IN('fates')} AND NOT {_IS_IN('unchanged')} AND path > ?",
    "SELECT path, 'f', size, NULL, 'unfinished', NULL, NULL FROM names t WHERE"
    f" NOT {_IS_IN('files')} AND NOT {_IS_IN('fates')} AND NOT {_IS_IN('unchanged')} AND path > ?",
)
"""Queries for `Ledger.paged`; together they return each path once."""


def file_outcomes(ledger: Ledger) -> Iterator[FileOutcome]:
    """Yield the outcome of every path of the hop, each path once."""
    for sql in _QUERIES:
        for path, *rest in ledger.paged(sql):
            yield FileOutcome(os.fsdecode(path), *rest)
