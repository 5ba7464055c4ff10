"""What rclone lists, as the entries that every mover knows."""

import json
import math
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from agent.errors import shown
from agent.lane import wire
from agent.listing import Entry, broken, is_ours
from agent.same_place import overlapping
from events.base import Problem

MODE_FILE, MODE_DIRECTORY = 0o644, 0o755
"""Objects have no mode."""
UNKNOWN = -1
"""The size of a file that tells none."""


def listed(lines: Iterable[bytes], place: object = "", mark: str = "") -> Iterator[Entry]:
    """Of `rclone lsjson`, which prints each on a line of its own; without what hops have not finished.
    HopError if the destination's mark is among it."""
    for line in lines:
        if line.startswith(b"{"):
            fields = json.loads(line.rstrip(b",\n"))
            if not is_ours(path := str(fields["Path"])):
                yield entry_of(path, fields)
            elif mark and path.rpartition("/")[2] == mark:
                raise overlapping(str(place))


def entry_of(path: str, fields: dict[str, object]) -> Entry:
    size, mtime_ns = int(str(fields["Size"])), _mtime_ns(fields["ModTime"])
    if not wire.is_inside(path):
        return broken(path, _no_name(path))
    if size > wire.LARGEST:
        return broken(path, _no_size(path, size))
    if fields["IsDir"]:
        return Entry("d", path, 0, mtime_ns, MODE_DIRECTORY)
    return Entry("f", path, max(size, UNKNOWN), mtime_ns, MODE_FILE)


def whole_second(moment: datetime) -> int:
    """In nanoseconds."""
    return math.floor(moment.timestamp()) * 10**9


def moment_of(written: object) -> datetime | None:
    """Return the moment that rclone has written; None for one that the calendar does not have: a year beyond
    9999 or before 1, or nothing at all."""
    try:
        moment = datetime.fromisoformat(str(written))
        moment.timestamp()
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _mtime_ns(written: object) -> int:
    """Return the time as nanoseconds since 1970. One that cannot be read counts as 1970: the bytes are worth
    more than their time."""
    moment = moment_of(written)
    return whole_second(moment) if moment else 0


def _no_size(path: str, size: int) -> Problem:
    return Problem(
        code="file-too-large",
        message=f"{shown(path)} is said to have {size} bytes, more than any file can have.",
        advice="See what it is at the source, and leave it out with --exclude.",
        path=shown(path),
    )


def _no_name(path: str) -> Problem:
    return Problem(
        code="not-a-path",
        message=f"The object {shown(path)} has a key that no file can have.",
        advice="Give it another key.",
        path=shown(path),
    )
