"""Show what a stage could not do, and do it again: dead-letter queues, and records that no chain holds.

python -m infra.failures show STAGE [QUEUE]        lists what waits
python -m infra.failures redrive STAGE [QUEUE]     does it again, and removes what has succeeded

QUEUE is one of these; without it, all are meant:

    failures   reports and presence that were not handled, and changes of transfers and of the audit that a
               stream has given up
    uploads    objects that were written to a bucket and that no template has seen
    retries    hops whose retry was due
    audit      audit records of yesterday and today that are in no chain: no queue, but the table itself

Each is done again by the function that has failed, with the event that it had. A stream's failure names only
sequence numbers, which DynamoDB forgets after a day; it also says when its rows were written, and they are
read from the table again. Every function decides from the current state, so that doing something twice is
harmless. What fails again stays where it is, with the reason. A queue keeps a message for 14 days.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from events.topics import Topics
from infra.failed_work import FailedWork, FailuresError, Invocation, Letter, Work, failure_of
from infra.lost_rows import LostRows
from infra.plans import PLANS
from infra.stack_tables import deployed_tables

QUEUES = {"failures": "Failures", "uploads": "UploadsDead", "retries": "RetriesDead"}
"""The stage's dead-letter queues, and their logical ids without CDK's digits."""
AUDIT = "audit"
"""Stands for the records that are in no chain."""
CHAIN_DELAY = timedelta(minutes=5)
"""How long a record may be without a link, as for `crosshaul audit verify`."""
_HELD_S = 300
"""Seconds for which nobody else gets a message that is being shown or redone."""
_FUNCTION_S = 120
"""Seconds after which a function has failed that does not answer; none may run for as long."""
_DIGITS = 8
"""Characters that CDK adds to a logical id."""


@dataclass(frozen=True)
class Failure:
    """Something that was not done, and where that is written."""

    queue: str
    since: datetime
    work: Work
    receipt: str | None = None
    """Receipt of the queue's message; None if there is none."""

    def lines(self, now: datetime) -> str:
        return f"{self.queue:9} {_age(now - self.since):>10}  {self.work.what}\n{'':22}{self.work.why}"


class StageFailures:
    """Finds and redoes what one stage has failed to do."""

    def __init__(self, session: Any, stage: str) -> None:
        """Find the stage's queues, functions and tables. `session` is boto3's.

        Raises:
            FailuresError: The stage is not deployed in this account and region.
        """
        self._sqs = session.client("sqs")
        # A function that answers too late may still do its work: boto3 must not call it once more.
        patient = Config(read_timeout=_FUNCTION_S, retries={"total_max_attempts": 1})
        self._lambda = session.client("lambda", config=patient)
        self._queues, self._functions = _resources(session, stage)
        tables = dict(deployed_tables(session, stage))
        if not (tables and self._functions):
            raise FailuresError(f"stage {stage} is not deployed here: check account and region")
        self._rows = LostRows(session.client("dynamodb"), tables)
        self._work = FailedWork(Topics(stage), self._rows, self._functions)

    def waiting(self, wanted: str | None, now: datetime) -> list[Failure]:
        """Return what waits in one queue, or in all; others do not get these messages for five minutes."""
        found = [one for name in QUEUES if wanted in {None, name} for one in self._in_queue(name)]
        return found + (self._in_no_chain(now) if wanted in {None, AUDIT} else [])

    def redo(self, failure: Failure) -> None:
        """Do it again, and remove it from its queue.

        Raises:
            FailuresError: It failed again, or it is not known how to do it; it stays in its queue.
        """
        for call in failure.work.calls():
            self._call(call)
        if failure.receipt:
            self._sqs.delete_message(QueueUrl=self._queues[failure.queue], ReceiptHandle=failure.receipt)

    def release(self, failure: Failure) -> None:
        """Let others get its message again."""
        if failure.receipt:
            self._sqs.change_message_visibility(
                QueueUrl=self._queues[failure.queue], ReceiptHandle=failure.receipt, VisibilityTimeout=0
            )

    def _call(self, call: Invocation) -> None:
        answer = self._lambda.invoke(
            FunctionName=self._functions[call.function], Payload=json.dumps(call.event)
        )
        result = json.loads(answer["Payload"].read() or "null")
        if "FunctionError" in answer:
            raise FailuresError(f"{call.function} failed again: {failure_of(result)}")
        if isinstance(result, dict) and (left := result.get("batchItemFailures")):
            raise FailuresError(f"{call.function} failed again for {len(left)} records; its log says why")

    def _in_queue(self, name: str) -> Iterator[Failure]:
        while messages := self._sqs.receive_message(
            QueueUrl=self._queues[name],
            MaxNumberOfMessages=10,
            VisibilityTimeout=_HELD_S,
            WaitTimeSeconds=1,  # asks all of SQS's servers, so that no message is overlooked
            MessageSystemAttributeNames=["SentTimestamp"],
            MessageAttributeNames=["All"],
        ).get("Messages"):
            for message in messages:
                letter = _letter(message)
                yield Failure(name, letter.sent, self._work.of(letter), message["ReceiptHandle"])

    def _in_no_chain(self, now: datetime) -> list[Failure]:
        yesterday = datetime.combine(now.astimezone(UTC) - timedelta(days=1), time.min, UTC)
        records = self._rows.unchained(yesterday, now - CHAIN_DELAY)
        if not records:
            return []
        since = datetime.fromisoformat(records[0]["part"]["S"].partition("Z")[0]).replace(tzinfo=UTC)
        return [Failure(AUDIT, since, self._work.unchained(records))]


