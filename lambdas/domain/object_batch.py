"""Objects created in S3, batched into as few transfers as the limits allow."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from events.base import Count, Message
from events.requests import TemplateId
from events.sizes import json_bytes
from lambdas.domain.plan import MAX_SELECTED, MAX_SELECTED_BYTES
from lambdas.domain.template import Template

MAX_TRANSACTION_ITEMS = 100
"""Maximum number of writes in one DynamoDB transaction."""
_OTHER_WRITES = 3
"""Writes for header, timeline and audit."""
PARTIAL = (".crosshaul-", ".rclone")
"""Prefixes of the base names of partial uploads."""


@dataclass(frozen=True)
class ObjectCreated:
    """One version of an object that was written to a bucket."""

    bucket: str
    key: str
    """Unencoded: EventBridge does not percent-encode keys, unlike S3's own notifications."""
    mark: str
    """Version id of the object, or sequencer of the write; each value is a new event."""
    size: int
    """Bytes."""

    @property
    def is_folder_marker(self) -> bool:
        """Return whether this is the empty object that consoles create for a folder."""
        return self.key.endswith("/") and self.size == 0

    @property
    def is_ours(self) -> bool:
        """Return whether this is a partial upload by an agent or by rclone."""
        return self.key.rpartition("/")[2].startswith(PARTIAL)


class GatheringDue(Message):
    """Names a template whose gathered objects are due.

    What happens is decided from the table: it may come twice, or late.
    """

    gathered_for: TemplateId
    calls: Count = 0
    """Calls of the function that have worked off this gathering before, and left the rest to this message."""


@dataclass(frozen=True)
class ObjectBatch:
    """The objects of one transfer, and the template that starts it."""

    template: Template
    objects: tuple[ObjectCreated, ...]

    @property
    def selection(self) -> tuple[str, ...]:
        """Return each key once, relative to the template's source."""
        keys = (self.template.relative(created.key) for created in self.objects)
        return tuple(dict.fromkeys(keys))

    @property
    def size(self) -> int:
        """Return the total size of the objects in bytes."""
        return sum(created.size for created in self.objects)

    @property
    def dedupe_keys(self) -> tuple[str, ...]:
        """Return the sorted deduplication keys of the objects."""
        return tuple(sorted({dedupe_key(self.template, created) for created in self.objects}))


def dedupe_key(template: Template, created: ObjectCreated) -> str:
    """Return the key that identifies one event for one template, so that it is handled once."""
    return f"{template.template_id}\n{created.bucket}\n{created.key}\n{created.mark}"


def batch(template: Template, objects: Iterable[ObjectCreated]) -> Iterator[ObjectBatch]:
    """Yield one batch, or several if the objects do not fit into one transfer."""
    most = min(MAX_SELECTED, MAX_TRANSACTION_ITEMS - _OTHER_WRITES - len(template.destinations))
    batch: list[ObjectCreated] = []
    size = 0
    for created in objects:
        more = json_bytes(template.relative(created.key))
        if batch and (len(batch) >= most or size + more > MAX_SELECTED_BYTES):
            yield ObjectBatch(template, tuple(batch))
            batch, size = [], 0
        batch.append(created)
        size += more
    if batch:
        yield ObjectBatch(template, tuple(batch))
