"""Browse buckets: list a prefix page by page, whatever the keys are."""

from collections.abc import Iterable, Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from hypothesis import given, settings
from hypothesis import strategies as st
from moto import mock_aws
from pydantic import ValidationError

from events.locations import alike
from events.requests import BucketBrowseRequest
from lambdas.aws.bucket_browser import S3_TIMEOUT_S, BucketBrowser
from lambdas.domain.errors import BucketDeclinedError, BucketSilentError, BucketUnknownError

BUCKET = "media-uploads"


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket=BUCKET)
        yield client


@pytest.fixture
def fill(s3: Any) -> Any:
    """Create a bucket with exactly these keys."""

    def filled(*keys: str) -> BucketBrowser:
        put(s3, keys)
        return BucketBrowser(lambda _: s3, (BUCKET,))

    return filled


def put(s3: Any, keys: Iterable[str]) -> None:
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
        for one in page.get("Contents", ()):
            s3.delete_object(Bucket=BUCKET, Key=one["Key"])
    for key in keys:
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"12345")


def list_names(buckets: BucketBrowser, prefix: str = "", **request: Any) -> list[str]:
    """Return every name of all pages; directories end in a slash."""
    names: list[str] = []
    while True:
        page = buckets.browse(BUCKET, BucketBrowseRequest(prefix=prefix, **request))
        names += [one.name + ("/" if one.type == "directory" else "") for one in page.entries]
        if page.next is None:
            return names
        request["after"] = page.next


def test_a_prefix_is_listed_as_a_directory_is(fill: Any) -> None:
    buckets = fill("raw/", "raw/a.mov", "raw/Zoë's/take 2.mov", "raw/Zoë's/x/y.mov", "rawer.mov", "other/b")
    assert list_names(buckets) == ["other/", "raw/", "rawer.mov"]
    page = buckets.browse(BUCKET, BucketBrowseRequest(prefix="raw"))
    assert (page.bucket, page.prefix, page.next) == (BUCKET, "raw/", None)
    directory, file = sorted(page.entries, key=lambda one: one.type)
    assert (directory.name, directory.type, directory.size, directory.modified) == (
        "Zoë's", "directory", None, None,
    )  # fmt: skip
    assert (file.name, file.type, file.size) == ("a.mov", "file", 5)
    assert file.modified is not None
    assert list_names(buckets, "nothing/here/") == []


@pytest.mark.parametrize("limit", [1, 2, 3, 500])
@pytest.mark.parametrize("prefix", ["", "raw/"])
def test_pages_neither_repeat_nor_leave_out(fill: Any, limit: int, prefix: str) -> None:
    """Many buckets have a marker object for a directory; a name may be both."""
    keys = ["", "a/1", "a/2", "a", "a-b", "a.mov", "ab/1", "b/1", "b/2", "b/\U0010ffffx", "b0", "c", "d/"]
    buckets = fill(*(prefix + key for key in keys if prefix + key))
    names = ["a", "a-b", "a.mov", "a/", "ab/", "b/", "b0", "c", "d/"]
    assert list_names(buckets, prefix, limit=limit) == names


def test_the_longest_names_are_gone_on_after(fill: Any) -> None:
    long = "ü" * 500
    assert list_names(fill(f"{long}/{'x' * 23}", f"{long}1/x", "z"), limit=1) == [
        "z",
        f"{long}/",
        f"{long}1/",
    ]


def test_names_are_found_however_they_are_written(fill: Any) -> None:
    buckets = fill(
        *(f"shot {number:04}.mov" for number in range(1200)), "Zoë.mov", "zoë 2/x", "ZOE\u0308 3.mov"
    )
    assert sorted(list_names(buckets, find="zoë", limit=2)) == sorted(
        ["Zoë.mov", "zoë 2/", "ZOE\u0308 3.mov"]
    )
    assert list_names(buckets, find="shot 119") == [f"shot {number}.mov" for number in range(1190, 1200)]


def test_looking_for_a_name_ends_in_time_and_says_where_to_go_on(s3: Any, fill: Any) -> None:
    fill(*(f"shot {number:04}.mov" for number in range(1100)), "zoë.mov")
    moments = iter((0.0, S3_TIMEOUT_S + 1))
    hurried = BucketBrowser(lambda _: s3, (BUCKET,), timer=lambda: next(moments))
    page = hurried.browse(BUCKET, BucketBrowseRequest(find="zoë"))
    assert (page.entries, page.next) == ((), "shot 0999.mov")
    assert list_names(BucketBrowser(lambda _: s3, (BUCKET,)), find="zoë", after=page.next) == ["zoë.mov"]


