"""Objects that wait for others of their template, in the transfers table."""

import hashlib
from collections.abc import Iterable
from datetime import datetime

from events.requests import TemplateId
from lambdas.domain.object_batch import ObjectCreated
from lambdas.store.base import bind
from lambdas.store.transfer_rows import GATHERED, ROWS, GatheredRow

_OBJECTS = "object#"
_UNTIL = "until"


class GatheredStore:
    """Keeps the objects that templates gather."""

    def __init__(self, table: str, region: str) -> None:
        bind(ROWS, table, region)

    def until(self, template_id: TemplateId) -> datetime | None:
        """Return when the last gathering of the template that was opened is due; None if none ever was."""
        try:
            return GatheredRow.get(_partition(template_id), _UNTIL, consistent_read=True).until
        except GatheredRow.DoesNotExist:
            return None

    def open(self, template_id: TemplateId, until: datetime) -> None:
        """Note when what the template gathers from now on is due."""
        GatheredRow(_partition(template_id), _UNTIL, until=until).save()

    def add(self, template_id: TemplateId, objects: Iterable[ObjectCreated]) -> None:
        """Keep these objects; one that is kept already is not kept twice."""
        with GatheredRow.batch_write() as batch:
            for row in {row.part: row for row in _rows(template_id, objects)}.values():
                batch.save(row)

    def some(self, template_id: TemplateId, limit: int) -> list[ObjectCreated]:
        """Return objects that the template has gathered, up to `limit`."""
        rows = GatheredRow.query(
            _partition(template_id),
            GatheredRow.part.startswith(_OBJECTS),
            consistent_read=True,
            limit=limit,
        )
        return [row.written for row in rows]

    def remove(self, template_id: TemplateId, objects: Iterable[ObjectCreated]) -> None:
        """Remove these objects."""
        with GatheredRow.batch_write() as batch:
            for row in _rows(template_id, objects):
                batch.delete(row)


def _rows(template_id: TemplateId, objects: Iterable[ObjectCreated]) -> list[GatheredRow]:
    return [
        GatheredRow(_partition(template_id), f"{_OBJECTS}{_digest(created)}", written=created)
        for created in objects
    ]


def _partition(template_id: TemplateId) -> str:
    return f"{GATHERED}{template_id}"


def _digest(created: ObjectCreated) -> str:
    event = f"{created.bucket}\n{created.key}\n{created.mark}"
    return hashlib.sha256(event.encode("utf-8", "surrogateescape")).hexdigest()
