"""Choose the size of a file's parts.

S3 takes 10,000 parts of 5 MiB to 5 GiB: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html. A
part that is being sent when the agent is killed is sent again, so the parts in flight are a twentieth of the
file at most: a push that is killed at its half sends 55 % again, not more. Files for which the least of parts
is more than that are at most 200 MiB.
"""

from agent.files.digests import MIB

MAX_SINGLE_BYTES = 16 * MIB
"""Files up to this size are sent by one PUT."""
MAX_PARTS = 10_000
MIN_PART_BYTES = 5 * MIB
PREFERRED_PART_BYTES = 16 * MIB
"""Size from which more parts at the same time are better than larger ones: fewer requests are not faster."""
ENOUGH_PART_BYTES = 64 * MIB
"""Larger parts are not faster."""
IN_FLIGHT_SHARE = 20
MIN_IN_FLIGHT, MAX_IN_FLIGHT = 2, 8
"""Parts of one file that are sent at the same time."""


def part_bytes_of(size: int) -> int:
    """Return the bytes of each part but the last, for a file of `size` bytes: whole MiB."""
    share = size // (IN_FLIGHT_SHARE * in_flight_of(size, PREFERRED_PART_BYTES))
    preferred = min(share // MIB * MIB, ENOUGH_PART_BYTES)
    return max(MIN_PART_BYTES, preferred, -(-size // (MAX_PARTS * MIB)) * MIB)


def in_flight_of(size: int, part_bytes: int) -> int:
    """Return how many parts of a file are sent at the same time."""
    return max(MIN_IN_FLIGHT, min(size // (IN_FLIGHT_SHARE * part_bytes), MAX_IN_FLIGHT))
