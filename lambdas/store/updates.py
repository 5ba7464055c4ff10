"""Updates in DynamoDB, in a table of their own: no function that hears agents' reports may write there.

Lists use the index `by_id`; the index `due`, which has only running updates, those due for a check.
"""

from datetime import datetime, timedelta

from pynamodb.attributes import NumberAttribute, TTLAttribute, UnicodeAttribute, UTCDateTimeAttribute
from pynamodb.indexes import GlobalSecondaryIndex, KeysOnlyProjection
from pynamodb.models import Model

from events.base import UpdateId
from lambdas.domain.errors import StaleError, UpdateUnknownError
from lambdas.domain.update import CHECK_INTERVAL, Update
from lambdas.store.base import JsonOf, Writes, bind, refusal_is, transaction

KIND = "update"
RETENTION = timedelta(days=90)
"""How long an update can be read after its end."""


class ById(GlobalSecondaryIndex["UpdateRow"]):
    """Index of all updates, by id."""

    class Meta:
        index_name = "by_id"
        projection = KeysOnlyProjection()

    kind = UnicodeAttribute(hash_key=True)
    update_id = UnicodeAttribute(range_key=True)


class ByCheck(GlobalSecondaryIndex["UpdateRow"]):
    """Sparse index of running updates, by the time of their next check."""

    class Meta:
        index_name = "due"
        projection = KeysOnlyProjection()

    running = UnicodeAttribute(hash_key=True)
    check_at = UTCDateTimeAttribute(range_key=True)


class UpdateRow(Model):
    """An update; `revision` grows with every change, and each write is conditional on the one read."""

    class Meta:
        table_name = ""

    update_id = UnicodeAttribute(hash_key=True)
    kind = UnicodeAttribute(default=KIND)
    update: JsonOf[Update] = JsonOf(Update)  # type: ignore[assignment]
    revision = NumberAttribute()
    running = UnicodeAttribute(null=True)
    check_at = UTCDateTimeAttribute(null=True)
    expires_at = TTLAttribute(null=True)

    by_id = ById()
    by_check = ByCheck()


class UpdateStore:
    """The only reader and writer of updates."""

    def __init__(self, table: str, region: str) -> None:
        self._region = region
        bind((UpdateRow,), table, region)

    def create_update(self, update: Update, also: Writes) -> None:
        """Write a new update; raise StaleError if the id is taken."""
        row = _row(update, 0, update.created_at)
        self._save(row, UpdateRow.update_id.does_not_exist(), update, also)

    def get(self, update_id: UpdateId) -> tuple[Update, int]:
        """Return an update and its revision; raise UpdateUnknownError if it does not exist."""
        try:
            row = UpdateRow.get(update_id, consistent_read=True)
        except UpdateRow.DoesNotExist:
            raise UpdateUnknownError(update_id) from None
        return row.update, int(row.revision)

    def replace_update(self, update: Update, revision: int, now: datetime, also: Writes) -> None:
        """Replace an update; raise StaleError if it has changed since that revision was read."""
        self._save(_row(update, revision + 1, now), UpdateRow.revision == revision, update, also)

    def look_again(self, update: Update, revision: int, now: datetime) -> None:
        """Schedule the next check of an unchanged update; raise StaleError if it has changed."""
        row = _row(update, revision, now)
        with refusal_is(StaleError(f"Update {update.update_id}")):
            row.save(condition=UpdateRow.revision == revision)

    def list_updates(self, limit: int, after: UpdateId | None) -> tuple[list[Update], UpdateId | None]:
        """Return the updates with ids after `after`, and the last id if there may be more."""
        beyond = UpdateRow.update_id > (after or " ")
        ids = [row.update_id for row in UpdateRow.by_id.query(KIND, beyond, limit=limit)]
        found = [row.update for row in UpdateRow.batch_get(ids)]
        return found, ids[-1] if len(ids) == limit else None

    def due(self, now: datetime, limit: int) -> list[UpdateId]:
        """Return the ids of running updates that are due for a check."""
        found = UpdateRow.by_check.query(KIND, UpdateRow.check_at <= now, limit=limit)
        return [row.update_id for row in found]

    def running(self, limit: int) -> list[Update]:
        """Return running updates."""
        ids = [row.update_id for row in UpdateRow.by_check.query(KIND, limit=limit)]
        return [row.update for row in UpdateRow.batch_get(ids)]

    def _save(self, row: UpdateRow, guard: object, update: Update, also: Writes) -> None:
        refusal = StaleError(f"Update {update.update_id}")
        with refusal_is(refusal), transaction(self._region) as writes:
            writes.save(row, condition=guard)  # type: ignore[arg-type]
            also(writes)


def _row(update: Update, revision: int, now: datetime) -> UpdateRow:
    if update.is_over:
        return UpdateRow(update.update_id, update=update, revision=revision, expires_at=now + RETENTION)
    return UpdateRow(
        update.update_id, update=update, revision=revision, running=KIND, check_at=now + CHECK_INTERVAL
    )
