"""Entries of a transfer's timeline.

python -m lambdas.domain.timeline    prints the texts of all entries, as JSON
"""

import json
import sys
from datetime import datetime
from typing import Literal, get_args

from events.base import Actor
from events.states import HopState
from events.views import TimelineEntry
from lambdas.domain.hop import Hop

CROSSHAUL = Actor.called("crosshaul")

TransferEvent = Literal["requested", "approved", "paused", "resumed", "cancelled", "retried", "acknowledged"]
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
_QUEUED_AGAIN = "queued again, attempt {attempt}"


def by_agent(agent_id: str) -> Actor:
    """Return the actor of what an agent does."""
    return Actor.called(f"agent:{agent_id}")


def by_template(template_id: str) -> Actor:
    """Return the actor of what a template starts."""
    return Actor.called(f"template:{template_id}")


def asked(what: TransferEvent, by: Actor, now: datetime) -> TimelineEntry:
    """Return an entry about the whole transfer."""
    return TimelineEntry(at=now, what=what, by=by)


def became(hop: Hop, by: Actor, now: datetime) -> TimelineEntry:
    """Return an entry about one hop's current state."""
    again = hop.state == HopState.QUEUED and hop.attempt > 1
    template = _QUEUED_AGAIN if again else _HOP_EVENTS[hop.state]
    text = template.format(carrier=hop.carrier, via=hop.via or hop.route, attempt=hop.attempt)
    return TimelineEntry(
        at=now,
        what=f"{hop.display_name} {text}",
        by=by,
        hop_id=hop.hop_id,
        state=hop.state,
        problem=hop.problem,
    )


if __name__ == "__main__":
    hop_events = [*_HOP_EVENTS.values(), _QUEUED_AGAIN]
    json.dump({"transfer": get_args(TransferEvent), "hop": hop_events}, sys.stdout)
