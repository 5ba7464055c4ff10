"""Decide what a push does with a file, given what is at its destination.

The rules are at --update, --ignore-existing, --immutable and --modify-window in https://rclone.org/docs/.
"""

from typing import Literal

from agent.files.listing import FileEntry
from agent.pull.comparison import Comparison

MTIME_WINDOW_NS = 10**9
"""Nanoseconds within which two times count as equal: rclone gets a file's time in whole seconds."""

Overwrite = Literal["always", "newer", "never", "fail"]


def predict(
    entry: FileEntry, existing: FileEntry | None, overwrite: Overwrite, mtime_precision_ns: int | None
) -> Comparison:
    """Return what rclone would do with `entry`, where `existing` is at the destination.

    `mtime_precision_ns` is the precision of the destination's times in nanoseconds; None if it keeps none,
    and its times are those of the upload: then files of one size may be identical.
    """
    if existing is None:
        return Comparison.MISSING
    same_size = existing.size in {entry.size, -1}  # -1: unknown before it is read
    newer_by_ns = existing.mtime_ns - entry.mtime_ns // MTIME_WINDOW_NS * MTIME_WINDOW_NS
    if mtime_precision_ns is None:
        same, may_be_same = False, same_size
    else:
        same = may_be_same = same_size and abs(newer_by_ns) < max(MTIME_WINDOW_NS, mtime_precision_ns)
    match overwrite:
        case "always":
            return Comparison.IDENTICAL if same else Comparison.DIFFERENT
        case "fail":
            return Comparison.IDENTICAL if same else Comparison.REFUSED
        case "never":
            return Comparison.IDENTICAL if may_be_same else Comparison.SKIP
        case "newer":
            return _if_newer(
                newer_by_ns,
                max(MTIME_WINDOW_NS, mtime_precision_ns or 0),
                same_size=same_size,
                may_be_same=may_be_same,
            )


def _if_newer(newer_by_ns: int, window_ns: int, *, same_size: bool, may_be_same: bool) -> Comparison:
    if abs(newer_by_ns) < window_ns:
        return Comparison.IDENTICAL if same_size else Comparison.DIFFERENT
    if newer_by_ns < 0:
        return Comparison.DIFFERENT
    return Comparison.IDENTICAL if may_be_same else Comparison.SKIP
