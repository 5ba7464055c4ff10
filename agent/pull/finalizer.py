"""What is done once every file has arrived: made to last, read back, mirrored, removed from the source."""

from contextlib import closing
from itertools import chain
from threading import Event

from agent.errors import HopError, display_path, problem_of
from agent.files.digests import MAX_PACK_FILES, HopDigest, digest_of
from agent.files.listing import FileEntry
from agent.files.roots import Roots, Tree
from agent.files.same_place import not_extra
from agent.pull.destination import Destination
from agent.pull.dry_run import DryRunReport
from agent.pull.failures import Failures
from agent.pull.ledger import Ledger
from agent.pull.marks import Marks
from agent.pull.mirror import Mirror
from agent.pull.mover import AttemptObserver, HopResult, batches, selection_of
from agent.pull.progress import ProgressCounter
from agent.pull.source import FileError, Source, SourceConnectionError
from agent.pull.source_deletion import SourceDeletion
from agent.pull.worker_context import PullStoppedError
from events.base import Problem
from events.commands import Move


class Finalizer:
    """`run` once."""

    def __init__(
        self,
        order: Move,
        source: Source,
        ledger: Ledger,
        tree: Tree,
        tally: ProgressCounter,
        watcher: AttemptObserver,
        failures: Failures,
        rehearsal: DryRunReport | None,
        stopped: Event,
        roots: Roots,
    ) -> None:
        """`tree` is the destination; `close` closes it. `failures` are the pass's, and get those of here."""
        self._order = order
        self._source = source
        self._ledger = ledger
        self._tree = tree
        self._landing = Destination(tree, order.hop_id, order.options, ledger)
        self._tally = tally
        self._watcher = watcher
        self._failures = failures
        self._rehearsal = rehearsal
        self._stopped = stopped
        self._roots = roots

    def close(self) -> None:
        self._landing.close()

    def run(self) -> HopResult:
        """HopError if anything failed; StoppedError."""
        options = self._order.options
        if not self._rehearsal:
            self._link_names()
            self._finalize()
        if options.delete_extra and self._order.selection is None and not self._failures.total:
            self._mirror()  # what was not selected is not extra, whatever the order says
        if self._rehearsal:
            return HopResult(
                HopDigest().hex(), self._rehearsal.preview(self._tally.progress().space_shortage)
            )
        if options.move:
            cleaner = SourceDeletion(
                self._order,
                self._source,
                self._roots,
                self._tree,
                self._landing,
                self._ledger,
                self._failures,
            )
            cleaner.run(self._check_stopped)
        if self._failures.total:
            raise self._failures.summed(self._tally.progress().files_done)
        return HopResult(_digest(self._ledger))

    def _check_stopped(self) -> None:
        if self._stopped.is_set():
            raise PullStoppedError

    # --- at the destination ---

    def _link_names(self) -> None:
        """Hard links, now that what they lead to is there."""
        for entry in self._ledger.names():
            self._check_stopped()
            try:
                self._landing.hard_link(entry)
            except FileError as error:
                self._failures.add(error.problem, entry)
            except OSError as error:
                self._failures.add(problem_of(error, self._landing.name(entry.path)), entry)
            else:
                self._tally.add_existing(entry.size)
                self._tally.finish_file(entry.path)

    def _finalize(self) -> None:
        try:
            self._landing.finalize()
        except OSError as error:
            self._failures.add(problem_of(error, self._landing.name("")), FileEntry("d", ""))
        if self._order.options.verify == "reread":
            self._read_back()

    def _read_back(self) -> None:
        """What reads back as something else is removed, and comes anew with the next attempt."""
        self._watcher.on_verify()
        wrong = []
        for one in self._ledger.completed():
            self._check_stopped()
            if self._landing.read_back(one.path, one.size) != one.digest:
                wrong.append(one.path)
        for path in wrong:
            self._landing.remove(path)
        if wrong:
            raise HopError(_reads_otherwise(self._landing.name(wrong[0]), len(wrong)))

    def _mirror(self) -> None:
        meant = selection_of(self._order)
        mirror = Mirror(self._tree, meant, self._ledger, self._tally, self._failures, self._rehearsal)
        if not self._rehearsal and (places := mirror.places(self._check_stopped)):
            self._must_not_be_source(places)
        mirror.remove_extra(self._check_stopped)

    def _must_not_be_source(self, places: set[str]) -> None:
        """HopError if one of these directories, in which something is extra, is one of the source's."""
        marks = Marks(self._roots, self._tree, self._ledger)
        folders = chain([""], (entry.path for entry, _ in self._ledger.directories() if entry.path))
        try:
            marks.make(self._tree.name(place) for place in places)
            with closing(self._source.reader()) as reader:
                for batch in batches(folders, MAX_PACK_FILES):
                    self._check_stopped()
                    if reader.shows(marks.name, batch):
                        raise not_extra(self._order.destination)
        except SourceConnectionError as lost:
            raise HopError(_extra_is_kept(self._order, lost)) from lost
        finally:
            marks.clear()
        for place, why in marks.missing.items():
            raise HopError(_may_be_source(place, why))

    def conclude(self) -> HopResult:
        """After an attempt that was killed when it had cleared the source: see that all is here. HopError."""
        for entry in self._ledger.present():
            self._check_stopped()
            try:
                stands = self._landing.stands(entry)
            except OSError as error:
                self._failures.add(problem_of(error, self._landing.name(entry.path)), entry)
                continue
            if stands:
                self._tally.add_existing(entry.size)
                self._tally.finish_file(entry.path)
            else:
                self._failures.add(_went_away(self._landing.name(entry.path)), entry)
        if self._failures.total:
            raise self._failures.summed(self._tally.progress().files_done)
        return HopResult(_digest(self._ledger))


def _digest(ledger: Ledger) -> str:
    total = HopDigest()
    for one in ledger.completed():
        total.add("f", one.path, one.size, one.digest)
    for path, target in ledger.links():
        total.add("l", path, 0, digest_of(target))
    for entry, made in ledger.directories():
        if made:
            total.add("d", entry.path, 0, b"")
    return total.hex()


def _extra_is_kept(order: Move, lost: SourceConnectionError) -> Problem:
    return Problem(
        code="source-unreachable",
        message=f"Everything has arrived, but nothing was removed at {order.destination}, since "
        f"{order.source} could not be asked whether it is the source's own: {lost}.",
        advice="It goes on by itself when the source can be reached.",
        retryable=True,
    )


def _may_be_source(place: str, why: str) -> Problem:
    return Problem(
        code="permission-denied",
        message=f"Everything has arrived, but nothing was removed: {place} holds what the source does not, "
        f"and whether it is one of the source's own directories cannot be shown. {why}",
        advice="Let the destination's agent write there, or leave the directory out by a filter.",
        path=place,
    )


def _went_away(path: str) -> Problem:
    return Problem(
        code="destination-changed",
        message=f"{display_path(path)} had arrived, and was removed from the source; "
        "it is not here any more.",
        advice="Ask who works at the destination where it went.",
        path=display_path(path),
    )


def _reads_otherwise(path: str, count: int) -> Problem:
    more = f" and {count - 1} more" if count > 1 else ""
    return Problem(
        code="written-wrong",
        message=f"{display_path(path)}{more} read back from the disk as something else than was written.",
        advice="They come once more. If this repeats, have that host's disk and memory checked.",
        path=display_path(path),
        retryable=True,
    )
