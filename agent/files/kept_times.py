"""Find out what a file system keeps of a modification time: its unit, and its first and last time.

NTFS counts in 100 ns, exFAT in 10 ms, FAT in 2 s; XFS may end in 2038, ext4 in 2446, FAT in 2107. No system
call tells, and behind a network or FUSE it may be any of them. So one is set and read back.
"""

import os
from dataclasses import dataclass

_NS_PER_S = 10**9
_UNITS_NS = (1, 100, 1000, 10**6, 10**7, _NS_PER_S, 2 * _NS_PER_S)
"""Units of file systems in ns, each a multiple of the one before or of 1."""
_PROBE_NS = 1_700_000_001 * _NS_PER_S + 999_999_999
"""A time that no unit divides: an odd second, and all digits after it."""
_FURTHEST_NS = 9_223_372_036 * _NS_PER_S
"""The last whole second that listings hold, in 2262; the first one is its negative."""


@dataclass(frozen=True)
class KeptTimes:
    """What a file system keeps of a modification time, in ns."""

    unit_ns: int
    first_ns: int
    last_ns: int

    def kept(self, mtime_ns: int) -> int:
        """Return the time that a file has there after this one was set."""
        inside = max(self.first_ns, min(mtime_ns, self.last_ns))
        return inside // self.unit_ns * self.unit_ns


def probe(descriptor: int) -> KeptTimes | None:
    """Set times of an empty file that is not used otherwise; return None for a unit that is not known.

    Raises OSError.
    """
    probed = _kept(descriptor, _PROBE_NS)
    unit = next((unit for unit in _UNITS_NS if _PROBE_NS // unit * unit == probed), None)
    if unit is None:
        return None
    return KeptTimes(unit, _kept(descriptor, -_FURTHEST_NS), _kept(descriptor, _FURTHEST_NS))


def _kept(descriptor: int, mtime_ns: int) -> int:
    os.utime(descriptor, ns=(mtime_ns, mtime_ns))
    return os.fstat(descriptor).st_mtime_ns
