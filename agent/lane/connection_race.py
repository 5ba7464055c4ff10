"""Try several ways to connect at once, and repeatedly; the first connection wins."""

import logging
import threading
from collections.abc import Callable, Mapping
from itertools import chain, count
from typing import Generic, Protocol, TypeVar

from agent.backoff import Backoff
from agent.errors import HopError
from agent.lane.dialer import describe_error
from agent.pull.source import SourceConnectionError

log = logging.getLogger(__name__)

_RETRY_BACKOFF = Backoff(first_s=0.2, max_s=2.0)
"""Seconds before a way is tried again: the other side may not know of the hop yet."""
_NO_ANSWER_TEXT = "no answer in time"
_TOO_MANY_TEXT = "not dialed: too many addresses are dialed already"


class Closable(Protocol):
    def close(self) -> None: ...


Winner = TypeVar("Winner", bound=Closable)


class ConnectionRace(Generic[Winner]):
    """Connection attempts that run in parallel. Call `run` once; connections after the first are closed."""

    def __init__(
        self,
        attempts: Mapping[str, Callable[[], Winner]],
        preferred: str | None = None,
        head_start_s: float = 0.0,
        threads: threading.BoundedSemaphore | None = None,
    ) -> None:
        """Prepare the attempts, by name; the preferred one gets a head start of so many seconds.

        Each attempt has a thread. `threads` bounds those of several races: attempts beyond it are left out.

        An attempt returns a connection or raises OSError, ValueError or SourceConnectionError, after which it
        is repeated. HopError ends the race.
        """
        self._attempts = attempts
        self._preferred = preferred if preferred in attempts else None
        self._head_start_s = head_start_s
        self._threads = threads or threading.BoundedSemaphore(max(1, len(attempts)))
        self._changed = threading.Condition()
        self._errors = dict.fromkeys(attempts, _NO_ANSWER_TEXT)
        self._winner: tuple[str, Winner] | None = None
        self._fatal_error: HopError | None = None
        self._over = False

    def first_connection(self, timeout_s: float) -> tuple[str, Winner]:
        """Return the name of the first successful attempt and its connection.

        Raises:
            SourceConnectionError: no attempt succeeded within `timeout_s` seconds, or `stop` was called.
                The message has the last error of each attempt.
            HopError: an attempt found that the hop cannot succeed.
        """
        for name, attempt in self._attempts.items():
            self._start_attempt(name, attempt)
        with self._changed:
            self._changed.wait_for(lambda: self._over, timeout_s)
            self._end()
            if self._fatal_error:
                raise self._fatal_error
            if self._winner:
                return self._winner
        raise SourceConnectionError("; ".join(f"{name}: {answer}" for name, answer in self._errors.items()))

    def end_race(self) -> None:
        """End the race, from any thread."""
        with self._changed:
            self._end()

    def any_failed_with(self, error_text: str) -> bool:
        """Return whether the last error of any attempt was this text."""
        return error_text in self._errors.values()

    def _end(self) -> None:
        self._over = True
        self._changed.notify_all()

    def _start_attempt(self, name: str, attempt: Callable[[], Winner]) -> None:
        if not self._threads.acquire(blocking=False):
            self._errors[name] = _TOO_MANY_TEXT
            return

        def run() -> None:
            try:
                self._run_attempt(name, attempt)
            finally:
                self._threads.release()

        try:
            threading.Thread(target=run, name="dial", daemon=True).start()
        except RuntimeError:  # the system has no more threads
            self._threads.release()
            self._errors[name] = _TOO_MANY_TEXT

    def _run_attempt(self, name: str, attempt: Callable[[], Winner]) -> None:
        has_to_wait = self._preferred is not None and name != self._preferred
        delays = chain([self._head_start_s if has_to_wait else 0.0], map(_RETRY_BACKOFF.delay_s, count()))
        while not self._wait_until_over(next(delays)):
            try:
                connection = attempt()
            except HopError as error:
                self._on_fatal_error(error)
            except (OSError, ValueError, SourceConnectionError) as error:
                with self._changed:
                    self._errors[name] = describe_error(error)
            except Exception as error:  # log it: the race would go on without this attempt
                log.exception("dialing failed", extra={"peer": name})
                with self._changed:
                    self._errors[name] = f"{type(error).__name__}: {error}"
            else:
                self._on_success(name, connection)

    def _wait_until_over(self, seconds: float) -> bool:
        """Wait at most so many seconds; return whether the race is over."""
        with self._changed:
            return self._changed.wait_for(lambda: self._over, seconds)

    def _on_fatal_error(self, error: HopError) -> None:
        with self._changed:
            if not self._over:
                self._fatal_error = error
            self._end()

    def _on_success(self, name: str, connection: Winner) -> None:
        with self._changed:
            is_late = self._over
            if not is_late:
                self._winner = name, connection
            self._end()
        if is_late:
            connection.close()
