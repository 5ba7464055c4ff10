"""Parse S3's list of objects."""

from typing import NamedTuple
from urllib.parse import unquote_plus
from xml.etree import ElementTree

from agent.s3.answers import root_of, text_in
from agent.s3.errors import ConnectionLostError


class ListedObject(NamedTuple):
    """An object, as a listing describes it."""

    key: str
    size: int
    """Bytes."""
    modified: str
    """When it was written, as S3 writes it: ISO 8601."""
    etag: str
    """With its quotes."""


class Page(NamedTuple):
    """Some objects, in the order of their keys' bytes, and where the next page begins."""

    objects: list[ListedObject]
    token: str
    """Asks for the next page; '' if this is the last one."""

    @property
    def is_truncated(self) -> bool:
        return bool(self.token)


def parse_page(body: bytes) -> Page:
    """Return a page of `ListObjectsV2` with encoded keys: XML cannot express some characters of keys.

    Raises:
        ConnectionLostError: this is not such a page; a proxy may have answered.
    """
    root = root_of(body, "ListBucketResult")
    truncated, token = text_in(root, "IsTruncated"), text_in(root, "NextContinuationToken")
    if truncated not in {"true", "false"} or (truncated == "true" and not token):  # the rest would be missed
        raise ConnectionLostError("not a list of objects: it does not say where it goes on")
    try:
        objects = [_object(child) for child in root.iterfind("{*}Contents")]
    except (LookupError, ValueError) as error:
        raise ConnectionLostError(f"not a list of objects: {error}") from error
    return Page(objects, token if truncated == "true" else "")


def _object(element: ElementTree.Element) -> ListedObject:
    found = {one.tag.rpartition("}")[2]: one.text or "" for one in element}
    return ListedObject(
        unquote_plus(found["Key"], errors="strict"),
        int(found["Size"]),
        found["LastModified"],
        found.get("ETag", ""),
    )
