"""The source of a hop while the preceding hop of the chain still writes it."""

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

from agent.files.listing import FileEntry, Selection
from agent.pull.ledger import Ledger
from agent.pull.source import Reader, Source
from events.progress import Connection


@runtime_checkable
class IncrementalSource(Source, Protocol):
    """A source that can be listed while another hop writes it."""

    def incremental(self, selection: Selection) -> Iterator[FileEntry]:
        """Yield files as the preceding hop completes them, until that hop succeeds.

        Raises:
            HopError: the preceding hop does not run and has not succeeded.
            SourceConnectionError: the connection broke.
        """


class StreamingSource:
    """The files completed so far, for one pass; the next pass, over the whole source, finds the rest."""

    def __init__(self, source: IncrementalSource, ledger: Ledger) -> None:
        self._source = source
        self._ledger = ledger
        self._is_listed = False
        self.pack_files = source.pack_files

    def connect(self) -> Connection:
        connection = self._source.connect()
        self.streams, self.max_streams = self._source.streams, self._source.max_streams
        self.is_far = self._source.is_far
        return connection

    def entries(self, selection: Selection) -> Iterator[FileEntry]:
        """Yield each file once, and nothing at a second call.

        A file that the preceding hop writes again may be in transfer here at that moment, and one that has
        changed since is left to the next pass.
        """
        if self._is_listed:
            return
        self._is_listed = True
        for entry in self._source.incremental(selection):
            if entry.kind == "d":
                yield entry
            elif not self._ledger.is_listed(entry.path):
                self._ledger.add_listed([entry.path])
                yield entry

    def reader(self) -> Reader:
        return self._source.reader()

    def interrupt(self) -> None:
        self._source.interrupt()

    def close(self) -> None:
        """Do nothing: the next pass uses the source."""
