"""The listing of a hop whose files are still arriving here by another: each as soon as it stands.

It is a head start and no more. What it leaves out (links, what stood here before, what a turned-back clock
hides) comes with the listing of everything, which is given once the other hop has ended well.
"""

import time
from collections.abc import Iterator
from threading import Event

from agent.files.listing import FileEntry, Selection, entries_at
from agent.files.roots import Tree
from agent.lane import wire
from agent.pull.active_pulls import ActivePulls
from agent.pull.ledger import FIRST_ARRIVAL, ArrivalCursor

POLL_INTERVAL_S = 0.2
"""Seconds between two looks for news."""
KEEPALIVE_INTERVAL_S = 10.0
"""Seconds after which the peer hears that there is nothing new: it takes silence for death."""
UPSTREAM_TIMEOUT_S = 60.0
"""Seconds that the other hop may rest, be it paused or about to be tried again, before the peer is told."""
MAX_REMEMBERED_DIRECTORIES = 10_000
"""Directories that are remembered to have been told; one that is told twice does no harm."""


class IncrementalListing:
    """One answer; `blocks` once."""

    def __init__(self, arrivals: ActivePulls, hop_id: str, tree: Tree, meant: Selection, over: Event) -> None:
        """`hop_id`: the other hop; `over` ends the answer in the middle."""
        self._arrivals = arrivals
        self._hop_id = hop_id
        self._tree = tree
        self._meant = meant
        self._over = over
        self._told: set[str] = set()
        self._count = 0
        self._mark: ArrivalCursor = FIRST_ARRIVAL

    def blocks(self) -> Iterator[bytes]:
        """Lines, as there are any; the last of them says how it ended, if it did."""
        said = seen = time.monotonic()
        while not self._over.is_set():
            now, news = time.monotonic(), self._news()
            if news is None and self._arrivals.has_succeeded(self._hop_id):
                yield _line(wire.END, self._count)
                return
            if news is None and now - seen > UPSTREAM_TIMEOUT_S:
                yield _line(wire.UPSTREAM_PAUSED)
                return
            seen = now if news is not None else seen
            if news or now - said > KEEPALIVE_INTERVAL_S:
                yield news or _line(wire.KEEPALIVE)
                said = now
            if not news:
                self._over.wait(POLL_INTERVAL_S)

    def _news(self) -> bytes | None:
        """Lines of what has come since the last look; None if the other hop is not at work."""
        found = self._arrivals.arrived_since(self._hop_id, self._mark)
        if found is None:
            return None
        lines = bytearray()
        for self._mark, path in found:
            for entry in self._entries(path):
                lines += wire.entry_line(entry)
                self._count += 1
        return bytes(lines)

    def _entries(self, path: str) -> Iterator[FileEntry]:
        """The file, after the directories that it is in. Where only some are selected, directories above
        them are not."""
        entry = entries_at(self._tree, self._meant, path)
        if entry is None:
            return
        if path and self._meant.selection is None:
            yield from self._folders(path)
        yield entry

    def _folders(self, path: str) -> Iterator[FileEntry]:
        names = path.split("/")
        if len(self._told) >= MAX_REMEMBERED_DIRECTORIES:
            self._told.clear()
        for depth in range(len(names)):
            folder = "/".join(names[:depth])
            if folder not in self._told and (entry := entries_at(self._tree, self._meant, folder)):
                self._told.add(folder)
                yield entry


def _line(*fields: str | int) -> bytes:
    return wire.dump(fields) + b"\n"
