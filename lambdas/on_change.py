"""Handle the stream of the `transfers` table, which is the outbox."""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import (
    DynamoDBRecord,
    DynamoDBRecordEventName,
)
from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas import wiring
from lambdas.telemetry import entry, trace

processor = BatchProcessor(event_type=EventType.DynamoDBStreams)


@entry
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    """Handle a batch; rows that fail are reported, so that only those are retried."""
    return process_partial_response(
        event=event, record_handler=handle_record, processor=processor, context=context
    )


def handle_record(record: DynamoDBRecord) -> None:
    """Handle one row. Only inserts matter: a timeline row is written once and never changed."""
    change = record.dynamodb
    if record.event_name == DynamoDBRecordEventName.INSERT and change:
        seconds = change.approximate_creation_date_time
        written = None if seconds is None else datetime.fromtimestamp(seconds, UTC)
        image = change.new_image or {}
        trace(str(image.get("transfer_id")))
        wiring.stream_handler().handle(image, written)
