"""What rclone would do with a file, as a dry run foretells it: its rules of `copy`, in our words.

https://rclone.org/docs/ tells them at --update, --ignore-existing, --immutable and --modify-window.
"""

from typing import Literal

from agent.listing import Entry

WINDOW = 10**9
"""Nanoseconds between two times that are one: rclone gets a file's time in whole seconds."""

Overwrite = Literal["always", "newer", "never", "fail"]
Foretold = Literal["new", "same", "differs", "kept", "refused"]


def foretold(entry: Entry, there: Entry, overwrite: Overwrite, precision: int | None) -> Foretold:
    """`there` stands where `entry` is to go, on a store that keeps times as precisely, in nanoseconds; None:
    it keeps none, and has for each the time when it was written."""
    same_size = entry.size == there.size
    later = there.mtime_ns - entry.mtime_ns // WINDOW * WINDOW
    window = WINDOW if precision is None else max(WINDOW, precision)
    same = same_size and abs(later) < window
    match overwrite:
        case "never":
            return "same" if same or (same_size and precision is None) else "kept"
        case "newer":
            if abs(later) < window:
                return "same" if same_size else "differs"
            return "differs" if later < 0 else "kept"
        case "always":
            return "same" if same and precision is not None else "differs"
        case "fail":
            return "same" if same and precision is not None else "refused"
