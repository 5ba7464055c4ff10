"""What became of each thing that a hop was about, out of the ledger's tables."""

import os
from collections.abc import Iterator
from dataclasses import dataclass

from agent.pull.ledger import Ledger


@dataclass(frozen=True, slots=True)
class FileOutcome:
    """What became of one thing."""

    path: str
    kind: str
    size: int
    digest: bytes | None
    """Of a link its target."""
    outcome: str
    reason: str | None
    at: float | None


_WHY = "(SELECT reason FROM fates o WHERE o.path = t.path)"
_STANDS = "EXISTS (SELECT 1 FROM files f WHERE f.path = t.path AND f.digest IS NOT NULL)"
_TOLD = "EXISTS (SELECT 1 FROM {} o WHERE o.path = t.path)".format
_ACCOUNT = (
    f"SELECT path, 'f', size, digest, 'sent', {_WHY}, at FROM files t WHERE digest IS NOT NULL AND path > ?",
    f"SELECT path, 'l', 0, target, 'sent', {_WHY}, NULL FROM links t WHERE path > ?",
    f"SELECT path, 'd', 0, NULL, 'sent', {_WHY}, NULL FROM folders t WHERE made AND path > ?",
    f"SELECT path, ifnull(kind, 'f'), size, NULL, 'unchanged', {_WHY}, at FROM unchanged t"
    f" WHERE NOT {_STANDS} AND path > ?",
    "SELECT path, kind, size, NULL, outcome, reason, at FROM fates t"
    f" WHERE NOT ({_STANDS} OR {_TOLD('links')} OR {_TOLD('folders')} OR {_TOLD('unchanged')}) AND path > ?",
    "SELECT path, 'f', size, NULL, 'unfinished', NULL, NULL FROM files t"
    f" WHERE digest IS NULL AND NOT {_TOLD('fates')} AND NOT {_TOLD('unchanged')} AND path > ?",
    "SELECT path, 'f', size, NULL, 'unfinished', NULL, NULL FROM names t WHERE"
    f" NOT {_TOLD('files')} AND NOT {_TOLD('fates')} AND NOT {_TOLD('unchanged')} AND path > ?",
)
"""Read as `Ledger.paged` does."""


def file_outcomes(ledger: Ledger) -> Iterator[FileOutcome]:
    """Everything that the hop was about and what became of it, each once."""
    for sql in _ACCOUNT:
        for path, *rest in ledger.paged(sql):
            yield FileOutcome(os.fsdecode(path), *rest)
