"""Retry a write that is conditional on the state that it was computed from."""

from collections.abc import Callable
from typing import TypeVar

from lambdas.domain.errors import StaleError

MAX_ATTEMPTS = 5

T = TypeVar("T")


def retry_stale(attempt: Callable[[], T], subject: str) -> T:
    """Read, compute and write in `attempt`, again while a concurrent write makes it stale.

    Raises:
        StaleError: Every attempt was stale; the error names the subject, for example `Agent server-b`.
    """
    for _ in range(MAX_ATTEMPTS):
        try:
            return attempt()
        except StaleError:
            continue
    raise StaleError(subject)
