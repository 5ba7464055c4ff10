"""One pass over the source: a thread lists it, one compares and plans, several workers fetch and write.

The threads end together: the first to fail stops the others, and its error is the error of the pass.
"""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace

from agent.errors import HopError, problem_of
from agent.files.listing import FileEntry, Selection
from agent.files.same_place import MarkedLocation, identity_of
from agent.problems import OWNERS_NOT_REPORTED
from agent.pull.bandwidth import limiter_for
from agent.pull.destination import Destination
from agent.pull.dry_run import DryRunReport
from agent.pull.failures import Failures
from agent.pull.free_space import SpaceCheck
from agent.pull.job_queue import JobQueue
from agent.pull.ledger import Ledger
from agent.pull.marks import Marks
from agent.pull.mover import batches, selection_of
from agent.pull.planner import Planner, PlannerContext
from agent.pull.pull_context import PullContext
from agent.pull.request_size import RequestSize
from agent.pull.source import Reader, Source, SourceConnectionError
from agent.pull.spool import Spool
from agent.pull.worker import Worker
from agent.pull.worker_context import PullStoppedError, WorkerContext
from agent.pull.worker_pool import WorkerPool
from events.base import Problem

LISTING_BATCH_SIZE = 1000
"""Listed entries per ledger transaction."""


