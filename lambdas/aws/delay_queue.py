"""Delay messages in SQS, which delivers each when its delay is over: due retries and due gatherings."""

from collections.abc import Callable
from datetime import datetime
from math import ceil
from typing import TYPE_CHECKING

from events.base import HopId, Message
from events.requests import TemplateId
from lambdas.domain.due_retry import DueRetry
from lambdas.domain.object_batch import GatheringDue
from lambdas.ports import Clock

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

MAX_DELAY_S = 900
"""Longest delay that SQS takes, in seconds."""


class DelayQueue:
    """Sends messages that arrive at a given time."""

    def __init__(self, make_sqs: Callable[[], "SQSClient"], url: str, clock: Clock) -> None:
        """Use the client that `make_sqs` returns, from the first message on: most functions send none."""
        self._make_sqs = make_sqs
        self._url = url
        self._clock = clock

    def _send(self, message: Message, when: datetime) -> None:
        """Have the message delivered at this time: never before it, and up to a second after it."""
        delay_s = ceil((when - self._clock()).total_seconds())
        self._make_sqs().send_message(
            QueueUrl=self._url,
            MessageBody=message.model_dump_json(),
            DelaySeconds=min(max(delay_s, 0), MAX_DELAY_S),
        )


class RetryQueue(DelayQueue):
    """Sends one delayed message for each retry.

    A backoff is shorter than SQS's longest delay; the sweep finds what is due later.
    """

    def check_at(self, hop_id: HopId, when: datetime) -> None:
        """Have the hop checked at this time.

        Raises:
            ClientError: SQS rejects the message; the sweep checks the hop all the same.
        """
        self._send(DueRetry(hop_id=hop_id), when)


class GatherQueue(DelayQueue):
    """Sends one delayed message for each gathering, to the queue of uploads itself."""

    def collect_at(self, template_id: TemplateId, when: datetime, calls: int = 0) -> None:
        """Have what a template has gathered collected at this time, after so many calls for it.

        Raises:
            ClientError: SQS rejects the message.
        """
        self._send(GatheringDue(gathered_for=template_id, calls=calls), when)
