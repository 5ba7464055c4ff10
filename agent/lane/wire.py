"""Messages of the lane: HTTP/1.1 over TLS 1.3, POST with a JSON body, the hop token as bearer token.

POST /hops/HOP/manifest     {"mark" or "identity",
                             "above", "below", "path"}          → one JSON array a line; last ["end", count];
                                                                  with "path", only of that selected path
POST /hops/HOP/incremental  as for manifest                     → as for manifest, while another hop is still
                                                                  writing the files at the source
POST /hops/HOP/range        {"path", "size", "mtime_ns",
                             "ctime_ns", "start", "length"}     → the bytes, then their digest; with "holes":
                                                                  true, in the format of `sparse_ranges`
POST /hops/HOP/pack         {"files": [[path, size, mtime_ns,
                                        ctime_ns]]}             → per file: state, digest, the bytes if `OK`
POST /hops/HOP/digests      as for pack                         → per file: its ranges' digests, then its
                                                                  state
POST /hops/HOP/has-mark     {"mark", "directories": [path]}     → per directory: 1 if the destination's
                                                                  marker file is in it, else 0
POST /hops/HOP/delete       {"mark", "name",
                             "entries": [[kind, path, size,
                                          mtime_ns, ctime_ns,
                                          target]]}             → per entry: its state; only for a hop that
                                                                  moves

The destination sends these requests, whichever side dialed. A source that dialed first sends one request of
its own, with the same token; the connection then changes direction:

    POST /hops/HOP/reverse   {"dialed"}, Upgrade: crosshaul-lane → 101

What is listed, and may be requested, is in the source's `Serve` command: its path, options and selection. A
manifest request can only narrow it, to look up one file that has changed.

Refusals are problem details. JSON is ASCII only, so that names that are not valid UTF-8 (surrogate escapes in
Python) are transferred unchanged.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Annotated, Any, get_args

from pydantic import Field, TypeAdapter

from agent.files.digests import DIGEST_BYTES, MAX_COMPARED_RANGES, MIB
from agent.files.listing import MAX_NUMBER, FileEntry, Selection, is_inside, is_name
from agent.files.owners import Owner
from agent.files.paths import is_reserved
from events.base import Problem
from events.progress import Loss

MAX_RANGES = MAX_COMPARED_RANGES
"""Ranges of all files in one digests request. At 32 TiB in total, the source holds their digests in memory.
"""
MAX_BODY_BYTES = 4 * MIB
MAX_LINE_BYTES = MIB
"""Bytes of a manifest line: a path of 4,096 bytes is six times as long in JSON if it is not ASCII."""

OK, CHANGED, MISSING, UNREADABLE = b"\0", b"\1", b"\2", b"\3"
SAME, DENIED, REPLACED = b"\4", b"\5", b"\6"
"""State of a requested file. SAME: source and destination are the same file: it was not deleted. DENIED: the
source's agent may not read it. REPLACED: a directory, a pipe or the like is there now. UNREADABLE: another
error, such as one of the disk."""
PACK_HEADER_BYTES = 1 + DIGEST_BYTES

REVERSE = "reverse"
UPGRADE = "crosshaul-lane"
CONGESTION_CONTROL = "Congestion-Control"
"""Header of the answer to an empty pack: the algorithm by which the source sends."""

END = "end"
KEEPALIVE, UPSTREAM_PAUSED, REFUSED = "keepalive", "paused", "refused"
"""Lines in place of an entry. KEEPALIVE: no new entry yet. UPSTREAM_PAUSED: the listing ends here, because
the previous hop is not running. REFUSED: the listing ends here, with the problem that explains why."""
MAX_OWNER_ID = 2**32 - 2
"""Largest user or group ID; the next number means "none"."""
MAX_OWNER_NAME = 256


_encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


def dump(value: Any) -> bytes:
    """Return the value as compact ASCII JSON."""
    return _encode(value).encode()


def entry_line(entry: FileEntry) -> bytes:
    """Return a manifest line."""
    problem = entry.problem.model_dump() if entry.problem else None
    *fields, lost, _, owner = entry
    optional = [problem, owner, lost] if lost else [problem, owner] if owner else [problem] if problem else []
    return dump([*fields, *optional]) + b"\n"


class ProtocolError(ValueError):
    """The source sent something that violates the lane protocol."""


def read_entry(fields: Any) -> FileEntry:
    """Return the manifest entry that these JSON fields describe.

    Raises:
        ProtocolError: the fields are malformed, or the path would lead outside the destination.
    """
    try:
        kind, path, size, mtime_ns, mode, sparse, target, ctime_ns, *rest = fields
        problem = Problem.model_validate(rest[0]) if rest and rest[0] else None
        owner = _owner(rest[1]) if len(rest) > 1 and rest[1] else None
        lost = _LOSSES.validate_python(rest[2]) if len(rest) > 2 else ()
        entry = FileEntry(
            kind, path, size, mtime_ns, mode & 0o7777, bool(sparse), target, ctime_ns, lost, problem, owner
        )
    except (TypeError, ValueError) as error:
        raise ProtocolError("a manifest entry is malformed") from error
    times = is_number(mtime_ns, -MAX_NUMBER) and is_number(ctime_ns, -MAX_NUMBER)
    if not (_is_known_kind(entry) and is_number(size) and times):
        raise ProtocolError("a manifest entry has an unknown kind or lacks a field")
    if not is_inside(path):
        raise ProtocolError("a manifest path leads outside the source")
    if is_reserved(path) and kind != "!":
        raise ProtocolError("a manifest name is reserved for partial files")
    return entry


_LOSSES = TypeAdapter(Annotated[tuple[Loss, ...], Field(max_length=len(get_args(Loss)))])


def _owner(fields: Any) -> Owner:
    user_id, group_id, user, group = fields
    if not all(is_number(number) and number <= MAX_OWNER_ID for number in (user_id, group_id)):
        raise ValueError("a user or group ID is out of range")
    if not all(
        isinstance(name, str) and len(name) <= MAX_OWNER_NAME and is_name(name) for name in (user, group)
    ):
        raise ValueError("a user or group name is malformed")
    return Owner(user_id, group_id, user, group)


def _is_known_kind(entry: FileEntry) -> bool:
    """Return whether the entry's kind exists and the entry has the fields that this kind needs."""
    if entry.kind == "l":
        return bool(entry.target) and is_name(entry.target)
    if entry.kind == "f":
        return is_inside(entry.target)
    return entry.kind == "d" or (entry.kind == "!" and entry.problem is not None)


