"""Keep how many bytes a hop had at what time: a point a minute at first, and fewer the longer it takes.

The points are in the hop's row, which every report writes, so they are few: 60 take about 1 KB.
"""

from datetime import datetime

ProgressHistory = tuple[tuple[int, int], ...]
"""Seconds since 1970, and bytes at the destination by then, oldest first. Neither ever decreases."""

MAX_POINTS = 60
MIN_INTERVAL_S = 60
_POINTS_AFTER_THINNING = MAX_POINTS // 2


def with_point(history: ProgressHistory, now: datetime, bytes_done: int, *, always: bool) -> ProgressHistory:
    """Return the history with a point for now, if one is due or `always`; the same object otherwise."""
    at = int(now.timestamp())
    if history:
        first, last = history[0][0], history[-1]
        interval = max(MIN_INTERVAL_S, (at - first) // _POINTS_AFTER_THINNING)
        if at <= last[0] or not (always or at - last[0] >= interval):
            return history
        bytes_done = max(bytes_done, last[1])
    longer = (*history, (at, bytes_done))
    return longer if len(longer) <= MAX_POINTS else (*longer[:-1:2], longer[-1])
