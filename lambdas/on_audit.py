"""Handle the stream of the `audit` table: chain new records. One reader, in order, writes the chain."""

from typing import Any

from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import (
    DynamoDBRecordEventName,
    DynamoDBStreamEvent,
)
from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas import adapters, wiring
from lambdas.telemetry import count, entry, logger


@entry
def handler(event: dict[str, Any], _: LambdaContext) -> None:
    """Chain inserted records; a changed or deleted one is logged and counted as tampering."""
    added = []
    for record in DynamoDBStreamEvent(event).records:
        change = record.dynamodb
        if record.event_name == DynamoDBRecordEventName.INSERT and change:
            added += [found] if (found := adapters.audit_store().record_in(change.new_image or {})) else []
        elif change:
            logger.error("audit record changed or deleted", extra={"keys": dict(change.keys or {})})
            count("AuditTampered")
    if added:
        wiring.audit_chain().chain(added)