def is_number(value: Any, minimum: int = 0) -> bool:
    """Return whether this is an integer from `minimum` to MAX_NUMBER."""
    return type(value) is int and minimum <= value <= MAX_NUMBER


def manifest_request(selection: Selection) -> dict[str, object]:
    """Return the body of a manifest request.

    It has where the destination's marker file is, if there is one, and the path if only one is wanted.
    """
    body: dict[str, object] = asdict(selection.destination) if selection.destination else {}
    match selection.paths:
        case (path,) if path and is_inside(path):
            body["path"] = path
    return body


def pack_request(entries: Iterable[FileEntry]) -> bytes:
    """Return the body of a pack or digests request."""
    return dump({"files": [[entry.path, entry.size, entry.mtime_ns, entry.ctime_ns] for entry in entries]})


def delete_request(entries: Iterable[FileEntry], mark: str, name: str) -> bytes:
    """Return the body of a delete request."""
    fields = [
        [entry.kind, entry.path, entry.size, entry.mtime_ns, entry.ctime_ns, entry.target]
        for entry in entries
    ]
    return dump({"mark": mark, "name": name, "entries": fields})


def has_mark_request(mark: str, directories: Iterable[str]) -> bytes:
    """Return the body of a has-mark request."""
    return dump({"mark": mark, "directories": list(directories)})


def pack_size(entries: Iterable[FileEntry]) -> int:
    """Return the size of a pack, in bytes, if every file still has the size it was listed with."""
    return sum(PACK_HEADER_BYTES + entry.size for entry in entries)
