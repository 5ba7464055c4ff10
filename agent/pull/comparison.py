"""How an entry of the source compares with the destination."""

from enum import StrEnum


class Comparison(StrEnum):
    """How an entry of the source compares with the destination, and so what to do with it."""

    IDENTICAL = "identical"
    """The destination has it already."""
    ALREADY_SENT = "already-sent"
    """This hop has written it in an earlier pass or attempt."""
    SKIP = "skip"
    """The destination has another file, which the `overwrite` option keeps."""
    REFUSED = "refused"
    """The destination has another file, with which the `overwrite` option lets the hop fail."""
    NEEDS_CHECKSUM = "needs-checksum"
    """Only the digest can tell."""
    MISSING = "missing"
    """The destination does not have it."""
    DIFFERENT = "different"
    """The destination has another file, which is replaced."""