class SyncPass:
    """One pass over a source. Call `run` once."""

    def __init__(
        self, context: PullContext, source: Source, ledger: Ledger, request_size: RequestSize
    ) -> None:
        """Share `ledger` and `request_size` with the other passes of the attempt."""
        self._context = context
        self._command = context.command
        self._progress = context.progress
        self._source = source
        self._ledger = ledger
        self._selection = selection_of(context.command)
        self._spool = Spool(context.host.state, context.limits)
        self._jobs = JobQueue(source.pack_files, context.limits)
        self.dry_run = DryRunReport() if context.command.options.dry_run else None
        """The findings of this pass if the hop is a dry run, which writes nothing."""
        self.failures = Failures(ledger, self.dry_run)
        self._space: SpaceCheck
        self.files = 0
        """Number of files and links that the source has, once it is completely listed."""
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._error: BaseException | None = None
        self._readers: set[Reader] = set()
        self._worker_context = WorkerContext(
            source=source,
            selection=self._selection,
            ledger=ledger,
            progress=context.progress,
            jobs=self._jobs,
            failures=self.failures,
            make_planner=self._make_planner,
            request_size=request_size,
            limiter=limiter_for(context.command.options, context.host.bandwidth, self._stopped),
            write_lock=threading.Lock(),
            stopped=self._stopped,
            retry_backoff=context.limits.request_backoff,
            open_reader=self._open_reader,
            close_reader=self._close_reader,
            log_fields=context.log_fields(),
        )

    @property
    def _needs_names(self) -> bool:
        """Whether it is asked later which paths the source has."""
        options = self._command.options
        return options.delete_extra or (options.move and self._ledger.is_resumed)

    @property
    def jobs_done(self) -> int:
        """Number of completed jobs that transferred something."""
        return self._jobs.jobs_done

    def abort(self, error: BaseException) -> None:
        """End the pass early, with this error if it is the first. Thread-safe."""
        with self._lock:
            self._error = self._error or error
            self._stopped.set()
            readers = list(self._readers)
        self._jobs.abort()
        self._spool.end(error)
        self._source.interrupt()
        for reader in readers:
            reader.interrupt()

    def sync(self) -> None:
        """Run the pass to its end; single files that failed are in `failures`.

        Raises:
            HopError: the source or the destination cannot be used.
            SourceConnectionError: the connection to the source broke; another pass may succeed.
            PullStoppedError: the hop was paused or canceled.
        """
        self._progress.reset()
        self._ledger.start_pass()
        self._context.observer.on_start(self._source.connect())
        if self._source.is_far and not self._ledger.had_files:  # otherwise pieces of ranges may be there
            self._jobs.share_among(self._streams)
        self._space = SpaceCheck(self._free_bytes(), self._progress.set_space_shortage)
        with self._marked_selection() as selection:
            lister = threading.Thread(
                target=self._stop_on_error, args=[lambda: self._list(selection)], name="list"
            )
            lister.start()
            pool = self._worker_pool()
            pool.spawn_workers()
            self._stop_on_error(self._plan)
            pool.join()
            lister.join()
        self._spool.close()
        self._jobs.close()
        if self._error:
            raise self._error

    @contextmanager
    def _marked_selection(self) -> Iterator[Selection]:
        """Yield what to list, with a marker by which the source detects that it is also the destination.

        A dry run writes no marker, and compares the identities of the directories instead.
        """
        if self.dry_run:
            yield self._identified_selection()
            return
        with self._context.open_tree() as tree:
            marks = Marks(self._context.roots, tree, self._ledger)
            try:
                yield marks.for_listing(self._selection)
            finally:
                marks.remove_all()

    def _identified_selection(self) -> Selection:
        """Return what to list, with the identity of the destination, or of its nearest existing parent."""
        with (
            self._context.roots.tree(self._context.destination_path, writing=True) as tree,
            suppress(OSError),
        ):
            _, above, below = tree.nearest_place()
            identity = identity_of(tree.nearest_existing())
            return replace(self._selection, destination=MarkedLocation("", above, below, identity))
        return self._selection

    def _free_bytes(self) -> int:
        """Return the free bytes at the destination; unlimited if unknown, since writing reports the cause."""
        with suppress(OSError), closing(self._context.open_destination(self._ledger)) as destination:
            return destination.free_bytes()
        return sys.maxsize

    def _stop_on_error(self, run: Callable[[], None]) -> None:
        try:
            run()
        except OSError as error:  # of the destination: every other file would fail, too
            self.abort(HopError(self._destination_problem(error)))
        except BaseException as error:  # raised again by `run`
            self.abort(error)

    def _destination_problem(self, error: OSError) -> Problem:
        place = str(self._command.destination)
        with suppress(OSError), closing(self._context.open_destination(self._ledger)) as destination:
            return destination.problem_of(error, place)
        return problem_of(error, place)

    # --- listing ---

    def _list(self, selection: Selection) -> None:
        size = files = 0
        try:
            for batch in batches(self._entries(selection), LISTING_BATCH_SIZE):
                if self._needs_names:
                    self._ledger.add_listed(entry.path for entry in batch)
                for entry in batch:
                    size, files = size + entry.size, files + (entry.kind in "fl")
        except Exception as error:
            self._spool.end(error)
            raise
        self.files = files
        self._progress.set_total(size, files)
        self._spool.end()

    def _entries(self, selection: Selection) -> Iterator[FileEntry]:
        for entry in self._source.entries(selection):
            if self._stopped.is_set():
                raise PullStoppedError
            if self._selection.owners and entry.owner is None and entry.kind != "!":
                raise HopError(OWNERS_NOT_REPORTED.problem(source=self._command.source))
            if self._is_wanted(entry):  # a source need not be right, and S3 cannot filter
                self._spool.put(entry)
                yield entry

    def _is_wanted(self, entry: FileEntry) -> bool:
        """Return whether the entry is selected. A single object is, whatever paths are: it has none."""
        return self._selection.matches(entry) and (not entry.path or self._selection.is_selected(entry.path))

    # --- planning ---

    def _plan(self) -> None:
        with (
            closing(self._context.open_destination(self._ledger)) as destination,
            closing(self._make_planner(destination)) as planner,
        ):
            for entry in self._spool:
                planner.plan(entry)
        self._jobs.planning_done()

    def _make_planner(self, destination: Destination) -> Planner:
        context = PlannerContext(
            self._ledger, self._jobs, self._progress, self.failures, self._space, self.dry_run
        )
        return Planner(context, destination)

    # --- fetching ---

    @property
    def _streams(self) -> int:
        """Connections to begin with."""
        return self._command.options.streams or self._source.streams

    def _worker_pool(self) -> WorkerPool:
        return WorkerPool(
            lambda should_exit: self._stop_on_error(lambda: self._fetch(should_exit)),
            self._progress,
            self._streams,
            self._command.options.streams or self._source.max_streams,
            self._context.limits.scale_interval_s,
        )

    def _fetch(self, should_exit: Callable[[], bool]) -> None:
        with (
            closing(self._context.open_destination(self._ledger)) as destination,
            closing(Worker(self._worker_context, destination)) as worker,
        ):
            if self._source.is_far:
                worker.connect()
            while not should_exit() and (job := self._jobs.take()):
                worker.execute(job)

    def _open_reader(self) -> Reader:
        reader = self._source.reader()
        with self._lock:
            if not self._stopped.is_set():
                self._readers.add(reader)
                return reader
        reader.close()
        raise SourceConnectionError("stopped")

    def _close_reader(self, reader: Reader) -> None:
        with self._lock:
            self._readers.discard(reader)
        reader.close()
