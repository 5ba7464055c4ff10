"""A range of a sparse file on the line: which parts of it are data, those parts, the digest of all of it.

How many parts, 4 bytes; of each its start in the file and its length, 8 bytes each; all numbers big-endian.
The digest is that of the range as anybody reads it, with zeros for the holes.
"""

import struct
from collections.abc import Callable, Sequence

from agent.files.digests import RANGE_BYTES
from agent.lane import wire

MEDIA_TYPE = "application/x-crosshaul-parts"
"""What a source answers when it was asked for `holes` and knows of them; an older one sends the zeros."""
MAX_PARTS = RANGE_BYTES // 512
"""Parts of a range; no file system has smaller blocks."""
_COUNT, _PART = struct.Struct(">I"), struct.Struct(">QQ")

Part = tuple[int, int]
"""Where it starts in the file, and how long it is."""


def written(parts: Sequence[Part]) -> bytes:
    return _COUNT.pack(len(parts)) + b"".join(_PART.pack(*part) for part in parts)


def read(take: Callable[[int], bytes], start: int, length: int) -> list[Part]:
    """`take` reads so many bytes. Misbehaviour if they are no parts of this range, in their order."""
    [count] = _COUNT.unpack(_whole(take, _COUNT.size))
    if count > MAX_PARTS:
        raise wire.ProtocolError("a range of it has more parts than can be")
    parts = list(_PART.iter_unpack(_whole(take, count * _PART.size)))
    position, end = start, start + length
    for begin, size in parts:
        if not (position <= begin < begin + size <= end):
            raise wire.ProtocolError("a range of it has parts that lie elsewhere")
        position = begin + size
    return parts


def _whole(take: Callable[[int], bytes], size: int) -> bytes:
    data = take(size)
    if len(data) != size:
        raise ConnectionResetError("the source ended in the middle of a range")
    return data
