"""What is done once every file has arrived: made to last, read back, mirrored, removed from the source."""

from collections.abc import Iterator
from contextlib import closing
from itertools import chain
from threading import Event

from agent.digests import HopDigest, digest_of
from agent.errors import HopError, problem_of, shown
from agent.listing import Entry
from agent.movers.base import Outcome, Tally, Watcher, batches, meant_by
from agent.movers.failures import Failures
from agent.movers.hand import StoppedError
from agent.movers.landing import Landing
from agent.movers.ledger import Ledger
from agent.movers.mirror import Mirror
from agent.movers.rehearsal import Rehearsal
from agent.movers.source import FileError, LostError, Source
from agent.roots import Tree
from events.base import Problem
from events.commands import Move

REMOVED_AT_ONCE = 256


class Finishing:
    """`run` once."""

    def __init__(
        self,
        order: Move,
        source: Source,
        ledger: Ledger,
        tree: Tree,
        tally: Tally,
        watcher: Watcher,
        failures: Failures,
        rehearsal: Rehearsal | None,
        stopped: Event,
    ) -> None:
        """`tree` is the destination; `close` closes it. `failures` are the pass's, and get those of here."""
        self._order = order
        self._source = source
        self._ledger = ledger
        self._tree = tree
        self._landing = Landing(tree, order.hop_id, order.options, ledger)
        self._tally = tally
        self._watcher = watcher
        self._failures = failures
        self._rehearsal = rehearsal
        self._stopped = stopped

    def close(self) -> None:
        self._landing.close()

    def run(self) -> Outcome:
        """HopError if anything failed; StoppedError."""
        options = self._order.options
        if not self._rehearsal:
            self._name()
            self._settle()
        if options.delete_extra and self._order.selection is None and not self._failures.total:
            self._mirror()  # what was not selected is not extra, whatever the order says
        if self._rehearsal:
            return Outcome(HopDigest().hex(), self._rehearsal.preview(self._tally.progress().short))
        if options.move:
            self._clear_source()
        if self._failures.total:
            raise self._failures.summed(self._tally.progress().files_done)
        return Outcome(_digest(self._ledger))

    def _go_on(self) -> None:
        if self._stopped.is_set():
            raise StoppedError

    # --- at the destination ---

    def _name(self) -> None:
        """Hard links, now that what they lead to is there."""
        for entry in self._ledger.names():
            self._go_on()
            try:
                self._landing.another_name(entry)
            except FileError as error:
                self._failures.add(error.problem, entry)
            except OSError as error:
                self._failures.add(problem_of(error, self._landing.name(entry.path)), entry)
            else:
                self._tally.stood(entry.size)
                self._tally.finished(entry.path)

    def _settle(self) -> None:
        try:
            self._landing.settle()
        except OSError as error:
            self._failures.add(problem_of(error, self._landing.name("")), Entry("d", ""))
        if self._order.options.verify == "reread":
            self._read_back()

    def _read_back(self) -> None:
        """What reads back as something else is removed, and comes anew with the next attempt."""
        self._watcher.verifying()
        wrong = []
        for one in self._ledger.standing():
            self._go_on()
            if self._landing.read_back(one.path, one.size) != one.digest:
                wrong.append(one.path)
        for path in wrong:
            self._landing.remove(path)
        if wrong:
            raise HopError(_reads_otherwise(self._landing.name(wrong[0]), len(wrong)))

    def _mirror(self) -> None:
        meant = meant_by(self._order)
        mirror = Mirror(self._tree, meant, self._ledger, self._tally, self._failures, self._rehearsal)
        mirror.remove_extra(self._go_on)

    # --- at the source ---

    def _clear_source(self) -> None:
        """Remove what stands here, each file only if it is still the one that was read. HopError to be
        tried again if the way breaks: what has been removed is not missed."""
        try:
            with closing(self._source.reader()) as reader:
                for batch in batches(self._moved(), REMOVED_AT_ONCE):
                    self._go_on()
                    for entry, problem in zip(batch, reader.remove(batch), strict=False):
                        if problem:
                            self._failures.add(problem, entry)
        except LostError as lost:
            raise HopError(_not_cleared(self._order, lost)) from lost

    def _moved(self) -> Iterator[Entry]:
        """Files and links first, then the directories they were in, the deepest first. A source that stands
        for what is in it stays itself."""
        links = (Entry("l", path) for path, _ in self._ledger.linked())
        folders = [entry for entry, _ in self._ledger.folders() if entry.path or self._goes_itself]
        return chain(self._ledger.there(), links, reversed(folders))

    @property
    def _goes_itself(self) -> bool:
        return not str(self._order.source).endswith("/")


def _digest(ledger: Ledger) -> str:
    total = HopDigest()
    for one in ledger.standing():
        total.add("f", one.path, one.size, one.digest)
    for path, target in ledger.linked():
        total.add("l", path, 0, digest_of(target))
    for entry, made in ledger.folders():
        if made:
            total.add("d", entry.path, 0, b"")
    return total.hex()


def _not_cleared(order: Move, lost: LostError) -> Problem:
    return Problem(
        code="source-kept",
        message=f"Everything has arrived, but not all of it could be removed from {order.source}: {lost}.",
        advice="It goes on by itself when the source can be reached.",
        retryable=True,
    )


def _reads_otherwise(path: str, count: int) -> Problem:
    more = f" and {count - 1} more" if count > 1 else ""
    return Problem(
        code="written-wrong",
        message=f"{shown(path)}{more} read back from the disk as something else than was written.",
        advice="They come once more. If this repeats, have that host's disk and memory checked.",
        path=shown(path),
        retryable=True,
    )
