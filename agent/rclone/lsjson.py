"""Parse the output of `rclone lsjson` into file entries."""

import json
import math
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from agent.errors import display_path
from agent.files.listing import MAX_NUMBER, FileEntry, is_inside, unreadable_entry
from agent.files.paths import is_partial
from agent.files.same_place import overlap_error
from events.base import Problem

MODE_FILE, MODE_DIRECTORY = 0o644, 0o755
"""Modes of files and directories, since objects have none."""
LATEST_TIME = datetime.max.replace(tzinfo=UTC)
"""Stands for every time outside years 1 to 9999."""
_MAX_SECOND = (2**63 - 1) // 10**9
UNKNOWN_SIZE = -1
"""The size of a file that has none before it is read."""


def parse_listing(lines: Iterable[bytes], location: object = "", mark: str = "") -> Iterator[FileEntry]:
    """Yield the entries of `rclone lsjson`, one line each, without partial files of unfinished hops.

    Raises:
        HopError: the destination's mark is among them, so source and destination overlap.
    """
    for line in lines:
        if line.startswith(b"{"):
            fields = json.loads(line.rstrip(b",\n"))
            if not is_partial(path := str(fields["Path"])):
                yield parse_entry(path, fields)
            elif mark and path.rpartition("/")[2] == mark:
                raise overlap_error(str(location))


def parse_entry(path: str, fields: dict[str, object]) -> FileEntry:
    size, mtime_ns = int(str(fields["Size"])), whole_second(parse_time(str(fields["ModTime"])) or LATEST_TIME)
    if not is_inside(path):
        return unreadable_entry(path, _not_a_path(path))
    if not is_name_preserved(path):
        return unreadable_entry(path, name_not_preserved(display_path(path)))
    if size > MAX_NUMBER:
        return unreadable_entry(path, _size_too_large(path, size))
    if fields["IsDir"]:
        return FileEntry("d", path, 0, mtime_ns, MODE_DIRECTORY)
    return FileEntry("f", path, max(size, UNKNOWN_SIZE), mtime_ns, MODE_FILE)


def parse_time(text: str) -> datetime | None:
    """Return a time as rclone prints it, in UTC; None before the year 1 and after 9999."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def whole_second(moment: datetime) -> int:
    """Return nanoseconds since 1970, clamped to what 64 bits hold: the last second is one of 2262."""
    return min(max(math.floor(moment.timestamp()), -_MAX_SECOND), _MAX_SECOND) * 10**9


def is_listable(path: str) -> bool:
    """Return whether the path can be one line of a list for rclone."""
    return "\n" not in path and not path.endswith("\r")


_CONTROL_PICTURES = {chr(0x2400 + code) for code in range(0x20)} | {"\u2421"}
"""Characters with which rclone replaces control characters. https://rclone.org/overview/#encoding"""


def is_name_preserved(path: str) -> bool:
    """Return whether rclone returns the file under exactly this name."""
    return not any(char < " " or char == "\x7f" or char in _CONTROL_PICTURES for char in path)


def name_not_preserved(name: str) -> Problem:
    return Problem(
        code="control-character-in-name",
        message=f"The name {name} has a line break or another control character, or a symbol of one, "
        "and rclone would return it under another name.",
        advice="Rename it.",
        path=name,
    )


def _size_too_large(path: str, size: int) -> Problem:
    return Problem(
        code="file-too-large",
        message=f"The source lists {display_path(path)} with {size} bytes, more than any file can have.",
        advice="Check it at the source, or leave it out with --exclude.",
        path=display_path(path),
    )


def _not_a_path(path: str) -> Problem:
    return Problem(
        code="not-a-path",
        message=f"The key {display_path(path)} cannot be a file name.",
        advice="Rename the object.",
        path=display_path(path),
    )
