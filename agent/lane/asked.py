"""What a peer asks for, made sure of: its body is one, every path is below the place, every number one that
can be. And the words with which it is refused.
"""

import json
from typing import Any, cast

from agent.digests import RANGE_BYTES, range_count
from agent.errors import filter_refused, display_path
from agent.lane import wire
from agent.listing import FileEntry, Selection, Symlinks
from agent.same_place import MarkedPlace, is_mark
from events.base import Problem
from events.filters import Filters
from events.globs import GlobError


class LaneRequestError(Exception):  # noqa: N818  # an answer
    def __init__(self, status: int, problem: Problem) -> None:
        super().__init__(problem.message)
        self.status, self.problem = status, problem


def parsed(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise malformed("the body is no JSON") from error
    if not isinstance(found, dict):
        raise malformed("the body is no object")
    return found


def listing(body: dict[str, Any]) -> Selection:
    symlinks, selection = body.get("symlinks"), body.get("selection")
    if symlinks not in ("keep", "skip", "follow"):
        raise malformed("symlinks are kept, skipped or followed")
    try:
        filters = Filters(_patterns(body.get("include")), _patterns(body.get("exclude")))
    except GlobError as error:
        raise LaneRequestError(400, filter_refused(error)) from error
    owners = body.get("owners") is True
    arrives = _marked_place(body)
    if selection is None:
        return Selection(cast("Symlinks", symlinks), None, filters, owners, arrives)
    if not isinstance(selection, list) or not all(path and wire.is_inside(path) for path in selection):
        raise malformed("a selected path leads somewhere else")
    return Selection(cast("Symlinks", symlinks), tuple(selection), filters, owners, arrives)


def _marked_place(body: dict[str, Any]) -> MarkedPlace | None:
    """None of an older agent, and of a place that could not be marked."""
    if body.get("mark") is None:
        return None
    above, below = body.get("above"), body.get("below")
    if not (wire.is_inside(above) and wire.is_inside(below)):
        raise malformed("the destination lies somewhere else")
    return MarkedPlace(mark(body), str(above), str(below))


def mark(body: dict[str, Any]) -> str:
    found = body.get("mark")
    if not is_mark(found):
        raise malformed("the mark is none")
    return str(found)


def _patterns(value: Any) -> list[str]:
    """Left out by an older agent, which knows of none."""
    found = value or []
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise malformed("filters are a list of patterns")
    return found


def piece(body: dict[str, Any]) -> tuple[FileEntry, int, int]:
    """A file, and the start and length of a range of it."""
    file = _file(body.get("path"), body.get("size"), body.get("mtime_ns"))
    start, length = _number(body.get("start")), _number(body.get("length"))
    if length > RANGE_BYTES or start + length > file.size:
        raise malformed("the range is too long")
    return file, start, length


def pack(body: dict[str, Any]) -> list[FileEntry]:
    found = digests(body)
    if sum(file.size for file in found) > 2 * wire.MAX_PACK_BYTES:
        raise malformed("the pack is too large")
    return found


def digests(body: dict[str, Any]) -> list[FileEntry]:
    files = body.get("files")
    if not isinstance(files, list) or not all(isinstance(one, list) and len(one) == 3 for one in files):
        raise malformed("what is asked for is a list of files")
    if len(files) > wire.MAX_PACK_FILES:
        raise malformed("these are too many files")
    found = [_file(*one) for one in files]
    if sum(range_count(file.size) for file in found) > wire.MAX_RANGES:
        raise malformed("these files are longer than any")
    return found


def gone(body: dict[str, Any]) -> tuple[list[FileEntry], str, str]:
    """What is to be removed, the destination's mark, and the name that the place itself has there."""
    found, name = body.get("gone"), body.get("name")
    if not isinstance(found, list) or not all(isinstance(one, list) and len(one) == 5 for one in found):
        raise malformed("what is gone is a list of things")
    if len(found) > wire.MAX_PACK_FILES or any(kind not in ("f", "l", "d") for kind, *_ in found):
        raise malformed("these are too many things, or of no known kind")
    if not wire.is_name(name):
        raise malformed("the destination has no name")
    return [_link(target, *rest) for *rest, target in found], mark(body), str(name)


def folders(body: dict[str, Any]) -> list[str]:
    """Directories in which the destination's mark is to be looked for."""
    found = body.get("folders")
    if not isinstance(found, list) or len(found) > wire.MAX_PACK_FILES:
        raise malformed("what is asked for is a list of directories")
    if not all(wire.is_inside(path) for path in found):
        raise malformed("a path leads somewhere else")
    return found


def _link(target: Any, *thing: Any) -> FileEntry:
    if not wire.is_name(target):
        raise malformed("a link leads to nothing that has a name")
    return _thing(*thing)._replace(target=target)


def _file(path: Any, size: Any, mtime_ns: Any) -> FileEntry:
    """As it was when it was listed."""
    return _thing("f", path, size, mtime_ns)


def _thing(kind: Any, path: Any, size: Any, mtime_ns: Any) -> FileEntry:
    if not wire.is_inside(path):
        raise malformed("the path leads somewhere else")
    return FileEntry(kind, path, _number(size), _number(mtime_ns, -wire.MAX_NUMBER))


def _number(value: Any, least: int = 0) -> int:
    if not wire.is_number(value, least):
        raise malformed("a number is missing, or is none")
    return int(value)


def malformed(words: str, status: int = 400) -> LaneRequestError:
    return LaneRequestError(status, Problem(code="malformed", message=f"The lane does not understand this: {words}."))


def not_to_remove(hop_id: str) -> LaneRequestError:
    words = f"Hop {hop_id[:40]} is to copy, not to move: nothing is removed here for it."
    return LaneRequestError(403, Problem(code="not-to-remove", message=words))


def not_served(hop_id: str) -> LaneRequestError:
    words = f"Hop {hop_id[:40]} is not served here, or not to you, or not any more."
    return LaneRequestError(401, Problem(code="not-served", message=words, retryable=True))


def still_arriving(path: str) -> LaneRequestError:
    words = f"{display_path(path)} is still arriving here by another hop."
    return LaneRequestError(401, Problem(code="still-arriving", message=words, path=display_path(path), retryable=True))


def changed(path: str) -> LaneRequestError:
    name = display_path(path)
    return LaneRequestError(
        409, Problem(code="source-changed", message=f"{name} has changed since it was listed.", path=name)
    )
