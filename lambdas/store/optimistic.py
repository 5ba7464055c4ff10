"""Retry optimistic writes, which are refused if what they were decided on has changed in between."""

from collections.abc import Callable
from typing import TypeVar

from lambdas.domain.errors import StaleError

T = TypeVar("T")


def retry_stale(
    write: Callable[[int], T],
    *,
    max_attempts: int,
    subject: str,
    on_stale: Callable[[int], None] = lambda _: None,
) -> T:
    """Return what `write` returns; call it again after a StaleError, up to `max_attempts` times.

    `write` gets the number of earlier attempts, and reads and decides anew each time. `on_stale` gets the
    number of the refused attempt, from 0, and may wait or raise.

    Raises:
        StaleError: every attempt was refused; names the subject, such as `Transfer k3v9…`.
    """
    for attempt in range(max_attempts):
        try:
            return write(attempt)
        except StaleError:
            on_stale(attempt)
    raise StaleError(subject)
