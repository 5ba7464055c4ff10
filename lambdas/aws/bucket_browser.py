"""Looking into the buckets that transfers may read and write: what lies under a prefix, a page at a time.

S3 has no directories. What keys have in common up to the next slash is shown as one, as rclone has it.
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
from lambdas.telemetry import logger

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

S3_TIMEOUT_S = 6.0
"""Seconds that are spent on looking for names; what was found by then is the page."""
_MAX_KEYS_PER_CALL = 1000
"""Keys that S3 lists at once."""
_INVALID_FILE_NAMES = {"", ".", ".."}
"""Names between slashes that keys may have, and no file system."""
_PERMANENT_ERRORS = {
    "AccessDenied": "S3 does not let Crosshaul look into the bucket {}.",
    "NoSuchBucket": "There is no bucket {} any more.",
}
"""What another try would meet again."""

ListedName = tuple[str, DirectoryEntry | None]
"""A key's or common prefix's part below the prefix that was asked for, and what to show of it."""


class BucketBrowser:
    def __init__(
        self, s3: "S3Client", names: tuple[str, ...], timer: Callable[[], float] = time.monotonic
    ) -> None:
        self._s3 = s3
        self._names = tuple(sorted(names))
        self._timer = timer

    def all(self) -> BucketsView:
        return BucketsView(buckets=self._names)

    def browse(self, bucket: str, request: BucketBrowseRequest) -> BucketListingView:
        """One page of what lies directly under the prefix.

        Raises BucketUnknownError, BucketDeclinedError, and BucketSilentError for what may pass.
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
        return BucketListingView(
            bucket=bucket, prefix=request.prefix, entries=tuple(entries), next=last if more else None
        )

    def _pages(self, bucket: str, request: BucketBrowseRequest) -> Iterator[tuple[list[ListedName], bool]]:
        """Names in order, and whether more follow. S3 tells a directory once more after its own name."""
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
            return self._s3.list_objects_v2(Bucket=bucket, **parameters)
        except (ClientError, BotoCoreError) as error:
            code = error.response["Error"]["Code"] if isinstance(error, ClientError) else ""
            logger.warning("bucket not listed", extra={"bucket": bucket, "reason": str(error)})
            if code in _PERMANENT_ERRORS:
                raise BucketDeclinedError(_PERMANENT_ERRORS[code].format(bucket)) from error
            raise BucketSilentError(bucket) from error


def _entries(answer: Any, prefix_length: int) -> Iterator[ListedName]:
    """Every key and every common prefix. The object that stands for the directory itself is none in it."""
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
