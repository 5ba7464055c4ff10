"""Finish a hop after its last byte: hard links, sync, verification, mirroring, deletion at the source."""

from contextlib import closing
from itertools import chain
from threading import Event

from agent import problems
from agent.errors import HopError, problem_of
from agent.files.digests import MAX_PACK_FILES, HopDigest, digest_of
from agent.files.listing import FileEntry
from agent.pull.destination import Destination
from agent.pull.dry_run import DryRunReport
from agent.pull.failures import Failures
from agent.pull.ledger import Ledger
from agent.pull.marks import Marks
from agent.pull.mirror import Mirror
from agent.pull.mover import HopResult, batches, selection_of
from agent.pull.pull_context import PullContext
from agent.pull.source import FileError, Source, SourceConnectionError
from agent.pull.source_deletion import SourceDeletion
from agent.pull.worker_context import PullStoppedError


class Finalizer:
    """The last stage of a pull. Call `run` or `verify_after_deletion` once, then `close`."""

    def __init__(
        self,
        context: PullContext,
        source: Source,
        ledger: Ledger,
        failures: Failures,
        dry_run: DryRunReport | None,
        stopped: Event,
    ) -> None:
        """Open the destination; add the failures of this stage to `failures`, those of the pass."""
        self._context = context
        self._command = context.command
        self._roots = context.roots
        self._progress = context.progress
        self._observer = context.observer
        self._source = source
        self._ledger = ledger
        self._tree = context.open_tree()
        self._destination = Destination(self._tree, context.command.hop_id, context.command.options, ledger)
        self._failures = failures
        self._dry_run = dry_run
        self._stopped = stopped

    def close(self) -> None:
        self._destination.close()

    def finalize(self) -> HopResult:
        """Finish the hop and return its result.

        Raises:
            HopError: at least one file failed, here or in the pass.
            PullStoppedError: the hop was paused or canceled.
        """
        options = self._command.options
        if not self._dry_run:
            self._link_names()
            self._destination.drop_all(self._roots)  # of files that the source no longer has, or has changed
            self._finalize()
        if options.delete_extra and self._command.selection is None and not self._failures.total:
            self._mirror()  # with a selection, files that were not selected are not extra
        if self._dry_run:
            return HopResult(
                HopDigest().hex(), self._dry_run.preview(self._progress.snapshot().space_shortage)
            )
        if options.move:
            if self._ledger.is_resumed:
                self._count_deleted_earlier()
            comparer = self._destination.comparer
            deletion = SourceDeletion(
                self._context, self._source, self._tree, comparer, self._ledger, self._failures
            )
            deletion.delete_transferred(self._check_stopped)
        if self._failures.total:
            raise self._failures.to_error(self._progress.snapshot().files_done)
        return HopResult(_digest(self._ledger))

    def _check_stopped(self) -> None:
        if self._stopped.is_set():
            raise PullStoppedError

    # --- at the destination ---

    def _link_names(self) -> None:
        """Create the hard links: the files they refer to are written by now."""
        for entry in self._ledger.names():
            self._check_stopped()
            try:
                self._destination.hard_link(entry)
            except FileError as error:
                self._failures.add_problem(error.problem, entry)
            except OSError as error:
                self._failures.add_problem(problem_of(error, self._destination.name(entry.path)), entry)
            else:
                self._progress.add_existing(entry.size)
                self._progress.finish_file(entry.path)

    def _finalize(self) -> None:
        """Finish each directory, and sync; one that cannot be finished does not keep the others from it."""
        for entry, _ in self._ledger.directories():
            try:
                if lost := self._destination.finish_directory(entry):
                    self._progress.add_lost(lost)
                    self._ledger.outcomes.record_lost(entry.path, lost)
            except OSError as error:
                self._failures.add_problem(problem_of(error, self._destination.name(entry.path)), entry)
        try:
            self._destination.finalize()
        except OSError as error:
            self._failures.add_problem(problem_of(error, self._destination.name("")), FileEntry("d", ""))
        if self._command.options.verify == "reread":
            self._read_back()

    def _read_back(self) -> None:
        """Read every written file back from the disk and remove those whose digest differs.

        Raises HopError if any differs; the next attempt fetches them again.
        """
        self._observer.on_verify()
        mismatched = []
        for completed in self._ledger.completed():
            self._check_stopped()
            if self._destination.comparer.read_back(completed.path, completed.size) != completed.digest:
                mismatched.append(completed)
        for path, size, _ in mismatched:
            self._destination.remove(path)
            problem = problems.WRITTEN_WRONG.problem(path=self._destination.name(path), more="")
            self._failures.add_problem(problem, FileEntry("f", path, size))
        if mismatched:
            more = f" and {len(mismatched) - 1} more" if len(mismatched) > 1 else ""
            raise HopError(
                problems.WRITTEN_WRONG.problem(path=self._destination.name(mismatched[0].path), more=more)
            )

    def _mirror(self) -> None:
        selection = selection_of(self._command)
        mirror = Mirror(self._tree, selection, self._ledger, self._progress, self._failures, self._dry_run)
        if not self._dry_run and (directories := mirror.changed_directories(self._check_stopped)):
            self._require_not_source(directories)
        try:
            mirror.remove_extra(self._check_stopped)
        finally:
            self._restore_times(mirror.emptied)

    def _restore_times(self, directories: set[str]) -> None:
        try:
            self._destination.restore_times(directories)
        except OSError as error:
            self._failures.add_problem(problem_of(error, self._destination.name("")), FileEntry("d", ""))

    def _require_not_source(self, directories: set[str]) -> None:
        """Raise HopError if one of `directories`, where files would be removed, belongs to the source.

        The destination's directories get a marker file and the source looks for it in its own.
        """
        marks = Marks(self._roots, self._tree, self._ledger)
        listed_directories = chain(
            [""], (entry.path for entry, _ in self._ledger.directories() if entry.path)
        )
        try:
            marks.make(self._tree.name(directory) for directory in directories)
            with closing(self._source.reader()) as reader:
                for batch in batches(listed_directories, MAX_PACK_FILES):
                    self._check_stopped()
                    if reader.has_mark(marks.name, batch):
                        raise HopError(
                            problems.EXTRA_FILES_IN_SOURCE.problem(destination=self._command.destination)
                        )
        except SourceConnectionError as error:
            problem = problems.SOURCE_UNREACHABLE_FOR_CHECK.problem(
                destination=self._command.destination, source=self._command.source, reason=error
            )
            raise HopError(problem) from error
        finally:
            marks.remove_all()
        for directory, reason in marks.missing.items():
            raise HopError(problems.EXTRA_FILES_UNPROVEN.problem(path=directory, reason=reason))

    def _count_deleted_earlier(self) -> None:
        """Count the files that an earlier attempt has moved: the source no longer lists them."""
        before = self._progress.snapshot()
        count = size = 0
        for completed in self._ledger.completed():
            if not self._ledger.is_listed(completed.path):
                count, size = count + 1, size + completed.size
                self._progress.add_existing(completed.size)
                self._progress.finish_file(completed.path)
        self._progress.set_total((before.bytes_total or 0) + size, (before.files_total or 0) + count)

    def verify_after_deletion(self) -> HopResult:
        """Return the result of a hop that was killed after it had deleted the source.

        Raises HopError if a file is missing at the destination.
        """
        for entry in self._ledger.present():
            self._check_stopped()
            try:
                is_present = self._destination.comparer.is_present(entry)
            except OSError as error:
                self._failures.add_problem(problem_of(error, self._destination.name(entry.path)), entry)
                continue
            if is_present:
                self._progress.add_existing(entry.size)
                self._progress.finish_file(entry.path)
            else:
                path = self._destination.name(entry.path)
                self._failures.add_problem(problems.DESTINATION_CHANGED.problem(path=path), entry)
        if self._failures.total:
            raise self._failures.to_error(self._progress.snapshot().files_done)
        return HopResult(_digest(self._ledger))


def _digest(ledger: Ledger) -> str:
    total = HopDigest()
    for completed in ledger.completed():
        total.add("f", completed.path, completed.size, completed.digest)
    for path, target in ledger.links():
        total.add("l", path, 0, digest_of(target))
    for entry, made in ledger.directories():
        if made:
            total.add("d", entry.path, 0, b"")
    return total.hex()
