"""Files that may be the same: told by the source's digests and those of what stands here."""

from collections.abc import Sequence

from agent.listing import Entry
from agent.movers.hand import Hand
from agent.movers.source import FileError, Packed


class Checks:
    def __init__(self, hand: Hand) -> None:
        self._hand = hand
        self._bench = hand.bench

    def compare(self, entries: Sequence[Entry]) -> None:
        """LostError, HopError or StoppedError end the pass."""
        waiting = list(entries)
        self._hand.tried(lambda: self._compare(waiting))

    def _compare(self, waiting: list[Entry]) -> None:
        """Each by the source's digest and that of what stands here; take it from `waiting`."""
        for checked in self._hand.connected().digests(waiting.copy()):
            self._hand.go_on()
            waiting.remove(checked.entry)
            self._bench.tally.moving(checked.entry.path)
            if checked.problem:
                self._hand.again(checked.entry, 0, checked.problem)
            else:
                self._decide(checked)

    def _decide(self, checked: Packed) -> None:
        entry, digest = checked.entry, checked.digest
        try:
            is_same = self._hand.landing.digest(entry) == digest
            self._hand.comparing.checked(entry, digest or b"", is_same=is_same)
        except FileError as error:
            self._bench.failures.add(error.problem, entry)
        except OSError as error:
            self._bench.failures.add(self._hand.comparing.problem(entry, error), entry)
