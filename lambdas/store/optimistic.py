"""Retry optimistic writes, which are refused if what they were computed from has changed."""

from collections.abc import Callable
from typing import TypeVar

from lambdas.domain.errors import StaleError

MAX_ATTEMPTS = 5

T = TypeVar("T")


def retry_stale(
    write: Callable[[], T],
    subject: str,
    *,
    max_attempts: int = MAX_ATTEMPTS,
    on_stale: Callable[[int], None] = lambda _: None,
) -> T:
    """Return what `write` returns; call it again after a StaleError, up to `max_attempts` times.

    `write` reads, computes and writes; each call must read again. `on_stale` gets the number of the refused
    attempt, from 0, and may wait or raise.

    Raises:
        StaleError: every attempt was refused; names the subject, such as `Transfer k3v9…`.
    """
    for attempt in range(max_attempts):
        try:
            return write()
        except StaleError:
            on_stale(attempt)
    raise StaleError(subject)
