"""State in DynamoDB: the only package that uses pynamodb. Infra reads keys, indexes and TTLs from here."""

from pynamodb.models import Model

from lambdas.store.agent_rows import AgentRow
from lambdas.store.audit import AuditRow
from lambdas.store.dedupe import DedupeRow
from lambdas.store.idempotency import OnceRow
from lambdas.store.installer import ReleaseRow
from lambdas.store.policies import PolicyRow
from lambdas.store.refusals import RefusalRow
from lambdas.store.templates import TemplateRow
from lambdas.store.transfer_rows import TransferRow
from lambdas.store.updates import UpdateRow

TABLES: dict[str, type[Model]] = {
    "transfers_table": TransferRow,
    "agents_table": AgentRow,
    "updates_table": UpdateRow,
    "releases_table": ReleaseRow,
    "templates_table": TemplateRow,
    "policies_table": PolicyRow,
    "audit_table": AuditRow,
    "dedupe_table": DedupeRow,
    "idempotency_table": OnceRow,
    "refusals_table": RefusalRow,
}
"""Maps the setting with a table's name to the row class that has all of the table's keys and indexes."""
