"""Delay messages about due retries in SQS, which delivers each when its delay is over."""

from collections.abc import Callable
from datetime import datetime
from math import ceil
from typing import TYPE_CHECKING

from events.base import HopId
from lambdas.domain.due_retry import DueRetry
from lambdas.ports import Clock

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

MAX_DELAY_S = 900
"""Longest delay that SQS takes, in seconds. A backoff is shorter; the sweep finds what is due later."""


class RetryQueue:
    """Sends one delayed message for each retry."""

    def __init__(self, make_sqs: Callable[[], "SQSClient"], url: str, clock: Clock) -> None:
        """Use the client that `make_sqs` returns, from the first message on: most functions send none."""
        self._make_sqs = make_sqs
        self._url = url
        self._clock = clock

    def check_at(self, hop_id: HopId, when: datetime) -> None:
        """Have the hop checked at this time: never before it, and up to a second after it.

        Raises:
            ClientError: SQS rejects the message; the sweep checks the hop all the same.
        """
        delay_s = ceil((when - self._clock()).total_seconds())
        self._make_sqs().send_message(
            QueueUrl=self._url,
            MessageBody=DueRetry(hop_id=hop_id).model_dump_json(),
            DelaySeconds=min(max(delay_s, 0), MAX_DELAY_S),
        )
