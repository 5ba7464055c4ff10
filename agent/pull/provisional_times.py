"""Times of sources that count in whole seconds, such as objects and most remotes.

A file that was written a moment ago may get another version within the same second. It arrives with a
provisional time, which proves nothing later: the next comparison is by content.
"""

import time

from agent.files.listing import FileEntry

_NS_PER_S = 10**9
PROVISIONAL_NS = 1
"""Nanoseconds beyond a whole second that mark a provisional time."""
SETTLED_AFTER_NS = 5 * _NS_PER_S
"""Age in nanoseconds from which a version stays that of its second, whatever two clocks differ."""
MAX_CLOCK_SKEW_NS = 15 * 60 * _NS_PER_S
"""Nanoseconds by which this host's clock may be behind the one that gave a file its time. S3 refuses more."""


def is_provisional(mtime_ns: int) -> bool:
    return mtime_ns % _NS_PER_S == PROVISIONAL_NS


def with_provisional_time(entry: FileEntry) -> FileEntry:
    """Mark the time of a file that was written so recently that its second may get another version."""
    age_ns = time.time_ns() - entry.mtime_ns
    if entry.kind != "f" or not -MAX_CLOCK_SKEW_NS < age_ns < SETTLED_AFTER_NS:
        return entry
    return entry._replace(mtime_ns=entry.mtime_ns + PROVISIONAL_NS)


def listed_mtime_ns(entry: FileEntry) -> int:
    """Return the time that the source itself has listed, without the mark."""
    return entry.mtime_ns - PROVISIONAL_NS if is_provisional(entry.mtime_ns) else entry.mtime_ns
