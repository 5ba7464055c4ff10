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
_MOST = 1000
"""Keys that S3 lists at once."""
_UNNAMED = {"", ".", ".."}
"""Names between slashes that keys may have, and no file system."""
_DECLINED = {
    "AccessDenied": "S3 does not let Crosshaul look into the bucket {}.",
    "NoSuchBucket": "There is no bucket {} any more.",
}
"""What another try would meet again."""

Named = tuple[str, DirectoryEntry | None]
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

    def browse(self, bucket: str, asked: BucketBrowseRequest) -> BucketListingView:
        """One page of what lies directly under the prefix.

        Raises BucketUnknownError, BucketDeclinedError, and BucketSilentError for what may pass.
        """
        if bucket not in self._names:
            raise BucketUnknownError(bucket, self._names)
        entries: list[DirectoryEntry] = []
        last, more = asked.after, False
        end, sought = self._timer() + S3_TIMEOUT_S, alike(asked.find)
        for found, truncated in self._pages(bucket, asked):
            looked = 0
            for name, entry in found:
                if len(entries) == asked.limit:
                    break
                looked, last = looked + 1, name
                if entry and sought in alike(entry.name):
                    entries.append(entry)
            more = truncated or looked < len(found)
            if len(entries) == asked.limit or self._timer() >= end:
                break
        return BucketListingView(
            bucket=bucket, prefix=asked.prefix, entries=tuple(entries), next=last if more else None
        )

    def _pages(self, bucket: str, asked: BucketBrowseRequest) -> Iterator[tuple[list[Named], bool]]:
        """Names in order, and whether more follow. S3 tells a directory once more after its own name."""
        skip = len(asked.prefix)
        where = {} if asked.after is None else {"StartAfter": asked.prefix + asked.after}
        while True:
            answer = self._listed(
                bucket,
                Prefix=asked.prefix,
                Delimiter="/",
                MaxKeys=_MOST if asked.find else asked.limit + 1,
                **where,
            )
            found = [(key[skip:], entry) for key, entry in _entries(answer, skip)]
            new = sorted((pair for pair in found if pair[0] != asked.after), key=lambda pair: pair[0])
            yield new, bool(answer["IsTruncated"])
            if not answer["IsTruncated"]:
                return
            where = {"ContinuationToken": answer["NextContinuationToken"]}

    def _listed(self, bucket: str, **how: Any) -> Any:
        try:
            return self._s3.list_objects_v2(Bucket=bucket, **how)
        except (ClientError, BotoCoreError) as error:
            code = error.response["Error"]["Code"] if isinstance(error, ClientError) else ""
            logger.warning("bucket not listed", extra={"bucket": bucket, "reason": str(error)})
            if code in _DECLINED:
                raise BucketDeclinedError(_DECLINED[code].format(bucket)) from error
            raise BucketSilentError(bucket) from error


def _entries(answer: Any, skip: int) -> Iterator[Named]:
    """Every key and every common prefix. The object that stands for the directory itself is none in it."""
    for one in answer.get("CommonPrefixes", ()):
        name = one["Prefix"][skip:].removesuffix("/")
        yield one["Prefix"], DirectoryEntry(name=name, type="other" if name in _UNNAMED else "directory")
    for one in answer.get("Contents", ()):
        name = one["Key"][skip:]
        kind: Any = "other" if name in _UNNAMED else "file"
        entry = DirectoryEntry(name=name, type=kind, size=one["Size"], modified=one["LastModified"])
        yield one["Key"], entry if name else None
