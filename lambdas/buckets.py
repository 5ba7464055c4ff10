"""Looking into the buckets that transfers may read and write: what lies under a prefix, a page at a time.

S3 has no directories. What keys have in common up to the next slash is shown as one, as rclone has it.
"""

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from events.locations import alike
from events.reports import Entry
from events.requests import BucketBrowseRequest
from events.views import BucketListingView, BucketsView
from lambdas.domain.errors import BucketDeclinedError, BucketUnknownError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PATIENCE = 6.0
"""Seconds that are spent on looking for names; what was found by then is the page."""
_MOST = 1000
"""Keys that S3 lists at once."""
_BEYOND = "\U0010ffff"
"""Sorts after whatever a key has: after `photos/` and this comes what is not in photos/."""
_UNNAMED = {"", ".", ".."}
"""Names between slashes that keys may have, and no file system."""


class Buckets:
    def __init__(
        self, s3: "S3Client", names: tuple[str, ...], timer: Callable[[], float] = time.monotonic
    ) -> None:
        self._s3 = s3
        self._names = names
        self._timer = timer

    def all(self) -> BucketsView:
        return BucketsView(buckets=tuple(sorted(self._names)))

    def browse(self, bucket: str, asked: BucketBrowseRequest) -> BucketListingView:
        """One page of what lies directly under the prefix; raises BucketUnknownError, BucketDeclinedError."""
        if bucket not in self._names:
            raise BucketUnknownError(bucket, self._names)
        entries: list[Entry] = []
        last, more = asked.after, True
        end, sought = self._timer() + PATIENCE, alike(asked.find)
        while more and len(entries) < asked.limit and self._timer() < end:
            found, more = self._page(bucket, asked, last)
            for name, entry in found:
                if len(entries) == asked.limit:
                    more = True
                    break
                last = name
                if entry and sought in alike(entry.name):
                    entries.append(entry)
        return BucketListingView(
            bucket=bucket, prefix=asked.prefix, entries=tuple(entries), next=last if more else None
        )

    def _page(
        self, bucket: str, asked: BucketBrowseRequest, after: str | None
    ) -> tuple[list[tuple[str, Entry | None]], bool]:
        """Names in order, each with what to show of it, and whether more follow."""
        start = asked.prefix + after + (_BEYOND if after.endswith("/") else "") if after else ""
        try:
            answer = self._s3.list_objects_v2(
                Bucket=bucket,
                Prefix=asked.prefix,
                Delimiter="/",
                StartAfter=start,
                MaxKeys=_MOST if asked.find else asked.limit,
            )
        except ClientError as error:
            raise BucketDeclinedError(bucket, error) from error
        skip = len(asked.prefix)
        found = [(name[skip:], entry) for name, entry in _entries(answer, skip)]
        return sorted(found, key=lambda pair: pair[0]), bool(answer["IsTruncated"])


def _entries(answer: Any, skip: int) -> Iterator[tuple[str, Entry | None]]:
    """Every key and every common prefix. The object that stands for the directory itself is none in it."""
    for one in answer.get("CommonPrefixes", ()):
        name = one["Prefix"][skip:].removesuffix("/")
        yield one["Prefix"], Entry(name=name, type="other" if name in _UNNAMED else "directory")
    for one in answer.get("Contents", ()):
        name = one["Key"][skip:]
        kind: Any = "other" if name in _UNNAMED else "file"
        entry = Entry(name=name, type=kind, size=one["Size"], modified=one["LastModified"])
        yield one["Key"], entry if name else None
