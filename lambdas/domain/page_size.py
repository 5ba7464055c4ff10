"""How much a page of a list may hold: Lambda answers with 6 MB at most, and a row may have 400 KB."""

import json
from collections.abc import Iterable
from typing import TypeVar

from events.base import Message

M = TypeVar("M", bound=Message)

MAX_PAGE_BYTES = 4_000_000
"""Size of a page's entries as the API sends them, at which the page ends."""


def sent_bytes(message: Message) -> int:
    """Return the size of a message in Lambda's answer in bytes: JSON text within JSON."""
    return len(json.dumps(message.model_dump_json()))


def fitting(messages: Iterable[M]) -> list[M]:
    """Return the first messages, as many as a page can hold; at least one, if there is one."""
    found, size = list[M](), 0
    for message in messages:
        size += sent_bytes(message)
        if found and size > MAX_PAGE_BYTES:
            break
        found.append(message)
    return found
