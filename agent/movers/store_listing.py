"""What rclone lists, as the entries that every mover knows."""

import json
import math
from collections.abc import Iterable, Iterator
from datetime import datetime

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
    size, mtime_ns = int(str(fields["Size"])), whole_second(datetime.fromisoformat(str(fields["ModTime"])))
    if not wire.is_inside(path):
        return broken(path, _no_name(path))
    if fields["IsDir"]:
        return Entry("d", path, 0, mtime_ns, MODE_DIRECTORY)
    return Entry("f", path, max(size, UNKNOWN), mtime_ns, MODE_FILE)


def whole_second(moment: datetime) -> int:
    """In nanoseconds."""
    return math.floor(moment.timestamp()) * 10**9


def _no_name(path: str) -> Problem:
    return Problem(
        code="not-a-path",
        message=f"The object {shown(path)} has a key that no file can have.",
        advice="Give it another key.",
        path=shown(path),
    )
