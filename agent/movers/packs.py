"""Small files, many at once."""

from collections.abc import Sequence

from agent.digests import digest_of
from agent.listing import Entry
from agent.movers.hand import Hand, damaged
from agent.movers.source import Packed


class Packs:
    def __init__(self, hand: Hand) -> None:
        self._hand = hand
        self._bench = hand.bench
        self._arrived = 0

    def fetch(self, entries: Sequence[Entry]) -> bool:
        """Did any of them arrive? LostError, HopError or StoppedError end the pass."""
        waiting = list(entries)
        self._arrived = 0
        with self._bench.ledger.pack(waiting):
            while waiting:
                self._hand.tried(lambda: self._unpack(waiting))
        return bool(self._arrived)

    def _unpack(self, waiting: list[Entry]) -> None:
        """Put each in place once they are here, and take it from `waiting`."""
        arrived = list(self._hand.connected().pack(self._bench.stride.first_of(waiting.copy())))
        self._bench.limiter.take(sum(packed.entry.size for packed in arrived))
        whole: list[tuple[Entry, bytes]] = []
        try:
            with self._bench.one_lands:
                for packed in arrived:
                    self._hand.go_on()
                    waiting.remove(packed.entry)
                    digest = self._land(packed)
                    if digest is not None:
                        whole.append((packed.entry, digest))
        finally:
            self._bench.ledger.all_done(whole)
            self._arrived += len(whole)

    def _land(self, packed: Packed) -> bytes | None:
        """The digest of a file that stands now; None for one that does not."""
        entry, problem = packed.entry, packed.problem
        digest = digest_of(packed.data)
        if problem is None and packed.digest not in {None, digest}:
            problem = damaged(self._hand.landing.name(entry.path))
        if problem:
            self._hand.landing.drop(entry.path)
            self._hand.again(entry, 0, problem)
            return None
        try:
            self._hand.landing.small(entry, packed.data)
        except OSError as error:
            problem = self._hand.comparing.problem(entry, error)
            self._hand.landing.drop(entry.path)
            self._bench.failures.add(problem, entry)
            return None
        self._bench.tally.came_whole(entry.path, entry.size)
        return digest
