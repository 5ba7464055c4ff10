"""Encode a range of a sparse file: the table of its data parts, those parts, the digest of the whole range.

The table is the number of parts in 4 bytes, then the start in the file and the length of each in 8 bytes
each; all numbers are big-endian. The digest covers the whole range, with zeros for the holes.
"""

import struct
from collections.abc import Callable, Sequence

from agent.files.digests import RANGE_BYTES
from agent.lane import wire

MEDIA_TYPE = "application/x-crosshaul-parts"
"""The content type of a response to a request with `holes`; an older source ignores that and sends the zeros.
"""
MAX_PARTS = RANGE_BYTES // 512
"""Parts of a range; no file system has smaller blocks."""
_COUNT, _PART = struct.Struct(">I"), struct.Struct(">QQ")

Part = tuple[int, int]
"""Start in the file and length, in bytes."""


def encode(parts: Sequence[Part]) -> bytes:
    """Return the table of these parts."""
    return _COUNT.pack(len(parts)) + b"".join(_PART.pack(*part) for part in parts)


def decode(read_bytes: Callable[[int], bytes], start: int, length: int) -> list[Part]:
    """Return the parts from a table that `read_bytes` reads; `start` and `length` of the range are in bytes.

    Raises:
        ProtocolError: the parts are not in order, or not inside the range.
    """
    [count] = _COUNT.unpack(_read_exactly(read_bytes, _COUNT.size))
    if count > MAX_PARTS:
        raise wire.ProtocolError("a range has more parts than possible")
    parts = list(_PART.iter_unpack(_read_exactly(read_bytes, count * _PART.size)))
    position, end = start, start + length
    for begin, size in parts:
        if not (position <= begin < begin + size <= end):
            raise wire.ProtocolError("a range has parts out of order or outside of it")
        position = begin + size
    return parts


def _read_exactly(read_bytes: Callable[[int], bytes], size: int) -> bytes:
    data = read_bytes(size)
    if len(data) != size:
        raise ConnectionResetError("the source closed the connection within a range")
    return data
