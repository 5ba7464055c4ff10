"""What rclone lists, as the entries that every mover knows."""

import json
import math
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from agent.errors import display_path
from agent.files.listing import MAX_NUMBER, FileEntry, is_inside, is_partial, unreadable_entry
from agent.files.same_place import overlapping
from events.base import Problem

MODE_FILE, MODE_DIRECTORY = 0o644, 0o755
"""Objects have no mode."""
LATEST = datetime.max.replace(tzinfo=UTC)
"""Stands for every time that no calendar here has."""
_LAST_SECOND = (2**63 - 1) // 10**9
UNKNOWN_SIZE = -1
"""The size of a file that tells none."""


def listed(lines: Iterable[bytes], place: object = "", mark: str = "") -> Iterator[FileEntry]:
    """Of `rclone lsjson`, which prints each on a line of its own; without what hops have not finished.
    HopError if the destination's mark is among it."""
    for line in lines:
        if line.startswith(b"{"):
            fields = json.loads(line.rstrip(b",\n"))
            if not is_partial(path := str(fields["Path"])):
                yield entry_of(path, fields)
            elif mark and path.rpartition("/")[2] == mark:
                raise overlapping(str(place))


def entry_of(path: str, fields: dict[str, object]) -> FileEntry:
    size, mtime_ns = int(str(fields["Size"])), whole_second(modified(str(fields["ModTime"])) or LATEST)
    if not is_inside(path):
        return unreadable_entry(path, _no_name(path))
    if not is_carried(path):
        return unreadable_entry(path, not_carried(display_path(path)))
    if size > MAX_NUMBER:
        return unreadable_entry(path, _no_size(path, size))
    if fields["IsDir"]:
        return FileEntry("d", path, 0, mtime_ns, MODE_DIRECTORY)
    return FileEntry("f", path, max(size, UNKNOWN_SIZE), mtime_ns, MODE_FILE)


def modified(text: str) -> datetime | None:
    """Return a time as rclone prints it, in UTC; None before the year 1 and after 9999."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def whole_second(moment: datetime) -> int:
    """Return nanoseconds since 1970, as near as 64 bits come: the last second is one of 2262."""
    return min(max(math.floor(moment.timestamp()), -_LAST_SECOND), _LAST_SECOND) * 10**9


def is_line(path: str) -> bool:
    """Can it be one line of a list for rclone, which reads no other names from one?"""
    return "\n" not in path and not path.endswith("\r")


_STAND_INS = {chr(0x2400 + code) for code in range(0x20)} | {"\u2421"}
"""What rclone shows instead of control characters. https://rclone.org/overview/#encoding"""


def is_carried(path: str) -> bool:
    """Does rclone give the file of this name under just this name?"""
    return not any(letter < " " or letter == "\x7f" or letter in _STAND_INS for letter in path)


def not_carried(name: str) -> Problem:
    return Problem(
        code="control-character-in-name",
        message=f"{name} has a line break or another control character in its name, or a sign that stands "
        "for one: rclone, which reads it, would give it another name.",
        advice="Copy it to a name without such characters.",
        path=name,
    )


def _no_size(path: str, size: int) -> Problem:
    return Problem(
        code="file-too-large",
        message=f"{display_path(path)} is said to have {size} bytes, more than any file can have.",
        advice="See what it is at the source, and leave it out with --exclude.",
        path=display_path(path),
    )


def _no_name(path: str) -> Problem:
    return Problem(
        code="not-a-path",
        message=f"The object {display_path(path)} has a key that no file can have.",
        advice="Give it another key.",
        path=display_path(path),
    )
