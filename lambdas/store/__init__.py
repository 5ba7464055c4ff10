"""State in DynamoDB; the only place that knows pynamodb. Infra reads keys, indexes and TTLs from here."""

from pynamodb.models import Model

from lambdas.store.transfer_rows import TransferRow

TABLES: dict[str, type[Model]] = {
    "transfers_table": TransferRow,
}
"""The setting that names a table → the row class with all of its keys and indexes."""
