"""S3's own checksums of an object, which can be combined from those of its parts.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
"""

from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from awscrt import checksums

ALGORITHM_HEADER = "x-amz-checksum-algorithm"
TYPE_HEADER = "x-amz-checksum-type"
FULL_OBJECT = "FULL_OBJECT"
CHECKSUM_WANTED = {"x-amz-checksum-mode": "ENABLED"}
"""Headers of a request whose answer is to have the object's checksum."""


@dataclass(frozen=True)
class Algorithm:
    """One of S3's checksums."""

    name: str
    byte_count: int
    update: Callable[[bytes | memoryview, int], int]
    """Returns the checksum of bytes that follow those with the checksum of the second argument."""
    combine: Callable[[int, int, int], int]
    """Returns the checksum of two pieces from that of each, and the bytes of the second."""
    is_of_whole: bool
    """Whether S3 is asked to compute and keep it for an object that is sent in parts, too. Otherwise each
    part is verified by itself."""

    @property
    def header(self) -> str:
        return f"x-amz-checksum-{self.name.lower()}"

    def text(self, checksum: int) -> str:
        """Return a checksum as S3 writes it."""
        return b64encode(checksum.to_bytes(self.byte_count)).decode()


CRC64NVME = Algorithm("CRC64NVME", 8, checksums.crc64nvme, checksums.combine_crc64nvme, is_of_whole=True)
CRC32 = Algorithm("CRC32", 4, checksums.crc32, checksums.combine_crc32, is_of_whole=False)

CRC32C = Algorithm("CRC32C", 4, checksums.crc32c, checksums.combine_crc32c, is_of_whole=False)


def algorithm_for(endpoint: str | None) -> Algorithm:
    """Return AWS's own algorithm, or for another endpoint the one that all of them know.

    Few of these know checksums of whole objects that were sent in parts: some take them for checksums of the
    parts' checksums, and refuse them.
    """
    return CRC64NVME if endpoint is None else CRC32


def algorithm_in(headers: Mapping[str, str]) -> Algorithm | None:
    """Return the algorithm of the checksum of the whole object that an answer has; None without one.

    An object that was sent in parts may have a checksum of the checksums of its parts, which has a dash.
    """
    for algorithm in (CRC64NVME, CRC32, CRC32C):
        if "-" not in headers.get(algorithm.header, "-") and headers.get(TYPE_HEADER) != "COMPOSITE":
            return algorithm
    return None
