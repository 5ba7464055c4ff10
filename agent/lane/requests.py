"""Read, validate and refuse requests on the lane, on either side."""

import json
import ssl
from http.server import BaseHTTPRequestHandler
from typing import Any

from agent import problems
from agent.files.digests import MAX_PACK_BYTES, MAX_PACK_FILES, RANGE_BYTES, range_count
from agent.files.listing import MAX_NUMBER, FileEntry, is_inside, is_name
from agent.files.same_place import MarkedLocation, is_identity, is_mark
from agent.lane import wire
from events.base import Problem


class LaneRequestHandler(BaseHTTPRequestHandler):
    """Handles requests on one connection, without a server of http.server's."""

    protocol_version = "HTTP/1.1"
    connection: ssl.SSLSocket

    def __init__(self, connection: ssl.SSLSocket, address: Any) -> None:
        """Handle all requests, and return when the connection ends. Raise OSError if it broke."""
        super().__init__(connection, address, None)  # type: ignore[arg-type]  # it needs no server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base's name
        """Log nothing: one line a request would be thousands a second."""

    def do_POST(self) -> None:
        try:
            self.answer()
        except LaneRequestError as refusal:
            self.refuse(refusal.status, refusal.problem)

    def answer(self) -> None:
        """Answer one request.

        Raises:
            LaneRequestError: the request is refused.
        """
        raise NotImplementedError

    @property
    def token(self) -> str:
        return self.headers.get("Authorization", "").removeprefix("Bearer ")

    def body(self, max_bytes: int) -> bytes:
        """Return the request's body.

        Raises:
            LaneRequestError: its length is not known or more than `max_bytes`.
        """
        length = self.headers.get("Content-Length", "")
        if not (length.isdecimal() and len(length) < 10 and int(length) <= max_bytes):
            self.close_connection = True  # the end of this body is unknown, so the next request is too
            raise malformed("the body needs a Content-Length within the limit", 413)
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise ConnectionResetError("the peer closed the connection within a request")
        return body

    def head(self, status: int, kind: str, length: int | None, **headers: str) -> None:
        """Send the status and headers of a response; without a length, its body is chunked."""
        self.send_response_only(status)
        self.send_header("Content-Type", kind)
        for name, value in headers.items():
            self.send_header(name, value)
        if length is None:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def refuse(self, status: int, problem: Problem) -> None:
        """Answer the request with a problem."""
        body = problem.model_dump_json().encode()
        self.head(status, "application/problem+json", len(body))
        self.wfile.write(body)


class LaneRequestError(Exception):
    """A request is refused; it is answered with this HTTP status and problem."""

    def __init__(self, status: int, problem: Problem) -> None:
        super().__init__(problem.message)
        self.status, self.problem = status, problem


def parse_body(body: bytes) -> dict[str, Any]:
    """Return the JSON object in a request's body."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise malformed("the body is not JSON") from error
    if not isinstance(value, dict):
        raise malformed("the body is not a JSON object")
    return value


def parse_marked_place(body: dict[str, Any]) -> MarkedLocation | None:
    """Return where the destination's marker file is; None if no marker could be written.

    A dry run names the directory by its identity.
    """
    identity = body.get("identity") or ""
    if body.get("mark") is None and not identity:
        return None
    above, below = body.get("above"), body.get("below")
    if not (is_inside(above) and is_inside(below)):
        raise malformed("a path of the destination is malformed")
    if not identity:
        return MarkedLocation(parse_mark(body), str(above), str(below))
    if not is_identity(identity):
        raise malformed("the identity of the destination is malformed")
    return MarkedLocation("", str(above), str(below), str(identity))


def parse_lookup(body: dict[str, Any]) -> str | None:
    """Return the only path to list; None if everything is to be listed."""
    path = body.get("path")
    if path is not None and not (path and is_inside(path)):
        raise malformed("the path leads outside the source")
    return None if path is None else str(path)


def parse_mark(body: dict[str, Any]) -> str:
    """Return the name of the destination's marker file."""
    value = body.get("mark")
    if not is_mark(value):
        raise malformed("the mark is malformed")
    return str(value)


def parse_range(body: dict[str, Any]) -> tuple[FileEntry, int, int]:
    """Return a file, and the start and length of a range of it, in bytes."""
    file = _file(*(body.get(field) for field in ("path", "size", "mtime_ns", "ctime_ns")))
    start, length = _number(body.get("start")), _number(body.get("length"))
    if length > RANGE_BYTES or start + length > file.size:
        raise malformed("the range is too long")
    return file, start, length


