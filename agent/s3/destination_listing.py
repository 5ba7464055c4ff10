"""Find out what exists at the destination of a push by few requests: a thousand objects each."""

from agent.s3.client import S3Client
from agent.s3.listing import ListedObject

_FIRST_AFTER_SURROGATES = 0xE000
_LAST_BEFORE_SURROGATES = 0xD7FF


class DestinationListing:
    """The objects below a prefix, asked for in ascending order of their keys' bytes, as S3 lists them.

    A bucket may hold millions of others: what lies between two keys that are asked for is skipped.
    """

    def __init__(self, client: S3Client, prefix: str) -> None:
        self._client = client
        self._prefix = prefix
        self._page: dict[str, ListedObject] = {}
        self._known_to: str | None = ""
        """The last key up to which everything is known. None: everything is."""

    def find(self, key: str) -> ListedObject | None:
        """Return the object of this key; None if there is none.

        Raises:
            S3Error, ConnectionLostError: S3 refused to list, or does not answer.
        """
        while self._known_to is not None and key.encode() > self._known_to.encode():
            self._read_page(max(_just_before(key), self._known_to, key=str.encode))
        return self._page.get(key)

    def _read_page(self, start_after: str) -> None:
        pages = self._client.list_pages(self._prefix, start_after=start_after)
        # S3 has only passed over deleted ones if a page that is not the last has none.
        page = next(page for page in pages if page.objects or not page.is_truncated)
        self._page = {one.key: one for one in page.objects}
        self._known_to = page.objects[-1].key if page.is_truncated else None


def _just_before(key: str) -> str:
    """Return a text before the key with few keys between them."""
    head, last = key[:-1], ord(key[-1])
    if last <= 1:
        return head
    return head + chr(_LAST_BEFORE_SURROGATES if last == _FIRST_AFTER_SURROGATES else last - 1)
