"""Digests, xxh3-128 throughout: of a range, of a file, of all that a hop moved.

A file's digest is that of its bytes; of a file longer than `RANGE` it is that of its ranges' digests, one
after the other, so that ranges can arrive in any order and on several connections. A hop's digest is the sum,
modulo 2^128, of the digests of one line for each thing moved: the order of arrival does not matter to it,
and two hops of the same tree have the same.
"""

import os
from collections.abc import Iterable, Iterator

import xxhash

MIB = 1024 * 1024
RANGE_BYTES = 32 * MIB
"""Bytes of a range; every one of a file but the last."""
CHUNK_BYTES = MIB
DIGEST_BYTES = 16

_ZEROS = memoryview(bytes(CHUNK_BYTES))
digest_of = xxhash.xxh3_128_digest
"""bytes → 16 bytes."""


MAX_PACKED_FILE_BYTES = MIB
"""Bytes; files up to this size travel in packs."""
MAX_PACK_BYTES = 8 * MIB
MAX_PACK_FILES = 512
"""A pack is full when it has one or the other; a source holds it in memory."""


def ranges_of(size: int) -> Iterator[tuple[int, int]]:
    """Start and length of each range; an empty file has one that is empty. As they are asked for: whoever
    says that a file is absurdly long fills no memory by it."""
    return ((start, range_length(size, start)) for start in range(0, max(size, 1), RANGE_BYTES))


def range_length(size: int, start: int) -> int:
    """Of the range that begins there."""
    return min(RANGE_BYTES, size - start)


def range_count(size: int) -> int:
    """How many they are."""
    return max(1, -(-size // RANGE_BYTES))


def file_digest(range_digests: Iterable[bytes]) -> bytes:
    """A file's digest from its ranges', in their order."""
    digests = list(range_digests)
    return digests[0] if len(digests) == 1 else digest_of(b"".join(digests))


def range_digest(descriptor: int, start: int, length: int) -> bytes:
    """Read it anew; a file that has become shorter gives another digest."""
    state, buffer = xxhash.xxh3_128(), bytearray(min(CHUNK_BYTES, length))
    view, end = memoryview(buffer), start + length
    while start < end:
        count = os.preadv(descriptor, [view[: min(CHUNK_BYTES, end - start)]], start)
        if not count:
            break
        state.update(view[:count])
        start += count
    return state.digest()


def update_by_zeros(state: xxhash.xxh3_128, count: int) -> None:
    """As many zeros as a hole has."""
    for start in range(0, count, CHUNK_BYTES):
        state.update(_ZEROS[: count - start])


def read_digest(descriptor: int, size: int) -> bytes:
    """A whole file's digest, read from its beginning."""
    return file_digest(range_digest(descriptor, start, length) for start, length in ranges_of(size))


class HopDigest:
    """The sum over everything that was moved."""

    def __init__(self) -> None:
        self._sum = 0

    def add(self, kind: str, path: str, size: int, digest: bytes) -> None:
        """One thing: `f` with its bytes' digest, `l` with its target's, `d` with none."""
        line = b"\0".join([kind.encode(), os.fsencode(path), str(size).encode(), digest])
        self._sum += int.from_bytes(digest_of(line))

    def hex(self) -> str:
        return f"{self._sum % (1 << 128):032x}"
