"""`move`: what has arrived is removed at the source, each thing only when two proofs have been given.

The destination's: it stands as it arrived, with bytes whose digest is the source's (`Landing.judge` sees to
that: nothing counts as unchanged by size and time alone). And that of both: the source's directory is none of
the destination's, so what is removed is another entry than what stands.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from itertools import chain

from agent.errors import HopError, problem_of
from agent.files import disk
from agent.files.listing import FileEntry
from agent.files.roots import Roots, Tree, is_below
from agent.files.same_place import unproven
from agent.pull.destination import Destination
from agent.pull.failures import Failures
from agent.pull.ledger import Ledger
from agent.pull.marks import Marks
from agent.pull.mover import batches
from agent.pull.source import Reader, Source, SourceConnectionError
from events.base import Problem
from events.commands import Move

BATCH_SIZE = 256


class SourceDeletion:
    """`run` once."""

    def __init__(
        self,
        order: Move,
        source: Source,
        roots: Roots,
        tree: Tree,
        landing: Destination,
        ledger: Ledger,
        failures: Failures,
    ) -> None:
        """`tree` and `landing` are the destination."""
        self._order = order
        self._source = source
        self._tree = tree
        self._landing = landing
        self._ledger = ledger
        self._failures = failures
        self._marks = Marks(roots, tree, ledger, syncs=True)
        self._mounted = self._mounts()
        self._place: FileEntry | None = None
        """What stands for the source itself, if that goes, too."""

    def run(self, go_on: Callable[[], None]) -> None:
        """`go_on` is called before each question, and may raise. HopError, to be tried again if the way
        breaks: what has been removed is not missed."""
        try:
            self._marks.make(self._places(go_on))
            with closing(self._source.reader()) as reader:
                for batch in batches(self._below(), BATCH_SIZE):
                    go_on()
                    self._clear(reader, batch)
                go_on()
                self._clear_place(reader)
        except SourceConnectionError as lost:
            raise HopError(_not_cleared(self._order, lost)) from lost
        finally:
            self._marks.clear()

    # --- what has arrived ---

    def _moved(self) -> Iterator[FileEntry]:
        """Files and links first, then the directories they were in, the deepest first."""
        links = (FileEntry("l", path, target=os.fsdecode(target)) for path, target in self._ledger.links())
        folders = [entry for entry, _ in self._ledger.directories()]
        return chain(self._ledger.present(), links, reversed(folders))

    def _below(self) -> Iterator[FileEntry]:
        for entry in self._moved():
            if entry.path:
                yield entry
            else:
                self._place = entry

    def _places(self, go_on: Callable[[], None]) -> Iterator[str]:
        """Each directory in which something has arrived."""
        seen = set[str]()
        for entry in self._moved():
            place = self._place_of(entry)
            if place not in seen:
                seen.add(place)
                go_on()
                yield place

    def _place_of(self, entry: FileEntry) -> str:
        name = self._tree.name(entry.path)
        return name if entry.kind == "d" else name.rpartition("/")[0] or "/"

    # --- at the source ---

    def _clear_place(self, reader: Reader) -> None:
        """The place itself, last: if it is not there the next time, that is why. A source that stands for
        what is in it stays."""
        place = self._place
        if place is None or (place.kind == "d" and str(self._order.source).endswith("/")):
            return
        if not self._failures.total:
            self._ledger.clearing_ends()
        self._clear(reader, [place])

    def _clear(self, reader: Reader, batch: Iterable[FileEntry]) -> None:
        proven = [entry for entry in batch if self._is_proven(entry)]
        name = self._tree.path.rpartition("/")[2]
        for entry, problem in zip(proven, reader.clear(proven, self._marks.name, name), strict=False):
            if problem:
                self._failures.add(problem, entry)

    def _is_proven(self, entry: FileEntry) -> bool:
        if problem := self._doubt(entry):
            self._failures.add(problem, entry)
        return problem is None

    def _doubt(self, entry: FileEntry) -> Problem | None:
        """Why what stands at the destination may not be what it should; None if it is."""
        if why := self._marks.missing.get(self._place_of(entry)):
            return unproven(entry.path or self._tree.path, f"that it is another thing cannot be shown: {why}")
        try:
            if not self._stands(entry):
                words = "it no longer stands at the destination as it arrived"
                return unproven(entry.path or self._tree.path, words)
        except OSError as error:
            return problem_of(error, self._landing.name(entry.path))
        return None

    def _stands(self, entry: FileEntry) -> bool:
        """As a thing of its own: a file that is only mounted there goes with the one it is. OSError."""
        match entry.kind:
            case "f":
                return self._landing.stands(entry) and not self._is_mounted(entry)
            case "l":
                return self._landing.leads_to(entry.path) == entry.target
        return True

    def _is_mounted(self, entry: FileEntry) -> bool:
        return bool(self._mounted) and self._tree.real_path(entry.path) in self._mounted

    def _mounts(self) -> set[str]:
        """What is mounted at or below the place."""
        try:
            place = self._tree.real_path()
        except OSError:
            return set()
        return {point for point in disk.mount_points() if is_below(point, place)}


def _not_cleared(order: Move, lost: SourceConnectionError) -> Problem:
    return Problem(
        code="source-kept",
        message=f"Everything has arrived, but not all of it could be removed from {order.source}: {lost}.",
        advice="It goes on by itself when the source can be reached.",
        retryable=True,
    )