def test_pages_without_objects_are_not_the_end_of_a_listing() -> None:
    """Where many objects were deleted, S3 answers with pages without any, for longer than a page may take."""

    class Emptied:
        def list_objects_v2(self, **_: Any) -> Any:
            return {"IsTruncated": True, "NextContinuationToken": "more"}

    moments = iter((0.0, 1.0, S3_TIMEOUT_S))
    emptied: Any = Emptied()
    buckets = BucketBrowser(lambda _: emptied, (BUCKET,), timer=lambda: next(moments))
    with pytest.raises(BucketSilentError):
        buckets.browse(BUCKET, BucketBrowseRequest(prefix="in/"))


@pytest.mark.parametrize("prefix", ["a//", "a//b", "./", "a/./b/", "a/../b/"])
def test_what_policies_would_take_for_another_path_is_no_prefix(prefix: str) -> None:
    with pytest.raises(ValidationError):
        BucketBrowseRequest(prefix=prefix)


def test_the_longest_prefix_is_opened_and_a_longer_one_is_refused(fill: Any) -> None:
    """The slash that a prefix gets, and the name to go on after, count: S3 compares whole keys."""
    longest = "ü" * 511 + "x"
    assert list_names(fill(f"{longest}/"), longest) == []
    for prefix, after in ((f"{longest}x", None), ("", "ü" * 513), ("raw/", "x" * 1021)):
        with pytest.raises(ValidationError, match="1,024 bytes"):
            BucketBrowseRequest(prefix=prefix, after=after)
    assert BucketBrowseRequest(prefix="raw/", after="x" * 1020)


def test_what_no_path_names_is_shown_and_cannot_be_opened(fill: Any) -> None:
    page = fill("a//b", "a/./b", "a/../b", "/b").browse(BUCKET, BucketBrowseRequest(prefix="a/"))
    assert {(one.name, one.type) for one in page.entries} == {("", "other"), (".", "other"), ("..", "other")}


def test_a_bucket_that_transfers_may_not_use_is_not_looked_into(fill: Any) -> None:
    with pytest.raises(BucketUnknownError) as caught:
        fill("secret").browse("payroll", BucketBrowseRequest())
    assert BUCKET in caught.value.problem.advice


def test_a_deleted_bucket_is_reported(s3: Any) -> None:
    with pytest.raises(BucketDeclinedError) as caught:
        BucketBrowser(lambda _: s3, ("gone-bucket",)).browse("gone-bucket", BucketBrowseRequest())
    assert str(caught.value) == "The bucket gone-bucket no longer exists."


@pytest.mark.parametrize(
    "error",
    [
        ClientError(
            {"Error": {"Code": "SlowDown", "Message": "arn:aws:iam::1:role/inside"}}, "ListObjectsV2"
        ),
        EndpointConnectionError(endpoint_url="https://inside.example.com"),
    ],
)
def test_what_may_pass_is_worth_another_try_and_tells_nothing_of_the_inside(error: Exception) -> None:
    class Failing:
        def list_objects_v2(self, **how: Any) -> Any:
            raise error

    with pytest.raises(BucketSilentError) as caught:
        BucketBrowser(lambda _: Failing(), (BUCKET,)).browse(BUCKET, BucketBrowseRequest())  # type: ignore[arg-type]
    assert caught.value.problem.retryable
    assert "inside" not in str(caught.value)


NAMES = st.text("ab/0 ë\U0010ffff", min_size=1, max_size=6).filter(lambda key: not key.startswith("/"))


@settings(deadline=None)
@given(st.sets(NAMES, min_size=1, max_size=12), st.integers(1, 4), st.sampled_from(["", "a", "Ë"]))
def test_any_keys_are_listed_once_each(s3: Any, keys: set[str], limit: int, find: str) -> None:
    put(s3, keys)
    entries, after = [], None
    while True:
        request = BucketBrowseRequest(limit=limit, find=find, after=after)
        page = BucketBrowser(lambda _: s3, (BUCKET,)).browse(BUCKET, request)
        entries += [one.name for one in page.entries]
        after = page.next
        if after is None:
            break
    shown = {"".join(key.partition("/")[:2]) for key in keys}
    wanted = [one.removesuffix("/") for one in shown if alike(find) in alike(one.removesuffix("/"))]
    assert sorted(entries) == sorted(wanted)
