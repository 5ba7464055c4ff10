"""One pass over the source, from its listing to its last byte: a thread that lists, one that compares with
what stands here and plans, and several that fetch.

They end together: the first to fail stops the others, and its error is the pass's.
"""

import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from agent.errors import HopError, problem_of
from agent.movers.base import Tally, Watcher, meant_by
from agent.movers.comparing import Comparing
from agent.movers.failures import Failures
from agent.movers.fetching import Bench, Fetching
from agent.movers.landing import Landing
from agent.movers.ledger import Ledger
from agent.movers.limiter import Limiter
from agent.movers.source import LostError, Reader, Source
from agent.movers.spool import Spool
from agent.movers.work import Work
from events.commands import Move


class Pass:
    """`run` once."""

    def __init__(
        self,
        order: Move,
        source: Source,
        landing: Callable[[], Landing],
        ledger: Ledger,
        tally: Tally,
        watcher: Watcher,
        folder: Path,
    ) -> None:
        """`landing` makes one for each thread; `folder` is for what the listing is ahead."""
        self._order = order
        self._meant = meant_by(order)
        self._source = source
        self._landing = landing
        self._tally = tally
        self._watcher = watcher
        self._spool = Spool(folder)
        self._work = Work(source.pack_files)
        self._failures = Failures()
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._error: BaseException | None = None
        self._readers: set[Reader] = set()
        self._bench = Bench(
            source=source,
            meant=self._meant,
            ledger=ledger,
            tally=tally,
            work=self._work,
            failures=self._failures,
            limiter=Limiter(order.options.bandwidth_limit, self._stopped),
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

    def run(self) -> Failures:
        """The single files that failed. HopError, LostError or StoppedError if the pass did not end."""
        self._tally.begin()
        self._watcher.started(self._source.connect())
        streams = self._order.options.streams or self._source.streams
        threads = [threading.Thread(target=self._guarded, args=[self._list], name="list")]
        threads += [
            threading.Thread(target=self._guarded, args=[self._fetch], name="fetch") for _ in range(streams)
        ]
        for thread in threads:
            thread.start()
        self._guarded(self._plan)
        for thread in threads:
            thread.join()
        self._spool.close()
        self._work.close()
        if self._error:
            raise self._error
        return self._failures

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except OSError as error:  # of the destination: every file would fail alike
            self.stop(HopError(problem_of(error, str(self._order.destination))))
        except BaseException as error:  # raised again by `run`
            self.stop(error)

    # --- listing ---

    def _list(self) -> None:
        size = files = 0
        try:
            for entry in self._source.entries(self._meant):
                if not self._meant.takes(entry):  # an older agent knows of no filters, and S3 of none of ours
                    continue
                self._spool.put(entry)
                size, files = size + entry.size, files + (entry.kind in "fl")
                if self._stopped.is_set():
                    return
        except Exception as error:
            self._spool.end(error)
            raise
        self._tally.total(size, files)
        self._spool.end()

    # --- planning ---

    def _plan(self) -> None:
        with closing(self._landing()) as landing:
            comparing = Comparing(landing, self._work, self._tally, self._failures)
            for entry in self._spool:
                comparing.consider(entry)
        self._work.planned()

    # --- fetching ---

    def _fetch(self) -> None:
        with closing(self._landing()) as landing:
            fetching = Fetching(self._bench, landing)
            try:
                while job := self._work.take():
                    fetching.carry_out(job)
            finally:
                fetching.close()

    def _opened(self) -> Reader:
        reader = self._source.reader()
        with self._lock:
            if not self._stopped.is_set():
                self._readers.add(reader)
                return reader
        reader.close()
        raise LostError("stopped")

    def _closed(self, reader: Reader) -> None:
        with self._lock:
            self._readers.discard(reader)
        reader.close()
