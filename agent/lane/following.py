"""The listing of a hop whose files are still arriving here by another: each as soon as it stands.

It is a head start and no more. What it leaves out (links, what stood here before, what a turned-back clock
hides) comes with the listing of everything, which is given once the other hop has ended well.
"""

import time
from collections.abc import Iterator
from threading import Event

from agent.lane import wire
from agent.listing import Entry, Meant, arrived
from agent.movers.arrivals import Arrivals
from agent.movers.ledger import FIRST, Mark
from agent.roots import Tree

LOOK_EVERY = 0.2
"""Seconds between two looks for news."""
SAY_EVERY = 10.0
"""Seconds after which the peer hears that there is nothing new: it takes silence for death."""
PATIENCE = 60.0
"""Seconds that the other hop may rest, be it paused or about to be tried again, before the peer is told."""
FOLDERS = 10_000
"""Directories that are remembered to have been told; one that is told twice does no harm."""


class Following:
    """One answer; `blocks` once."""

    def __init__(self, arrivals: Arrivals, hop_id: str, tree: Tree, meant: Meant, over: Event) -> None:
        """`hop_id`: the other hop; `over` ends the answer in the middle."""
        self._arrivals = arrivals
        self._hop_id = hop_id
        self._tree = tree
        self._meant = meant
        self._over = over
        self._told: set[str] = set()
        self._count = 0
        self._mark: Mark = FIRST

    def blocks(self) -> Iterator[bytes]:
        """Lines, as there are any; the last of them says how it ended, if it did."""
        said = seen = time.monotonic()
        while not self._over.is_set():
            now, news = time.monotonic(), self._news()
            if news is None and self._arrivals.has_succeeded(self._hop_id):
                yield _line(wire.END, self._count)
                return
            if news is None and now - seen > PATIENCE:
                yield _line(wire.RESTS)
                return
            seen = now if news is not None else seen
            if news or now - said > SAY_EVERY:
                yield news or _line(wire.LATER)
                said = now
            if not news:
                self._over.wait(LOOK_EVERY)

    def _news(self) -> bytes | None:
        """Lines of what has come since the last look; None if the other hop is not at work."""
        found = self._arrivals.news(self._hop_id, self._mark)
        if found is None:
            return None
        lines = bytearray()
        for self._mark, path in found:
            for entry in self._entries(path):
                lines += wire.entry_line(entry)
                self._count += 1
        return bytes(lines)

    def _entries(self, path: str) -> Iterator[Entry]:
        """The file, after the directories that it is in. Where only some are selected, directories above
        them are not."""
        entry = arrived(self._tree, self._meant, path)
        if entry is None:
            return
        if path and self._meant.selection is None:
            yield from self._folders(path)
        yield entry

    def _folders(self, path: str) -> Iterator[Entry]:
        names = path.split("/")
        if len(self._told) >= FOLDERS:
            self._told.clear()
        for depth in range(len(names)):
            folder = "/".join(names[:depth])
            if folder not in self._told and (entry := arrived(self._tree, self._meant, folder)):
                self._told.add(folder)
                yield entry


def _line(*fields: str | int) -> bytes:
    return wire.dump(fields) + b"\n"
