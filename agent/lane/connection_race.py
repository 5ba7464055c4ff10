"""Several ways to a peer, tried at once and again and again; the first that stands wins."""

import logging
import threading
from collections.abc import Callable, Mapping
from itertools import chain, repeat
from typing import Generic, Protocol, TypeVar

from agent.errors import HopError
from agent.lane.dialer import describe_error
from agent.pull.source import SourceConnectionError

log = logging.getLogger(__name__)

HEAD_START_S = 0.25
"""Seconds that the way which worked last has for itself; RFC 8305 has the same between two addresses."""
_RETRY_DELAYS_S = (0.2, 0.5, 1.0, 2.0)
"""Seconds before a way is tried again: the other side may not have heard of the hop yet."""
_NO_ANSWER = "no answer in time"


class Closable(Protocol):
    def close(self) -> None: ...


Won = TypeVar("Won", bound=Closable)


class ConnectionRace(Generic[Won]):
    """`run` once. Whoever comes in after the winner is closed."""

    def __init__(self, ways: Mapping[str, Callable[[], Won]], favourite: str | None = None) -> None:
        """By name: what gets there, or raises OSError, ValueError or LostError. HopError ends the race."""
        self._ways = ways
        self._favourite = favourite if favourite in ways else None
        self._changed = threading.Condition()
        self._answers = dict.fromkeys(ways, _NO_ANSWER)
        self._won: tuple[str, Won] | None = None
        self._error: HopError | None = None
        self._over = False

    def run(self, within: float) -> tuple[str, Won]:
        """Who won, and what it brought; LostError names what each answered, if nobody did in so many
        seconds or the race was stopped."""
        for name, way in self._ways.items():
            threading.Thread(target=self._try, args=[name, way], name="dial", daemon=True).start()
        with self._changed:
            self._changed.wait_for(lambda: self._over, within)
            self._end()
            if self._error:
                raise self._error
            if self._won:
                return self._won
        raise SourceConnectionError("; ".join(f"{name}: {answer}" for name, answer in self._answers.items()))

    def stop(self) -> None:
        """From any thread."""
        with self._changed:
            self._end()

    def answered(self, words: str) -> bool:
        """Did any of them say so?"""
        return words in self._answers.values()

    def _end(self) -> None:
        self._over = True
        self._changed.notify_all()

    def _try(self, name: str, way: Callable[[], Won]) -> None:
        late = self._favourite is not None and name != self._favourite
        pauses = chain([HEAD_START_S if late else 0.0], _RETRY_DELAYS_S, repeat(_RETRY_DELAYS_S[-1]))
        while not self._waited(next(pauses)):
            try:
                won = way()
            except HopError as error:
                self._broke(error)
            except (OSError, ValueError, SourceConnectionError) as error:
                with self._changed:
                    self._answers[name] = describe_error(error)
            except Exception as error:  # the race would wait for this way in silence
                log.exception("dialing broke", extra={"peer": name})
                with self._changed:
                    self._answers[name] = f"{type(error).__name__}: {error}"
            else:
                self._arrived(name, won)

    def _waited(self, seconds: float) -> bool:
        """Is it over, at the latest after so long?"""
        with self._changed:
            return self._changed.wait_for(lambda: self._over, seconds)

    def _broke(self, error: HopError) -> None:
        with self._changed:
            if not self._over:
                self._error = error
            self._end()

    def _arrived(self, name: str, won: Won) -> None:
        with self._changed:
            late = self._over
            if not late:
                self._won = name, won
            self._end()
        if late:
            won.close()
