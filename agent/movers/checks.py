"""Files that may be the same: told by the source's digests and those of what stands here."""

from collections.abc import Sequence

from agent.listing import FileEntry
from agent.movers.hand import WorkerConnection
from agent.movers.source import FileError, PackedFile


class ChecksumFetcher:
    def __init__(self, hand: WorkerConnection) -> None:
        self._hand = hand
        self._bench = hand.bench

    def fetch(self, entries: Sequence[FileEntry]) -> None:
        """LostError, HopError or StoppedError end the pass."""
        waiting = list(entries)
        self._hand.with_retry(lambda: self._compare(waiting))

    def _compare(self, waiting: list[FileEntry]) -> None:
        """Each by the source's digest and that of what stands here; take it from `waiting`."""
        for checked in self._hand.connection().digests(waiting.copy()):
            self._hand.check_stopped()
            waiting.remove(checked.entry)
            self._bench.tally.set_current(checked.entry.path)
            if checked.problem:
                self._hand.requeue(checked.entry, 0, checked.problem)
            else:
                self._decide(checked)

    def _decide(self, checked: PackedFile) -> None:
        entry, digest = checked.entry, checked.digest
        try:
            is_same = self._hand.landing.digest(entry) == digest
            self._hand.comparing.checked(entry, digest or b"", is_same=is_same)
        except FileError as error:
            self._bench.failures.add(error.problem, entry)
        except OSError as error:
            self._bench.failures.add(self._hand.comparing.problem(entry, error), entry)
