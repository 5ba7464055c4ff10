"""Handle objects created in S3: EventBridge events, in batches from a queue.

The queue also delivers when what a template has gathered is due.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
"""

from datetime import datetime
from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import Field, TypeAdapter

from events.base import Bytes, Message
from lambdas import adapters, wiring
from lambdas.domain.object_batch import GatheringDue, ObjectCreated
from lambdas.telemetry import entry, logger
from lambdas.templates.gatherer import MAX_WORK


class EventBucket(Message):
    """The bucket of an event."""

    name: str


class Object(Message):
    """The object that was written; version or sequencer distinguishes two writes of one key."""

    key: str
    size: Bytes = 0
    version_id: str | None = Field(default=None, alias="version-id")
    sequencer: str | None = None
    etag: str = ""


class Detail(Message):
    """The bucket and the object of an event."""

    bucket: EventBucket
    object: Object


class ObjectEvent(Message):
    """The fields used of an event. Its key is not URL-encoded, unlike in S3's own notifications."""

    id: str
    detail: Detail

    @property
    def object_created(self) -> ObjectCreated:
        """The write of an object, with the key that recognizes a repeated event."""
        written = self.detail.object
        dedupe_key = written.version_id or written.sequencer or self.id
        return ObjectCreated(self.detail.bucket.name, written.key, dedupe_key, written.size)


_MESSAGE: TypeAdapter[ObjectEvent | GatheringDue] = TypeAdapter(ObjectEvent | GatheringDue)


@entry
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    """Start transfers; report each malformed message as failed, and all messages of a batch that failed."""
    end = adapters.clock() + MAX_WORK
    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
    with processor(records=event["Records"], handler=read, lambda_context=context):
        outcomes = processor.process()
    pairs = zip(event["Records"], outcomes, strict=True)
    messages = {record["messageId"]: found for record, (status, found, _) in pairs if status == "success"}
    told = list(dict.fromkeys(messages.values()))
    failures = wiring.object_events().handle([one for one in told if isinstance(one, ObjectCreated)])
    failed: set[ObjectCreated | GatheringDue] = {one for failure in failures for one in failure.objects}
    failed |= {one for one in told if isinstance(one, GatheringDue) and not _collected(one, end)}
    response = processor.response()
    retried = [{"itemIdentifier": name} for name, one in messages.items() if one in failed]
    return {"batchItemFailures": [*response["batchItemFailures"], *retried]}


def read(record: SQSRecord) -> ObjectCreated | GatheringDue:
    """Parse a message of the queue; raises ValidationError."""
    message = _MESSAGE.validate_json(record.body)
    return message.object_created if isinstance(message, ObjectEvent) else message


def _collected(due: GatheringDue, end: datetime) -> bool:
    """Start what a template has gathered, until `end`; return whether that has worked."""
    try:
        wiring.gatherer().collect(due, end)
    except Exception:
        logger.exception("gathered objects not handled", extra={"template_id": due.gathered_for})
        return False
    return True
