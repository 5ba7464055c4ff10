"""One pass over the source, from its listing to its last byte: a thread that lists, one that compares with
what stands here and plans, and several that fetch.

They end together: the first to fail stops the others, and its error is the pass's.
"""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress

from agent.errors import HopError, problem_of
from agent.files.listing import FileEntry, Selection
from agent.files.owners import ownerless_problem
from agent.pull.bandwidth import limiter_for
from agent.pull.destination import Destination
from agent.pull.dry_run import DryRunReport
from agent.pull.failures import Failures
from agent.pull.free_space import SpaceCheck
from agent.pull.job_queue import JobQueue
from agent.pull.ledger import Ledger
from agent.pull.marks import Marks
from agent.pull.mover import AttemptObserver, HostResources, batches, selection_of
from agent.pull.planner import Planner
from agent.pull.progress import ProgressCounter
from agent.pull.request_size import RequestSize
from agent.pull.source import Reader, Source, SourceConnectionError
from agent.pull.spool import Spool
from agent.pull.worker import Worker
from agent.pull.worker_context import PullStoppedError, WorkerContext
from agent.pull.worker_pool import WorkerPool
from events.commands import Move
from events.locations import AgentLocation

LISTING_BATCH_SIZE = 1000
"""Entries that go into the ledger together."""


class SyncPass:
    """`run` once."""

    def __init__(
        self,
        order: Move,
        source: Source,
        landing: Callable[[], Destination],
        ledger: Ledger,
        tally: ProgressCounter,
        watcher: AttemptObserver,
        host: HostResources,
        stride: RequestSize,
    ) -> None:
        """`landing` makes one for each thread."""
        self._order = order
        self._meant = selection_of(order)
        self._source = source
        self._landing = landing
        self._ledger = ledger
        self.rehearsal = DryRunReport() if order.options.dry_run else None
        """Of a dry run, which writes nothing: what this pass has found. The next one begins anew."""
        self._tally = tally
        self._host = host
        self._watcher = watcher
        self._spool = Spool(host.state)
        self._work = JobQueue(source.pack_files)
        self.failures = Failures(ledger, self.rehearsal)
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._error: BaseException | None = None
        self._room: SpaceCheck
        self.files = 0
        """That the source has, once it is known."""
        self._readers: set[Reader] = set()
        self._bench = WorkerContext(
            source=source,
            meant=self._meant,
            ledger=ledger,
            tally=tally,
            work=self._work,
            failures=self.failures,
            comparing=self._comparing,
            stride=stride,
            limiter=limiter_for(order.options, host.line, self._stopped),
            one_lands=threading.Lock(),
            stopped=self._stopped,
            opened=self._opened,
            closed=self._closed,
        )

    @property
    def brought(self) -> int:
        """Ranges and packs that have arrived."""
        return self._work.carried_out

    def stop(self, error: BaseException) -> None:
        """From any thread: end early, with this error if it is the first."""
        with self._lock:
            self._error = self._error or error
            self._stopped.set()
            readers = list(self._readers)
        self._work.abort()
        self._spool.end(error)
        self._source.interrupt()
        for reader in readers:
            reader.interrupt()

    def run(self) -> None:
        """Single files that failed are in `failures`. HopError, LostError or StoppedError if the pass did
        not end."""
        self._tally.reset()
        self._ledger.start_pass()
        self._watcher.on_start(self._source.connect())
        self._room = SpaceCheck(self._free(), self._tally.set_space_shortage)
        with self._marked() as meant:
            listing = threading.Thread(target=self._guarded, args=[lambda: self._list(meant)], name="list")
            listing.start()
            crew = self._crew()
            crew.start()
            self._guarded(self._plan)
            crew.join()
            listing.join()
        self._spool.close()
        self._work.close()
        if self._error:
            raise self._error

    @contextmanager
    def _marked(self) -> Iterator[Selection]:
        """What is to be listed, and how the source finds out that it is to arrive where it is. A dry run
        writes nothing."""
        if self.rehearsal or not isinstance(self._order.destination, AgentLocation):
            yield self._meant
            return
        with self._host.roots.tree(self._order.destination.path, writing=True) as tree:
            marks = Marks(self._host.roots, tree, self._ledger)
            try:
                yield marks.for_listing(self._meant)
            finally:
                marks.clear()

    def _free(self) -> int:
        """Where it cannot be told, whoever is to write there hears why."""
        with suppress(OSError), closing(self._landing()) as landing:
            return landing.free_bytes()
        return sys.maxsize

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except OSError as error:  # of the destination: every file would fail alike
            self.stop(HopError(problem_of(error, str(self._order.destination))))
        except BaseException as error:  # raised again by `run`
            self.stop(error)

    # --- listing ---

    def _list(self, meant: Selection) -> None:
        size = files = 0
        try:
            for batch in batches(self._entries(meant), LISTING_BATCH_SIZE):
                if self._order.options.delete_extra:
                    self._ledger.add_listed(entry.path for entry in batch)
                for entry in batch:
                    size, files = size + entry.size, files + (entry.kind in "fl")
        except Exception as error:
            self._spool.end(error)
            raise
        self.files = files
        self._tally.total(size, files)
        self._spool.end()

    def _entries(self, meant: Selection) -> Iterator[FileEntry]:
        for entry in self._source.entries(meant):
            if self._stopped.is_set():
                raise PullStoppedError
            if self._meant.owners and entry.owner is None and entry.kind != "!":
                raise HopError(ownerless_problem(str(self._order.source)))
            if self._meant.matches(entry):  # an older agent knows of no filters, and S3 of none of ours
                self._spool.put(entry)
                yield entry

    # --- planning ---

    def _plan(self) -> None:
        with closing(self._landing()) as landing, closing(self._comparing(landing)) as comparing:
            for entry in self._spool:
                comparing.plan(entry)
        self._work.planned()

    def _comparing(self, landing: Destination) -> Planner:
        return Planner(
            landing, self._ledger, self._work, self._tally, self.failures, self._room, self.rehearsal
        )

    # --- fetching ---

    def _crew(self) -> WorkerPool:
        asked, source = self._order.options.streams, self._source
        return WorkerPool(
            lambda leaves: self._guarded(lambda: self._fetch(leaves)),
            lambda: self._tally.bytes_moved,
            asked or source.streams,
            asked or source.most_streams,
        )

    def _fetch(self, leaves: Callable[[], bool]) -> None:
        with closing(self._landing()) as landing, closing(Worker(self._bench, landing)) as fetching:
            while not leaves() and (job := self._work.take()):
                fetching.run(job)

    def _opened(self) -> Reader:
        reader = self._source.reader()
        with self._lock:
            if not self._stopped.is_set():
                self._readers.add(reader)
                return reader
        reader.close()
        raise SourceConnectionError("stopped")

    def _closed(self, reader: Reader) -> None:
        with self._lock:
            self._readers.discard(reader)
        reader.close()
