"""What is said on the lane: HTTP/1.1 over TLS 1.3, POST with a JSON body, the hop token as bearer.

POST /hops/HOP/manifest  {"symlinks", "selection",
                          "include", "exclude", "owners",
                          "mark", "above", "below"}          → one JSON array a line; last ["end", count]
POST /hops/HOP/arriving  the same                            → likewise, while it arrives there by another hop
POST /hops/HOP/range     {"path", "size", "mtime_ns",
                          "start", "length"}                 → the bytes, then their digest; asked for
                                                               "holes", too, `parts`
POST /hops/HOP/pack      {"files": [[path, size, mtime_ns]]} → for each: state, digest, the bytes if `OK`
POST /hops/HOP/digests   {"files": [[path, size, mtime_ns]]} → for each: its ranges' digests, then its state
POST /hops/HOP/shows     {"mark", "folders": [path]}         → for each: is the destination's mark there?
POST /hops/HOP/clear     {"mark", "name",
                          "gone": [[kind, path, size,
                                    mtime_ns, target]]}      → for each: its state; only a hop that moves may

Whoever dialled, the destination asks. A source that dialled says first, showing the same token:

POST /hops/HOP/turn      {"dialled"}, Upgrade: crosshaul-lane → 101; from then on it is asked

What is refused is said as problem details. Paths are JSON with only ASCII in it, so that names which are not
UTF-8 (as Python's surrogates) come through unharmed.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from agent.files.digests import DIGEST_BYTES, MIB
from agent.files.listing import MAX_NUMBER, FileEntry, Selection, is_inside, is_name, is_partial
from agent.files.owners import Owner
from events.base import Problem

MAX_RANGES = 1 << 20
"""Of all files whose digests are asked for at once: 32 TiB, of which a source holds the digests in memory."""
MAX_BODY_BYTES = 4 * MIB
MAX_LINE_BYTES = MIB
"""Bytes of a manifest's line: a path of 4,096 bytes is six times as long when it is not ASCII."""

OK, CHANGED, MISSING, UNREADABLE, SAME = b"\0", b"\1", b"\2", b"\3", b"\4"
"""What became of a file. The last: it is what stands at the destination, and was not removed."""
PACK_HEADER_BYTES = 1 + DIGEST_BYTES

REVERSE = "turn"
UPGRADE = "crosshaul-lane"

END = "end"
KEEPALIVE, UPSTREAM_PAUSED, REFUSED = "later", "rests", "refused"
"""Instead of an entry: nothing new for now; nothing more, since the other hop is not at work; nothing more,
and why, as a problem."""
MAX_OWNER_ID = 2**32 - 2
"""Of a user or group; one more stands for none."""
MAX_OWNER_NAME = 256


_in_json = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


def dump(value: Any) -> bytes:
    return _in_json(value).encode()


def entry_line(entry: FileEntry) -> bytes:
    problem = entry.problem.model_dump() if entry.problem else None
    fields = [entry.kind, entry.path, entry.size, entry.mtime_ns, entry.mode, entry.sparse, entry.target]
    more = [problem, entry.owner] if entry.owner else [problem] if problem else []
    return dump([*fields, *more]) + b"\n"


class ProtocolError(ValueError):  # of the other side
    """The source said something that no source of ours says."""


def read_entry(fields: Any) -> FileEntry:
    """The entry, whose path is certainly below the place. Misbehaviour if it would not be."""
    try:
        kind, path, size, mtime_ns, mode, sparse, target, *rest = fields
        problem = Problem.model_validate(rest[0]) if rest and rest[0] else None
        owner = _owner(rest[1]) if len(rest) > 1 else None
        entry = FileEntry(kind, path, size, mtime_ns, mode & 0o7777, bool(sparse), target, problem, owner)
    except (TypeError, ValueError) as error:
        raise ProtocolError("an entry of its manifest has another shape") from error
    if not (_is_kind(entry) and is_number(size) and is_number(mtime_ns, -MAX_NUMBER)):
        raise ProtocolError("an entry of its manifest is of no known kind")
    if not is_inside(path):
        raise ProtocolError("a path of its manifest leads somewhere else")
    if is_partial(path):
        raise ProtocolError("a name of its manifest is for what is half-done here")
    return entry


def _owner(fields: Any) -> Owner:
    user_id, group_id, user, group = fields
    if not all(is_number(one) and one <= MAX_OWNER_ID for one in (user_id, group_id)):
        raise ValueError("no number of a user or group")
    if not all(isinstance(one, str) and len(one) <= MAX_OWNER_NAME and is_name(one) for one in (user, group)):
        raise ValueError("no name of a user or group")
    return Owner(user_id, group_id, user, group)


def _is_kind(entry: FileEntry) -> bool:
    """Of those there are, with what belongs to it."""
    if entry.kind == "l":
        return bool(entry.target) and is_name(entry.target)
    if entry.kind == "f":
        return is_inside(entry.target)
    return entry.kind == "d" or (entry.kind == "!" and entry.problem is not None)


def is_number(value: Any, least: int = 0) -> bool:
    return type(value) is int and least <= value <= MAX_NUMBER


def manifest_request(meant: Selection) -> dict[str, object]:
    filters = {"include": meant.filters.include, "exclude": meant.filters.exclude}
    owners = {"owners": True} if meant.owners else {}
    arrives = asdict(meant.arrives) if meant.arrives else {}
    return {"symlinks": meant.symlinks, "selection": meant.selection, **filters, **owners, **arrives}


def pack_request(entries: Iterable[FileEntry]) -> bytes:
    return dump({"files": [[entry.path, entry.size, entry.mtime_ns] for entry in entries]})


def clear_request(gone: Iterable[FileEntry], mark: str, name: str) -> bytes:
    things = [[entry.kind, entry.path, entry.size, entry.mtime_ns, entry.target] for entry in gone]
    return dump({"mark": mark, "name": name, "gone": things})


def shows_request(mark: str, folders: Iterable[str]) -> bytes:
    return dump({"mark": mark, "folders": list(folders)})


def pack_size(entries: Iterable[FileEntry]) -> int:
    """Bytes of a pack in which every file is as it was listed."""
    return sum(PACK_HEADER_BYTES + entry.size for entry in entries)
