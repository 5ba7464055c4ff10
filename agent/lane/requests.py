"""How a request on the lane is read and refused, by whichever side is asked."""

import json
import ssl
from http.server import BaseHTTPRequestHandler
from typing import Any, cast

from agent.errors import display_path, filter_refused
from agent.files.digests import MAX_PACK_BYTES, MAX_PACK_FILES, RANGE_BYTES, range_count
from agent.files.listing import MAX_NUMBER, FileEntry, Selection, Symlinks, is_inside, is_name
from agent.files.same_place import MarkedPlace, is_mark
from agent.lane import wire
from events.base import Problem
from events.filters import Filters
from events.globs import GlobError


class LaneRequestHandler(BaseHTTPRequestHandler):
    """One connection, without a server of http.server's."""

    protocol_version = "HTTP/1.1"
    connection: ssl.SSLSocket

    def __init__(self, connection: ssl.SSLSocket, address: Any) -> None:
        """Returns when all has been said; OSError if the peer went away."""
        super().__init__(connection, address, None)  # type: ignore[arg-type]  # it needs no server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base's name
        """Nothing: one line a request would be thousands a second."""

    def do_POST(self) -> None:
        try:
            self.answer()
        except LaneRequestError as refusal:
            self.refuse(refusal.status, refusal.problem)

    def answer(self) -> None:
        """What was asked; Refusal of what cannot be."""
        raise NotImplementedError

    @property
    def token(self) -> str:
        return self.headers.get("Authorization", "").removeprefix("Bearer ")

    def body(self, most: int) -> bytes:
        """Refusal if it is none of a known size, or longer."""
        length = self.headers.get("Content-Length", "")
        if not (length.isdecimal() and len(length) < 10 and int(length) <= most):
            self.close_connection = True  # what follows cannot be told from the next request
            raise malformed("a body of a known, small size is needed", 413)
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise ConnectionResetError("the peer left in the middle of a request")
        return body

    def head(self, status: int, kind: str, length: int | None) -> None:
        """Of an answer; without a length it comes in chunks."""
        self.send_response_only(status)
        self.send_header("Content-Type", kind)
        if length is None:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def refuse(self, status: int, problem: Problem) -> None:
        body = problem.model_dump_json().encode()
        self.head(status, "application/problem+json", len(body))
        self.wfile.write(body)


class LaneRequestError(Exception):  # an answer
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
    if not isinstance(selection, list) or not all(path and is_inside(path) for path in selection):
        raise malformed("a selected path leads somewhere else")
    return Selection(cast("Symlinks", symlinks), tuple(selection), filters, owners, arrives)


def _marked_place(body: dict[str, Any]) -> MarkedPlace | None:
    """None of an older agent, and of a place that could not be marked."""
    if body.get("mark") is None:
        return None
    above, below = body.get("above"), body.get("below")
    if not (is_inside(above) and is_inside(below)):
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
    if sum(file.size for file in found) > 2 * MAX_PACK_BYTES:
        raise malformed("the pack is too large")
    return found


def digests(body: dict[str, Any]) -> list[FileEntry]:
    files = body.get("files")
    if not isinstance(files, list) or not all(isinstance(one, list) and len(one) == 3 for one in files):
        raise malformed("what is asked for is a list of files")
    if len(files) > MAX_PACK_FILES:
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
    if len(found) > MAX_PACK_FILES or any(kind not in ("f", "l", "d") for kind, *_ in found):
        raise malformed("these are too many things, or of no known kind")
    if not is_name(name):
        raise malformed("the destination has no name")
    return [_link(target, *rest) for *rest, target in found], mark(body), str(name)


def folders(body: dict[str, Any]) -> list[str]:
    """Directories in which the destination's mark is to be looked for."""
    found = body.get("folders")
    if not isinstance(found, list) or len(found) > MAX_PACK_FILES:
        raise malformed("what is asked for is a list of directories")
    if not all(is_inside(path) for path in found):
        raise malformed("a path leads somewhere else")
    return found


def _link(target: Any, *thing: Any) -> FileEntry:
    if not is_name(target):
        raise malformed("a link leads to nothing that has a name")
    return _thing(*thing)._replace(target=target)


def _file(path: Any, size: Any, mtime_ns: Any) -> FileEntry:
    """As it was when it was listed."""
    return _thing("f", path, size, mtime_ns)


def _thing(kind: Any, path: Any, size: Any, mtime_ns: Any) -> FileEntry:
    if not is_inside(path):
        raise malformed("the path leads somewhere else")
    return FileEntry(kind, path, _number(size), _number(mtime_ns, -MAX_NUMBER))


def _number(value: Any, least: int = 0) -> int:
    if not wire.is_number(value, least):
        raise malformed("a number is missing, or is none")
    return int(value)


def malformed(words: str, status: int = 400) -> LaneRequestError:
    return LaneRequestError(
        status, Problem(code="malformed", message=f"The lane does not understand this: {words}.")
    )


def not_to_remove(hop_id: str) -> LaneRequestError:
    words = f"Hop {hop_id[:40]} is to copy, not to move: nothing is removed here for it."
    return LaneRequestError(403, Problem(code="not-to-remove", message=words))


def not_served(hop_id: str) -> LaneRequestError:
    words = f"Hop {hop_id[:40]} is not served here, or not to you, or not any more."
    return LaneRequestError(401, Problem(code="not-served", message=words, retryable=True))


def still_arriving(path: str) -> LaneRequestError:
    words = f"{display_path(path)} is still arriving here by another hop."
    return LaneRequestError(
        401, Problem(code="still-arriving", message=words, path=display_path(path), retryable=True)
    )


def changed(path: str) -> LaneRequestError:
    name = display_path(path)
    return LaneRequestError(
        409, Problem(code="source-changed", message=f"{name} has changed since it was listed.", path=name)
    )
