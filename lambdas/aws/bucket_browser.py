"""List the buckets that transfers may use, one page of a prefix at a time.

S3 has no directories: a common prefix of keys up to the next slash is shown as one, as rclone does.
"""

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from events.locations import alike
from events.reports import DirectoryEntry
from events.requests import BucketBrowseRequest
from events.views import BucketListingView, BucketsView
from lambdas.domain.errors import BucketDeclinedError, BucketSilentError, BucketUnknownError
from lambdas.domain.problems import BUCKET_DECLINED, BUCKET_GONE
from lambdas.telemetry import logger

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

S3_TIMEOUT_S = 6.0
"""How long a page may search for matching names; it then ends with what was found."""
_MAX_KEYS_PER_CALL = 1000
"""The maximum that S3 returns for one ListObjectsV2."""
_INVALID_FILE_NAMES = {"", ".", ".."}
"""Parts of a key that no file system accepts as a name."""
_PERMANENT_ERRORS = {"AccessDenied": BUCKET_DECLINED, "NoSuchBucket": BUCKET_GONE}
"""S3 error codes that a retry would meet again, with their words."""

ListedName = tuple[str, DirectoryEntry | None]
"""The part of a key or common prefix below the requested prefix, and its entry; None: not shown."""


class BucketBrowser:
    """Lists the contents of the buckets that transfers may use."""

    def __init__(
        self,
        s3_for: Callable[[str], "S3Client"],
        names: tuple[str, ...],
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        """`s3_for` returns the client of a bucket's region."""
        self._s3_for = s3_for
        self._names = tuple(sorted(names))
        self._timer = timer

    def list_buckets(self) -> BucketsView:
        """Return all buckets that transfers may use."""
        return BucketsView(buckets=self._names)

    def browse(self, bucket: str, request: BucketBrowseRequest) -> BucketListingView:
        """Return one page of what is directly under the prefix.

        Raises:
            BucketUnknownError: Transfers may not use the bucket.
            BucketDeclinedError: S3 rejects the request permanently.
            BucketSilentError: S3 failed in a way that a retry may solve.
        """
        if bucket not in self._names:
            raise BucketUnknownError(bucket, self._names)
        entries: list[DirectoryEntry] = []
        last, more = request.after, False
        deadline, needle = self._timer() + S3_TIMEOUT_S, alike(request.find)
        for found, truncated in self._pages(bucket, request):
            examined = 0
            for name, entry in found:
                if len(entries) == request.limit:
                    break
                examined, last = examined + 1, name
                if entry and needle in alike(entry.name):
                    entries.append(entry)
            more = truncated or examined < len(found)
            if len(entries) == request.limit or self._timer() >= deadline:
                break
        if more and last == request.after:  # the reader could not go on from here
            raise BucketSilentError(bucket)
        return BucketListingView(
            bucket=bucket, prefix=request.prefix, entries=tuple(entries), next=last if more else None
        )

    def _pages(self, bucket: str, request: BucketBrowseRequest) -> Iterator[tuple[list[ListedName], bool]]:
        """Yield sorted names and whether more follow; a directory that S3 repeats is dropped."""
        prefix_length = len(request.prefix)
        position = {} if request.after is None else {"StartAfter": request.prefix + request.after}
        while True:
            answer = self._list(
                bucket,
                Prefix=request.prefix,
                Delimiter="/",
                MaxKeys=_MAX_KEYS_PER_CALL if request.find else request.limit + 1,
                **position,
            )
            found = [(key[prefix_length:], entry) for key, entry in _entries(answer, prefix_length)]
            new = sorted((pair for pair in found if pair[0] != request.after), key=lambda pair: pair[0])
            yield new, bool(answer["IsTruncated"])
            if not answer["IsTruncated"]:
                return
            position = {"ContinuationToken": answer["NextContinuationToken"]}

    def _list(self, bucket: str, **parameters: Any) -> Any:
        try:
            return self._s3_for(bucket).list_objects_v2(Bucket=bucket, **parameters)
        except (ClientError, BotoCoreError) as error:
            code = error.response["Error"]["Code"] if isinstance(error, ClientError) else ""
            logger.warning("bucket not listed", extra={"bucket": bucket, "reason": str(error)})
            if code in _PERMANENT_ERRORS:
                raise BucketDeclinedError(bucket, _PERMANENT_ERRORS[code]) from error
            raise BucketSilentError(bucket) from error


def _entries(answer: Any, prefix_length: int) -> Iterator[ListedName]:
    """Yield every key and common prefix. The marker object of the directory itself has no entry."""
    for item in answer.get("CommonPrefixes", ()):
        name = item["Prefix"][prefix_length:].removesuffix("/")
        yield (
            item["Prefix"],
            DirectoryEntry(name=name, type="other" if name in _INVALID_FILE_NAMES else "directory"),
        )
    for item in answer.get("Contents", ()):
        name = item["Key"][prefix_length:]
        kind: Any = "other" if name in _INVALID_FILE_NAMES else "file"
        entry = DirectoryEntry(name=name, type=kind, size=item["Size"], modified=item["LastModified"])
        yield item["Key"], entry if name else None