def parse_pack(body: dict[str, Any]) -> list[FileEntry]:
    """Return the files of a pack, whose size is limited."""
    entries = parse_files(body)
    if sum(file.size for file in entries) > 2 * MAX_PACK_BYTES:
        raise malformed("the pack is too large")
    return entries


def parse_files(body: dict[str, Any]) -> list[FileEntry]:
    """Return the files of a request, as they were listed."""
    files = body.get("files")
    if not isinstance(files, list) or not all(
        isinstance(fields, list) and len(fields) == 4 for fields in files
    ):
        raise malformed("files must be a list of files")
    if len(files) > MAX_PACK_FILES:
        raise malformed("too many files")
    entries = [_file(*fields) for fields in files]
    if sum(range_count(file.size) for file in entries) > wire.MAX_RANGES:
        raise malformed("the files are too large")
    return entries


def parse_deletions(body: dict[str, Any]) -> tuple[list[FileEntry], str, str]:
    """Return the entries to delete, the destination's mark, and the source's file name at the destination."""
    entries, name = body.get("entries"), body.get("name")
    if not isinstance(entries, list) or not all(
        isinstance(fields, list) and len(fields) == 6 for fields in entries
    ):
        raise malformed("entries must be a list of entries")
    if len(entries) > MAX_PACK_FILES or any(kind not in ("f", "l", "d") for kind, *_ in entries):
        raise malformed("too many entries, or an unknown kind")
    if not is_name(name):
        raise malformed("name is not a file name")
    return [_removable_entry(target, *rest) for *rest, target in entries], parse_mark(body), str(name)


def parse_directories(body: dict[str, Any]) -> list[str]:
    """Return the directories in which to look for the destination's mark."""
    value = body.get("directories")
    if not isinstance(value, list) or len(value) > MAX_PACK_FILES:
        raise malformed("directories must be a list of paths, and not too long")
    if not all(is_inside(path) for path in value):
        raise malformed("a path leads outside the source")
    return value


def _removable_entry(target: Any, *fields: Any) -> FileEntry:
    if not is_name(target):
        raise malformed("the target of a link is malformed")
    return _entry(*fields)._replace(target=target)


def _file(path: Any, size: Any, mtime_ns: Any, ctime_ns: Any) -> FileEntry:
    """Return a regular file as it was listed."""
    return _entry("f", path, size, mtime_ns, ctime_ns)


def _entry(kind: Any, path: Any, size: Any, mtime_ns: Any, ctime_ns: Any) -> FileEntry:
    if not is_inside(path):
        raise malformed("the path leads outside the source")
    changed_ns = _number(ctime_ns, -MAX_NUMBER)
    return FileEntry(kind, path, _number(size), _number(mtime_ns, -MAX_NUMBER), ctime_ns=changed_ns)


def _number(value: Any, least: int = 0) -> int:
    if not wire.is_number(value, least):
        raise malformed("a number is missing or is not an integer in range")
    return int(value)


def malformed(reason: str, status: int = 400) -> LaneRequestError:
    """Return the refusal of a request that violates the protocol."""
    return LaneRequestError(status, problems.MALFORMED.problem(reason=reason))


def delete_not_allowed(hop_id: str) -> LaneRequestError:
    """Return the refusal of a deletion for a hop that copies."""
    return LaneRequestError(403, problems.NOT_TO_REMOVE.problem(hop_id=hop_id[:40]))


def only_compared(hop_id: str) -> LaneRequestError:
    """Return the refusal of file contents for a dry run."""
    return LaneRequestError(403, problems.ONLY_COMPARED.problem(hop_id=hop_id[:40]))


def not_served(hop_id: str) -> LaneRequestError:
    """Return the refusal of a hop that is unknown here, or whose token or certificate is wrong."""
    return LaneRequestError(401, problems.NOT_SERVED.problem(hop_id=hop_id[:40]))


def still_arriving(path: str) -> LaneRequestError:
    """Return the refusal of a listing while another hop is still writing the files."""
    return LaneRequestError(401, problems.STILL_ARRIVING.problem(path=path))


def changed(path: str) -> LaneRequestError:
    """Return the refusal of a file that has changed since it was listed."""
    return LaneRequestError(409, problems.CHANGED_SINCE_LISTED.problem(path=path))
