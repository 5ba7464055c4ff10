"""Digests of ranges, of files, and of everything that a hop moved: xxh3-128 throughout.

A file's digest is that of its bytes; for a file longer than `RANGE_BYTES` it is the digest of its ranges'
digests in order, so that ranges can arrive in any order and on several connections. A hop's digest is the
sum, modulo 2^128, of the digests of one line for each entry moved: it does not depend on the order of
arrival, and two hops of equal trees have equal digests.
"""

import os
from collections.abc import Iterable, Iterator

import xxhash

MIB = 1024 * 1024
RANGE_BYTES = 32 * MIB
"""Bytes of each range of a file but the last."""
MAX_FILE_RANGES = 1 << 21
"""Ranges of the longest file that is transferred, 64 TiB: the digest of each is held in memory. A file that
is one hole can be of any length, on any disk."""
MAX_COMPARED_RANGES = 1 << 20
"""Ranges of all files whose digests are compared by one request."""
CHUNK_BYTES = MIB
"""Bytes read at a time."""
DIGEST_BYTES = 16

_ZEROS = memoryview(bytes(CHUNK_BYTES))
digest_of = xxhash.xxh3_128_digest
"""Digest of some bytes, as 16 bytes."""


MAX_PACKED_FILE_BYTES = MIB
"""Bytes; files up to this size travel in packs."""
MAX_PACK_BYTES = 8 * MIB
MAX_PACK_FILES = 512
"""A pack is full when it reaches one of the two limits; a source holds it in memory."""


def ranges_of(size: int) -> Iterator[tuple[int, int]]:
    """Yield start and length of each range; an empty file has one empty range.

    They are computed as requested: an absurdly long file does not fill the memory.
    """
    return ((start, range_length(size, start)) for start in range(0, max(size, 1), RANGE_BYTES))


def range_length(size: int, start: int) -> int:
    """Return the length of the range that begins at `start`."""
    return min(RANGE_BYTES, size - start)


def range_count(size: int) -> int:
    """Return the number of ranges of a file."""
    return max(1, -(-size // RANGE_BYTES))


def file_digest(range_digests: Iterable[bytes]) -> bytes:
    """Return a file's digest from its ranges' digests, in their order."""
    digests = list(range_digests)
    return digests[0] if len(digests) == 1 else digest_of(b"".join(digests))


def range_digest(descriptor: int, start: int, length: int) -> bytes:
    """Read a range and return its digest; a file that has become shorter gives another digest."""
    state, buffer = xxhash.xxh3_128(), bytearray(min(CHUNK_BYTES, length))
    view, end = memoryview(buffer), start + length
    while start < end:
        count = os.preadv(descriptor, [view[: min(CHUNK_BYTES, end - start)]], start)
        if not count:
            break
        state.update(view[:count])
        start += count
    return state.digest()


def update_with_zeros(state: xxhash.xxh3_128, count: int) -> None:
    """Add `count` zero bytes to a digest, as for a hole."""
    for start in range(0, count, CHUNK_BYTES):
        state.update(_ZEROS[: count - start])


def read_digest(descriptor: int, size: int) -> bytes:
    """Read a whole file and return its digest."""
    return file_digest(range_digest(descriptor, start, length) for start, length in ranges_of(size))


class HopDigest:
    """The digest of everything that a hop moved."""

    def __init__(self) -> None:
        self._sum = 0

    def add(self, kind: str, path: str, size: int, digest: bytes) -> None:
        """Add one entry: a file (`f`) with its digest, a link (`l`) with its target's, a directory (`d`)."""
        line = b"\0".join([kind.encode(), os.fsencode(path), str(size).encode(), digest])
        self._sum += int.from_bytes(digest_of(line))

    def hex(self) -> str:
        """Return the digest as 32 hexadecimal digits."""
        return f"{self._sum % (1 << 128):032x}"
