"""Which heartbeats are worth sending: an idle agent's cost ten times what it has to say."""

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime

from agent.hops.attempt import AttemptIntervals
from events.reports import Heartbeat, RootState

_ONE_TIME = ("reached", "trusts", "pinned", "api_url")
_NO_TIME = datetime.fromtimestamp(0, UTC)


class HeartbeatPace:
    """Says of each heartbeat whether to send it: while the agent is busy, when something is new, else rarely.

    The broker notices an agent that is gone by its connection. A heartbeat tells that an agent which is
    connected does its work, and how its roots are.
    """

    def __init__(self, intervals: AttemptIntervals, clock: Callable[[], float] = time.monotonic) -> None:
        self._intervals = intervals
        self._clock = clock
        self._last: Heartbeat | None = None
        self._last_at = 0.0

    def restart(self) -> None:
        """Let the next heartbeat be sent: a Hello went before it, which promises one soon."""
        self._last = None

    def next_within_s(self, running: int) -> int:
        """Return the seconds within which the heartbeat after this one is sent."""
        intervals = self._intervals
        return max(1, math.ceil(intervals.heartbeat if running else intervals.idle_heartbeat))

    def is_due(self, heartbeat: Heartbeat) -> bool:
        """Return whether to send this one: the next occasion is an interval later."""
        last, intervals = self._last, self._intervals
        if (
            last is None
            or heartbeat.running
            or _has_one_time_news(heartbeat)
            or _state(heartbeat) != _state(last)
        ):
            return True
        return self._clock() - self._last_at + intervals.heartbeat > intervals.idle_heartbeat

    def note_sent(self, heartbeat: Heartbeat) -> None:
        self._last, self._last_at = heartbeat, self._clock()


def _has_one_time_news(heartbeat: Heartbeat) -> bool:
    """Return whether it reports something that only one heartbeat does."""
    return any(getattr(heartbeat, name) is not None for name in _ONE_TIME)


def _state(heartbeat: Heartbeat) -> Heartbeat:
    """Return what every heartbeat reports, as far as a change of it is worth a message."""
    roots = tuple(_roughly(root) for root in heartbeat.roots)
    left_out = dict.fromkeys((*_ONE_TIME, "load"))
    return heartbeat.model_copy(update={**left_out, "at": _NO_TIME, "roots": roots})


def _roughly(root: RootState) -> RootState:
    """Return the root with its free space to two digits: it changes all the time."""
    free = None if root.free is None else int(float(f"{root.free:.1e}"))
    return root.model_copy(update={"free": free})
