"""Understand messages of dead-letter queues: what was not done, why, and the calls that do it again."""

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from events.topics import Topics
from infra.lost_rows import WRITE_DELAY, LostRows

Event = dict[str, Any]


class FailuresError(RuntimeError):
    """Something cannot be shown or done again."""


@dataclass(frozen=True)
class Invocation:
    """The work to do again: a function, by its name in `infra.plans`, and its event."""

    function: str
    event: Event


@dataclass(frozen=True)
class Work:
    """What was not done."""

    what: str
    why: str
    calls: Callable[[], Iterator[Invocation]]
    """Yields the calls that do it again; raises FailuresError if it is not known how."""


@dataclass(frozen=True)
class Letter:
    """A message of a dead-letter queue."""

    message_id: str
    body: str
    sent: datetime
    reason: str
    """What its sender wrote beside it; '' if nothing."""


class FailedWork:
    """Understands the messages of one stage."""

    def __init__(self, topics: Topics, rows: LostRows, functions: Mapping[str, str]) -> None:
        """`functions` maps names in `infra.plans` to names in AWS; `rows` are read when work is redone."""
        self._topics = topics
        self._rows = rows
        self._names = {name: plan for plan, name in functions.items()}

    def of(self, letter: Letter) -> Work:
        """Return what a message is about; one that is not understood cannot be done again."""
        try:
            return self._of(letter, json.loads(letter.body))
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            return _not_understood(letter, f"{type(error).__name__}: {error}")

    def unchained(self, records: list[dict[str, Any]]) -> Work:
        """Return the work of chaining these audit records."""
        first, last = records[0]["part"]["S"], records[-1]["part"]["S"]
        what = f"{len(records)} audit records are in no chain: {first} to {last}"
        return Work(what, "OnAudit has not chained them", lambda: self._chain(records))

    def _of(self, letter: Letter, body: Any) -> Work:
        match body:
            case {"requestPayload": dict(event), "requestContext": {"functionArn": str(arn)}}:
                call = Invocation(self._function(arn), event)
                return Work(_described(call), _function_error(body), lambda: iter([call]))
            case {"DDBStreamBatchInfo": dict(batch), "requestContext": {"functionArn": str(arn)}}:
                return self._of_stream(self._function(arn), batch, _function_error(body))
            case {"ruleName": str(rule), "topic": str(topic), "base64OriginalPayload": str(text)}:
                payload = json.loads(base64.b64decode(text))
                call = self._of_rule(rule, topic, payload, letter)
                return Work(_described(call), _rule_error(body), lambda: iter([call]))
            case {
                "detail-type": "Object Created",
                "detail": {"bucket": dict(bucket), "object": dict(written)},
            }:
                call = _of_queue("OnObject", letter)
                what = f"s3://{bucket['name']}/{written['key']} was written"
                return Work(what, letter.reason or "OnObject failed each time", lambda: iter([call]))
            case {"gathered_for": str(template_id)}:
                call = _of_queue("OnObject", letter)
                what = f"what template {template_id} has gathered was due"
                return Work(what, letter.reason or "OnObject failed each time", lambda: iter([call]))
            case {"hop_id": str(hop_id)}:
                call = _of_queue("OnRetry", letter)
                return Work(
                    f"the retry of hop {hop_id} was due", "OnRetry failed each time", lambda: iter([call])
                )
        return _not_understood(letter, "its kind is not known")

    def _function(self, arn: str) -> str:
        """Return the name in `infra.plans` of a function's ARN, which may end with a version."""
        return self._names[arn.split(":function:")[1].partition(":")[0]]

    def _of_stream(self, function: str, batch: Event, why: str) -> Work:
        first, last = (
            datetime.fromisoformat(batch[f"approximateArrivalOf{which}Record"]) for which in ("First", "Last")
        )
        what = f"{batch['batchSize']} rows of {first:%Y-%m-%d %H:%M:%S} to {last:%H:%M:%S} UTC"
        if function == "OnAudit":
            return Work(f"audit: {what}", why, lambda: self._chain_days(first, last))
        return Work(f"transfers: {what}", why, lambda: self._timeline(function, first, last))

    def _timeline(self, function: str, first: datetime, last: datetime) -> Iterator[Invocation]:
        for event in self._rows.timeline(first, last):
            yield Invocation(function, event)

    def _chain_days(self, first: datetime, last: datetime) -> Iterator[Invocation]:
        yield from self._chain(self._rows.unchained(first - WRITE_DELAY, last + timedelta(seconds=1)))

    def _chain(self, records: list[dict[str, Any]]) -> Iterator[Invocation]:
        for event in self._rows.chain_events(records):
            yield Invocation("OnAudit", event)

    def _of_rule(self, rule: str, topic: str, payload: Event, letter: Letter) -> Invocation:
        """Return the call with what the rule's SQL would have selected.

        When the broker had the message, the queue had it, too. The certificate is not known: without it no
        new one is confirmed, which the next Hello does.
        """
        if rule == self._topics.presence_rule:
            return Invocation("OnPresence", payload)
        if rule != self._topics.reports_rule:
            raise ValueError(f"rule {rule} is not of this stage")
        received = int(letter.sent.timestamp() * 1000)
        selected: Event = {name: payload[name] for name in ("wire", "report") if name in payload}
        return Invocation("OnReport", {**selected, "thing": topic.split("/")[-2], "received": received})


def _of_queue(function: str, letter: Letter) -> Invocation:
    record = {"messageId": letter.message_id, "body": letter.body, "eventSource": "aws:sqs"}
    return Invocation(function, {"Records": [record]})


def _not_understood(letter: Letter, why: str) -> Work:
    def calls() -> Iterator[Invocation]:
        raise FailuresError(f"message {letter.message_id} is not understood: {why}")

    return Work(f"message {letter.message_id}: {letter.body[:120]}", f"not understood: {why}", calls)


def _described(call: Invocation) -> str:
    """Return what an event tells, in a few words."""
    match call.event:
        case {"thing": str(thing), "report": {"kind": str(kind)}}:
            return f"report {kind} of {thing}"
        case {"clientId": str(client), "eventType": str(kind)}:
            return f"{client} {kind}"
    return f"an event for {call.function}"


def _function_error(body: Event) -> str:
    context, payload = body["requestContext"], body.get("responsePayload")
    error = f": {failure_of(payload)}" if payload else ""
    return f"{context.get('condition')} after {context.get('approximateInvokeCount')} attempts{error}"


def failure_of(payload: Any) -> str:
    """Return the error that a function has answered."""
    if not isinstance(payload, dict):
        return str(payload)
    return f"{payload.get('errorType', 'error')}: {payload.get('errorMessage', '')}"


def _rule_error(body: Event) -> str:
    failures = body.get("failures") or [{}]
    return str(failures[0].get("errorMessage", "IoT Core could not hand it on"))
