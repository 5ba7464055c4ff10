"""Decide what a push does with each file, given what is at its destination."""

from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from agent.files.listing import FileEntry
from agent.pull.comparison import Comparison
from agent.pull.copy_rules import Overwrite, predict
from agent.s3.client import S3Client
from agent.s3.errors import ConnectionLostError, S3Error
from agent.s3.metadata import mtime_ns_of

MTIME_PRECISION_NS = 1
"""Nanoseconds: metadata keep a file's time exactly."""
_NOT_FOUND, _NO_RIGHT_TO_LIST = 404, 403
"""HTTP statuses. S3 answers 403 for an object that does not exist if the credentials may not list it."""


class ExistingObjects:
    """Compares files with the objects at their destination. Thread-safe."""

    def __init__(self, client: S3Client, overwrite: Overwrite, *, is_dry_run: bool) -> None:
        self._client = client
        self._overwrite = overwrite
        self._is_dry_run = is_dry_run

    def compare(self, entry: FileEntry, key: str, listed_size: int | None) -> Comparison:
        """Return what becomes of a file whose object has this size in the listing; None: it does not exist.

        The object is looked at only if that can change the answer.

        Raises:
            S3Error, ConnectionLostError: S3 refuses to tell, or does not answer.
        """
        if listed_size is None:
            return Comparison.MISSING
        if self._overwrite == "never" and not self._is_dry_run:
            return Comparison.SKIP
        if self._overwrite != "newer" and listed_size != entry.size:
            return self._predict(entry, listed_size, 0)
        return self.compare_unlisted(entry, key)

    def compare_unlisted(self, entry: FileEntry, key: str) -> Comparison:
        """Return what becomes of a file whose object may exist."""
        try:
            found = self._client.head(key)
        except S3Error as error:
            if error.status in {_NOT_FOUND, _NO_RIGHT_TO_LIST} and not error.concerns_whole_hop:
                return Comparison.MISSING
            raise
        mtime_ns = mtime_ns_of(found)
        if mtime_ns is None:
            mtime_ns = _written_ns(found)
        return self._predict(entry, int(found["content-length"]), mtime_ns)

    def _predict(self, entry: FileEntry, size: int, mtime_ns: int) -> Comparison:
        existing = FileEntry("f", entry.path, size, mtime_ns)
        return predict(entry, existing, self._overwrite, MTIME_PRECISION_NS)


def _written_ns(headers: Mapping[str, str]) -> int:
    """Return when an object was written, in nanoseconds since 1970. Raises ConnectionLostError."""
    try:
        return int(parsedate_to_datetime(headers["last-modified"]).timestamp()) * 10**9
    except (LookupError, ValueError, OverflowError) as error:
        raise ConnectionLostError(
            "not an answer of S3: it does not tell when the object was written"
        ) from error
