"""What rclone would do with a file, as a dry run foretells it: its rules of `copy`, in our words.

https://rclone.org/docs/ tells them at --update, --ignore-existing, --immutable and --modify-window.
"""

from typing import Literal

from agent.files.listing import FileEntry

MTIME_WINDOW_NS = 10**9
"""Nanoseconds between two times that are one: rclone gets a file's time in whole seconds."""

Overwrite = Literal["always", "newer", "never", "fail"]
Prediction = Literal["new", "same", "differs", "kept", "refused"]


def predict(
    entry: FileEntry, there: FileEntry | None, overwrite: Overwrite, precision: int | None
) -> Prediction:
    """`there` stands where `entry` is to go, on a store that keeps times as precisely, in nanoseconds; None:
    it keeps none, and has for each when it was written. There, what is of one size may be the same."""
    if there is None:
        return "new"
    same_size = there.size in {entry.size, -1}  # -1: nobody knows before it is read
    later = there.mtime_ns - entry.mtime_ns // MTIME_WINDOW_NS * MTIME_WINDOW_NS
    if precision is None:
        same, may_be_same = False, same_size
    else:
        same = may_be_same = same_size and abs(later) < max(MTIME_WINDOW_NS, precision)
    match overwrite:
        case "always":
            return "same" if same else "differs"
        case "fail":
            return "same" if same else "refused"
        case "never":
            return "same" if may_be_same else "kept"
        case "newer":
            return _if_newer(
                later, max(MTIME_WINDOW_NS, precision or 0), same_size=same_size, may_be_same=may_be_same
            )


def _if_newer(later: int, window: int, *, same_size: bool, may_be_same: bool) -> Prediction:
    if abs(later) < window:
        return "same" if same_size else "differs"
    if later < 0:
        return "differs"
    return "same" if may_be_same else "kept"
