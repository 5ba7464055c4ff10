"""A hop's source while another hop is still bringing it there: what has arrived so far."""

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

from agent.files.listing import FileEntry, Selection
from agent.pull.ledger import Ledger
from agent.pull.source import Reader, Source
from events.progress import Connection


@runtime_checkable
class IncrementalSource(Source, Protocol):
    """A source that can be listed while it comes into being."""

    def incremental(self, selection: Selection) -> Iterator[FileEntry]:
        """Files as they come to stand there, until all do. HopError if nothing more comes for now;
        LostError before the end."""


class StreamingSource:
    """For one pass. Whatever it leaves out, the next pass over all of the source finds."""

    def __init__(self, source: IncrementalSource, ledger: Ledger) -> None:
        self._source = source
        self._ledger = ledger
        self._is_listed = False
        self.streams = source.streams
        self.most_streams = source.most_streams
        self.pack_files = source.pack_files

    def connect(self) -> Connection:
        return self._source.connect()

    def entries(self, selection: Selection) -> Iterator[FileEntry]:
        """Each file once: one that the other hop brings anew may be under way here just now. Nor is one
        looked up that has changed meanwhile."""
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
        """The source itself goes on to the next pass."""
