"""Start retries when they are due: delayed messages from a queue."""

from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas import wiring
from lambdas.domain.due_retry import DueRetry
from lambdas.telemetry import entry, logger, trace

processor = BatchProcessor(event_type=EventType.SQS)


@entry
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    """Handle a batch; messages that fail are reported, so that only those are retried."""
    return process_partial_response(
        event=event, record_handler=handle_record, processor=processor, context=context
    )


def handle_record(record: SQSRecord) -> None:
    """Check one hop, as the sweep does; raises ValidationError for another message."""
    due = DueRetry.model_validate_json(record.body)
    trace(due.transfer_id, due.hop_id)
    wiring.lease_sweeper().check(due.transfer_id, due.number)
    logger.info("retry was due")