def _letter(message: dict[str, Any]) -> Letter:
    """Return a message of SQS; EventBridge writes beside an event why it could not be handed on."""
    attributes = message.get("MessageAttributes", {})
    reason = attributes.get("ERROR_MESSAGE", attributes.get("ERROR_CODE", {})).get("StringValue", "")
    sent = datetime.fromtimestamp(int(message["Attributes"]["SentTimestamp"]) / 1000, UTC)
    return Letter(message["MessageId"], message["Body"], sent, reason)


def _resources(session: Any, stage: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the URLs of the stage's dead-letter queues and the names of its functions.

    Raises:
        FailuresError: A queue is missing.
    """
    found: dict[tuple[str, str], str] = {}
    try:
        pages = session.client("cloudformation").get_paginator("list_stack_resources")
        for page in pages.paginate(StackName=f"Crosshaul-{stage}"):
            for one in page["StackResourceSummaries"]:
                logical = one["ResourceType"], one["LogicalResourceId"][:-_DIGITS]
                found[logical] = one.get("PhysicalResourceId", "")
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError":  # there is no such stack
            raise
        return {}, {}
    queues = {name: found.get(("AWS::SQS::Queue", logical), "") for name, logical in QUEUES.items()}
    if missing := [name for name, url in queues.items() if not url]:
        raise FailuresError(f"stage {stage} has no queue {', '.join(missing)}: deploy this version first")
    names = {name: found.get(("AWS::Lambda::Function", f"Functions{name}"), "") for name in PLANS}
    return queues, {name: physical for name, physical in names.items() if physical}


def _age(age: timedelta) -> str:
    minutes = max(0, int(age.total_seconds() // 60))
    days, hours = minutes // 1440, minutes // 60 % 24
    return f"{days} d {hours} h" if days else f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"


def _show(failures: StageFailures, wanted: str | None, now: datetime) -> int:
    found = failures.waiting(wanted, now)
    for failure in found:
        print(failure.lines(now))
        failures.release(failure)
    print(f"{len(found)} waiting; redrive does them again" if found else "Nothing waits.")
    return 0


def _redrive(failures: StageFailures, wanted: str | None, now: datetime) -> int:
    found = failures.waiting(wanted, now)
    failed = 0
    for failure in found:
        print(failure.lines(now))
        try:
            failures.redo(failure)
        except (FailuresError, BotoCoreError, ClientError) as error:
            failed += 1
            print(f"{'':22}stays: {error}")
            failures.release(failure)
        else:
            print(f"{'':22}done")
    print(f"{len(found) - failed} done again, {failed} stay")
    return 1 if failed else 0


_COMMANDS: dict[str, Callable[[StageFailures, str | None, datetime], int]] = {
    "show": _show,
    "redrive": _redrive,
}


def main(given: Sequence[str] | None = None, make_session: Callable[..., Any] = boto3.Session) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m infra.failures",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=_COMMANDS)
    parser.add_argument("stage")
    parser.add_argument("queue", nargs="?", choices=(*QUEUES, AUDIT))
    arguments = parser.parse_args(given)
    try:
        failures = StageFailures(make_session(region_name=os.environ.get("AWS_REGION")), arguments.stage)
        return _COMMANDS[arguments.command](failures, arguments.queue, datetime.now(UTC))
    except (FailuresError, BotoCoreError, ClientError) as error:
        print(f"failures: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
