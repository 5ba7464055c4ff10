"""Entries of a transfer's timeline.

python -m lambdas.domain.timeline    prints the texts of all entries, as JSON
"""

import json
import sys
from collections.abc import Iterable
from datetime import datetime
from typing import Literal, get_args

from events.base import Actor, Problem
from events.states import HopState
from events.views import TimelineEntry
from lambdas.domain.hop import Hop

CROSSHAUL = Actor.called("crosshaul")

TransferEvent = Literal[
    "requested", "approved", "declined", "paused", "resumed", "cancelled", "retried", "acknowledged"
]
_HOP_EVENTS = {
    HopState.AWAITING_APPROVAL: "waits for approval",
    HopState.WAITING: "waits for the hop before it",
    HopState.QUEUED: "queued",
    HopState.OFFERED: "offered to {carrier}",
    HopState.RUNNING: "started ({via})",
    HopState.PAUSED: "paused",
    HopState.VERIFYING: "has arrived, is being read back",
    HopState.SUCCEEDED: "succeeded",
    HopState.FAILED: "failed",
    HopState.CANCELLED: "was cancelled",
}
MAX_REPEATED_STEPS = 12
"""Most entries that are repeated together: an attempt makes four, and three hops may fail in turn."""
_QUEUED_AGAIN = "queued again, attempt {attempt}"


def by_agent(agent_id: str) -> Actor:
    """Return the actor of what an agent does."""
    return Actor.called(f"agent:{agent_id}")


def by_template(template_id: str) -> Actor:
    """Return the actor of what a template starts."""
    return Actor.called(f"template:{template_id}")


def asked(what: TransferEvent, by: Actor, now: datetime, problem: Problem | None = None) -> TimelineEntry:
    """Return an entry about the whole transfer."""
    return TimelineEntry(at=now, what=what, by=by, problem=problem)


def became(old: Hop, hop: Hop, by: Actor, now: datetime) -> TimelineEntry:
    """Return an entry about one hop's current state, with the problem that this change of `old` brought.

    A hop keeps the problem of its last attempt while it waits for the next one: an entry that repeated it
    would tell of an offer or an answer that failed. Two attempts may fail in the same words, so the problems
    are compared by identity.
    """
    again = hop.state == HopState.QUEUED and hop.attempt > 1
    template = _QUEUED_AGAIN if again else _HOP_EVENTS[hop.state]
    text = template.format(carrier=hop.carrier, via=hop.via or hop.route, attempt=hop.attempt)
    return TimelineEntry(
        at=now,
        what=f"{hop.display_name} {text}",
        by=by,
        hop_id=hop.hop_id,
        state=hop.state,
        problem=None if hop.problem is old.problem else hop.problem,
    )


def folded(entries: Iterable[TimelineEntry]) -> tuple[TimelineEntry, ...]:
    """Return the entries, oldest first, with steps that repeat one after the other counted, not listed.

    Only steps with a problem are: what people did, however often, is listed.
    """
    found: list[TimelineEntry] = []
    for entry in entries:
        found.append(entry)
        for size in range(1, MAX_REPEATED_STEPS + 1):
            earlier, later = found[-2 * size : -size], found[-size:]
            if [_kind(one) for one in earlier] == [_kind(one) for one in later] and any(
                one.problem for one in later
            ):
                found[-2 * size :] = [
                    new.model_copy(update={"times": old.times + new.times})
                    for old, new in zip(earlier, later, strict=True)
                ]
                break
    return tuple(found)


def _kind(entry: TimelineEntry) -> tuple[object, ...]:
    """Return what two entries of repeated steps have in common; times, attempts and addresses differ."""
    what = entry.state or entry.what
    return entry.hop_id, what, entry.by.id, entry.problem and entry.problem.code


if __name__ == "__main__":
    hop_events = [*_HOP_EVENTS.values(), _QUEUED_AGAIN]
    json.dump({"transfer": get_args(TransferEvent), "hop": hop_events}, sys.stdout)
