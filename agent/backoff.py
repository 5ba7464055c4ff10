"""How long to wait before something that failed is tried again."""

from dataclasses import dataclass

_MAX_DOUBLINGS = 30
"""Enough for any `max_s`; a float overflows at about a thousand."""


@dataclass(frozen=True)
class Backoff:
    """Seconds before a retry: doubled each time, up to `max_s`."""

    first_s: float
    max_s: float

    def delay_s(self, retries: int) -> float:
        """Return the seconds before the next retry, after this many that failed, too."""
        return min(self.first_s * 2.0 ** min(retries, _MAX_DOUBLINGS), self.max_s)
