"""Small files, many at once."""

from collections.abc import Sequence

from agent.digests import digest_of
from agent.listing import FileEntry
from agent.movers.hand import WorkerConnection, damaged
from agent.movers.source import PackedFile


class PackFetcher:
    def __init__(self, hand: WorkerConnection) -> None:
        self._hand = hand
        self._bench = hand.bench
        self._arrived = 0

    def fetch(self, entries: Sequence[FileEntry]) -> bool:
        """Did any of them arrive? LostError, HopError or StoppedError end the pass."""
        waiting = list(entries)
        self._arrived = 0
        with self._bench.ledger.pack(waiting):
            while waiting:
                self._hand.with_retry(lambda: self._unpack(waiting))
        return bool(self._arrived)

    def _unpack(self, waiting: list[FileEntry]) -> None:
        """Put each in place once they are here, and take it from `waiting`."""
        arrived = list(self._hand.connection().pack(self._bench.stride.limit(waiting.copy())))
        self._bench.limiter.take(sum(packed.entry.size for packed in arrived))
        whole: list[tuple[FileEntry, bytes]] = []
        try:
            with self._bench.one_lands:
                for packed in arrived:
                    self._hand.check_stopped()
                    waiting.remove(packed.entry)
                    digest = self._land(packed)
                    if digest is not None:
                        whole.append((packed.entry, digest))
        finally:
            self._bench.ledger.complete_all(whole)
            self._arrived += len(whole)

    def _land(self, packed: PackedFile) -> bytes | None:
        """The digest of a file that stands now; None for one that does not."""
        entry, problem = packed.entry, packed.problem
        digest = digest_of(packed.data)
        if problem is None and packed.digest not in {None, digest}:
            problem = damaged(self._hand.landing.name(entry.path))
        if problem:
            self._hand.landing.drop(entry.path)
            self._hand.requeue(entry, 0, problem)
            return None
        try:
            self._hand.landing.write_small(entry, packed.data)
        except OSError as error:
            problem = self._hand.comparing.problem(entry, error)
            self._hand.landing.drop(entry.path)
            self._bench.failures.add(problem, entry)
            return None
        self._bench.tally.add_file(entry.path, entry.size)
        return digest
