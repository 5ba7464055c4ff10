"""List a hop's files while another hop is still writing them here: each as soon as it is complete.

This is only a head start. What it leaves out (links, files that were here before, files that a clock set back
hides) is in the full listing, which is served once the other hop has succeeded.
"""

import time
from collections.abc import Iterator
from threading import Event

from agent.bounded_set import BoundedSet
from agent.files.listing import FileEntry, Selection, entry_at
from agent.files.roots import Tree
from agent.lane import wire
from agent.lane.limits import LaneLimits
from agent.pull.active_pulls import ActivePulls
from agent.pull.ledger import FIRST_ARRIVAL, ArrivalCursor

POLL_INTERVAL_S = 0.2
"""Seconds between two checks for new files."""


class IncrementalListing:
    """One response; call `blocks` once."""

    def __init__(
        self,
        active_pulls: ActivePulls,
        hop_id: str,
        tree: Tree,
        selection: Selection,
        stopped: Event,
        limits: LaneLimits,
    ) -> None:
        """`hop_id` is the hop that writes the files; `stopped` ends the response early."""
        self._active_pulls = active_pulls
        self._hop_id = hop_id
        self._tree = tree
        self._selection = selection
        self._stopped = stopped
        self._limits = limits
        self._sent_directories: BoundedSet[str] = BoundedSet()
        """Sending a directory twice is harmless."""
        self._count = 0
        self._cursor: ArrivalCursor = FIRST_ARRIVAL

    def blocks(self) -> Iterator[bytes]:
        """Yield manifest lines as there are any.

        The last line says how the listing ended, unless it was stopped. A hop that has failed here is not
        waited for; one that does not run for another reason may come back within a minute.
        """
        sent_at = active_at = time.monotonic()
        while not self._stopped.is_set():
            now, lines = time.monotonic(), self._new_lines()
            if lines is None:
                succeeded = self._active_pulls.has_succeeded(self._hop_id)
                if succeeded:
                    yield _line(wire.END, self._count)
                    return
                if succeeded is False or now - active_at > self._limits.upstream_timeout_s:
                    yield _line(wire.UPSTREAM_PAUSED)
                    return
            active_at = now if lines is not None else active_at
            if lines or now - sent_at > self._limits.keepalive_interval_s:
                yield lines or _line(wire.KEEPALIVE)
                sent_at = now
            if not lines:
                self._stopped.wait(POLL_INTERVAL_S)

    def _new_lines(self) -> bytes | None:
        """Return lines for the files since the last check; None if the other hop is not running."""
        found = self._active_pulls.arrived_since(self._hop_id, self._cursor)
        if found is None:
            return None
        lines = bytearray()
        for self._cursor, path in found:
            for entry in self._entries(path):
                lines += wire.entry_line(entry)
                self._count += 1
        return bytes(lines)

    def _entries(self, path: str) -> Iterator[FileEntry]:
        """Yield the file, after the directories above it unless only selected paths are listed."""
        entry = entry_at(self._tree, self._selection, path)
        if entry is None:
            return
        if path and self._selection.paths is None:
            yield from self._directories(path)
        yield entry

    def _directories(self, path: str) -> Iterator[FileEntry]:
        names = path.split("/")
        for depth in range(len(names)):
            folder = "/".join(names[:depth])
            if folder not in self._sent_directories and (
                entry := entry_at(self._tree, self._selection, folder)
            ):
                self._sent_directories.add(folder)
                yield entry


def _line(*fields: str | int) -> bytes:
    return wire.dump(fields) + b"\n"
