"""Parse the output of `rclone lsjson` into file entries."""

import json
import math
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime

from agent.errors import HopError
from agent.files.listing import MAX_NUMBER, FileEntry, is_inside, reserved_entry, unreadable_entry
from agent.files.paths import is_own_path, is_reserved
from agent.problems import LISTED_SIZE_TOO_LARGE, NAME_NOT_UTF8, NOT_A_PATH, SAME_PLACE
from agent.rclone.names import REPLACEMENT, from_rclone

MODE_FILE, MODE_DIRECTORY = 0o644, 0o755
"""Modes of files and directories, since objects have none."""
LATEST_TIME = datetime.max.replace(tzinfo=UTC)
"""Stands for every time outside years 1 to 9999."""
_MAX_SECOND = (2**63 - 1) // 10**9
UNKNOWN_SIZE = -1
"""The size of a file that has none before it is read."""


def parse_listing(
    lines: Iterable[bytes], name_of: Callable[[str], str] = str, mark: str = ""
) -> Iterator[FileEntry]:
    """Yield the entries of `rclone lsjson`, one line each, without temporary files of hops.

    Raises:
        HopError: the destination's mark is among them, so source and destination overlap.
    """
    for line in lines:
        if line.startswith(b"{"):
            fields = json.loads(line.rstrip(b",\n"))
            path = from_rclone(str(fields["Path"]))
            if not is_own_path(path):
                if is_reserved(path):
                    yield reserved_entry(path, name_of(path))
                elif REPLACEMENT in path:
                    yield unreadable_entry(path, NAME_NOT_UTF8.problem(path=name_of(path)))
                else:
                    yield parse_entry(path, fields, name_of)
            elif mark and path.rpartition("/")[2] == mark:
                raise HopError(SAME_PLACE.problem(path=name_of("")))


def parse_entry(path: str, fields: dict[str, object], name_of: Callable[[str], str] = str) -> FileEntry:
    size, mtime_ns = int(str(fields["Size"])), whole_second(parse_time(str(fields["ModTime"])) or LATEST_TIME)
    if not is_inside(path):
        return unreadable_entry(path, NOT_A_PATH.problem(path=name_of(path)))
    if size > MAX_NUMBER:
        return unreadable_entry(path, LISTED_SIZE_TOO_LARGE.problem(path=path, size=size))
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
