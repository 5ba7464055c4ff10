"""Objects that arrived in S3, gathered into as few transfers as their templates' limits allow."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lambdas.domain.plan import MAX_SELECTED, MAX_SELECTED_BYTES
from lambdas.domain.sizes import json_bytes
from lambdas.domain.template import Template

MAX_TRANSACTION_ITEMS = 100
"""Writes in one transaction, as DynamoDB has it."""
_OTHER_WRITES = 3
"""Header, timeline and audit."""
PARTIAL = (".crosshaul-", ".rclone")
"""How the last part of a key begins or ends while it is only half there."""


@dataclass(frozen=True)
class ObjectCreated:
    """One object, in one version."""

    bucket: str
    key: str
    """As it is: EventBridge does not encode it, as S3's own notifications do."""
    mark: str
    """The version's id, or the sequencer of the write: another one is another arrival."""
    size: int

    @property
    def is_folder_marker(self) -> bool:
        """Consoles make these: they stand for an empty directory."""
        return self.key.endswith("/") and self.size == 0

    @property
    def is_ours(self) -> bool:
        """Half-made, by an agent or by rclone."""
        return self.key.rpartition("/")[2].startswith(PARTIAL)


@dataclass(frozen=True)
class ObjectBatch:
    """The objects of one transfer."""

    template: Template
    arrivals: tuple[ObjectCreated, ...]

    @property
    def selection(self) -> tuple[str, ...]:
        """Each key once, relative to the template's source."""
        keys = (self.template.relative(arrival.key) for arrival in self.arrivals)
        return tuple(dict.fromkeys(keys))

    @property
    def size(self) -> int:
        """Bytes, of all of them."""
        return sum(arrival.size for arrival in self.arrivals)

    @property
    def dedupe_keys(self) -> tuple[str, ...]:
        """What makes each arrival one of its own, for this template."""
        return tuple(sorted({dedupe_key(self.template, arrival) for arrival in self.arrivals}))


def dedupe_key(template: Template, arrival: ObjectCreated) -> str:
    return f"{template.template_id}\n{arrival.bucket}\n{arrival.key}\n{arrival.mark}"


def can_be_a_file(relative: str) -> bool:
    """May this be a path below a directory? S3 allows keys that no file system does, or that leave it."""
    parts = relative.split("/")
    too_long = any(len(part.encode("utf-8", "surrogateescape")) > 255 for part in parts)
    return "\0" not in relative and not too_long and not {"", ".", ".."}.intersection(parts)


def batch(template: Template, arrivals: Iterable[ObjectCreated]) -> Iterator[ObjectBatch]:
    """One transfer, or several if there is more than fits into one."""
    most = min(MAX_SELECTED, MAX_TRANSACTION_ITEMS - _OTHER_WRITES - len(template.destinations))
    batch: list[ObjectCreated] = []
    size = 0
    for arrival in arrivals:
        more = json_bytes(template.relative(arrival.key))
        if batch and (len(batch) >= most or size + more > MAX_SELECTED_BYTES):
            yield ObjectBatch(template, tuple(batch))
            batch, size = [], 0
        batch.append(arrival)
        size += more
    if batch:
        yield ObjectBatch(template, tuple(batch))
