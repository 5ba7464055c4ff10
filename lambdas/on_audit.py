"""Handle the stream of the `audit` table: chain new records. One reader, in order, writes the chain."""

from typing import Any

from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import (
    DynamoDBRecordEventName,
    DynamoDBStreamEvent,
)
from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas import adapters, wiring
from lambdas.telemetry import AUDIT_TAMPERED, count, entry, logger


@entry
def handler(event: dict[str, Any], _: LambdaContext) -> None:
    """Chain inserted records; what was changed, deleted or put under another's key counts as tampering."""
    added = []
    for record in DynamoDBStreamEvent(event).records:
        change = record.dynamodb
        if change is None:
            continue
        inserted = record.event_name == DynamoDBRecordEventName.INSERT
        found = adapters.audit_store().record_in(change.new_image or {}) if inserted else None
        if found:
            added.append(found)
        else:
            logger.error("audit row changed, deleted or misplaced", extra={"keys": dict(change.keys or {})})
            count(AUDIT_TAMPERED)
    if added:
        wiring.audit_chain().chain(added)
