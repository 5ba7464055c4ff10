"""Find out what a file system keeps of a modification time: its unit, and its first and last time.

NTFS counts in 100 ns, exFAT in 10 ms, FAT in 2 s; Linux cuts off what is too fine, Windows rounds up. XFS may
end in 2038, ext4 in 2446, FAT in 2107. No system call tells, and behind a network or FUSE it may be any of
them. So some are set and read back.
"""

import os
from dataclasses import dataclass
from itertools import product
from typing import Literal

Rounding = Literal["down", "nearest", "up"]

_NS_PER_S = 10**9
_UNITS_NS = (1, 100, 1000, 10**6, 10**7, _NS_PER_S, 2 * _NS_PER_S)
"""Units of file systems in ns, each a multiple of the one before or of 1."""
_ROUNDINGS: tuple[Rounding, ...] = ("down", "nearest", "up")
_PROBES_NS = tuple(
    1_700_000_000 * _NS_PER_S + ns for ns in (10**9 + 1, 1_555_555_555, 2 * 10**9 - 1, 2 * 10**9 + 1)
)
"""Times around an odd second and around an even one: together they tell the unit and how it is rounded to."""
_FURTHEST_NS = 9_223_372_036 * _NS_PER_S
"""The last whole second that listings hold, in 2262; the first one is its negative."""


@dataclass(frozen=True)
class KeptTimes:
    """What a file system keeps of a modification time, in ns."""

    unit_ns: int
    first_ns: int
    last_ns: int
    rounding: Rounding = "down"

    def kept(self, mtime_ns: int) -> int:
        """Return the time that a file has there after this one was set."""
        inside = max(self.first_ns, min(mtime_ns, self.last_ns))
        return _rounded(inside, self.unit_ns, self.rounding)


def probe(descriptor: int) -> KeptTimes | None:
    """Set times of an empty file that is not used otherwise; return None for a unit that is not known.

    Raises OSError.
    """
    probed = [_kept(descriptor, mtime_ns) for mtime_ns in _PROBES_NS]
    for unit_ns, rounding in product(_UNITS_NS, _ROUNDINGS):
        if [_rounded(mtime_ns, unit_ns, rounding) for mtime_ns in _PROBES_NS] == probed:
            first_ns, last_ns = _kept(descriptor, -_FURTHEST_NS), _kept(descriptor, _FURTHEST_NS)
            return KeptTimes(unit_ns, first_ns, last_ns, rounding)
    return None


def _rounded(mtime_ns: int, unit_ns: int, rounding: Rounding) -> int:
    added = {"down": 0, "nearest": unit_ns // 2, "up": unit_ns - 1}[rounding]
    return (mtime_ns + added) // unit_ns * unit_ns


def _kept(descriptor: int, mtime_ns: int) -> int:
    os.utime(descriptor, ns=(mtime_ns, mtime_ns))
    return os.fstat(descriptor).st_mtime_ns
