"""How long the operator's command waits."""

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """Times of the operator's command, in seconds."""

    retry_delays_s: tuple[float, ...] = (0.2, 0.6, 1.5)
    """Before each retry of a request."""
    poll_interval_s: float = 1.0
    """Between polls of a transfer without a live connection."""
    live_poll_interval_s: float = 2.0
    """Between polls of a transfer with a live connection."""
    watch_interval_s: float = 30.0
    """Between requests for live progress, which is published for 90 s after each."""
    api_timeout_s: float = 300.0
    """Without an answer from the API before a watch gives up; the transfer itself continues."""


current: ContextVar[Timing] = ContextVar("timing", default=Timing())
"""The timing that the command was started with, as its context's object."""
