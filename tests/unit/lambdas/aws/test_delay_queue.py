"""A retry's message comes when it is due, never before it."""

import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lambdas.aws.delay_queue import RetryQueue
from tests.support.fakes import FakeClock

HOP = "0123456789abcdefghij-4"


@dataclass
class FakeSqs:
    """Takes the delays that SQS takes."""

    sent: list[dict[str, Any]] = field(default_factory=list)

    def send_message(self, **message: Any) -> None:
        assert 0 <= message["DelaySeconds"] <= 900
        self.sent.append(message)


def queue(sqs: Any, clock: FakeClock) -> RetryQueue:
    return RetryQueue(lambda: sqs, "https://sqs/queue", clock)


@given(wait=st.timedeltas(timedelta(seconds=-60), timedelta(seconds=900)))
def test_a_message_comes_within_a_second_of_its_time_and_never_early(wait: timedelta) -> None:
    sqs, clock = FakeSqs(), FakeClock()
    queue(sqs, clock).check_at(HOP, clock() + wait)
    [message] = sqs.sent
    early = max(wait, timedelta()) - timedelta(seconds=message["DelaySeconds"])
    assert timedelta(seconds=-1) < early <= timedelta()
    assert json.loads(message["MessageBody"]) == {"hop_id": HOP}


def test_what_is_later_than_sqs_can_wait_is_left_to_the_sweep() -> None:
    sqs, clock = FakeSqs(), FakeClock()
    queue(sqs, clock).check_at(HOP, clock() + timedelta(days=400))
    assert sqs.sent[0]["DelaySeconds"] == 900
