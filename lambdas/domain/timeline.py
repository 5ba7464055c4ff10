"""Entries of a transfer's timeline."""

from datetime import datetime

from events.base import Actor
from events.states import HopState
from events.views import TimelineEntry
from lambdas.domain.hop import Hop

CROSSHAUL = Actor.called("crosshaul")

_TEXTS = {
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


def by_agent(agent_id: str) -> Actor:
    """Return the actor of what an agent does."""
    return Actor.called(f"agent:{agent_id}")


def by_template(template_id: str) -> Actor:
    """Return the actor of what a template starts."""
    return Actor.called(f"template:{template_id}")


def asked(what: str, by: Actor, now: datetime) -> TimelineEntry:
    """Return an entry about the whole transfer."""
    return TimelineEntry(at=now, what=what, by=by)


def became(hop: Hop, by: Actor, now: datetime) -> TimelineEntry:
    """Return an entry about one hop's current state."""
    text = _TEXTS[hop.state].format(carrier=hop.carrier, via=hop.via or hop.route)
    again = f" again, attempt {hop.attempt}" if hop.state == HopState.QUEUED and hop.attempt > 1 else ""
    return TimelineEntry(
        at=now,
        what=f"{hop.display_name} {text}{again}",
        by=by,
        hop_id=hop.hop_id,
        state=hop.state,
        problem=hop.problem,
    )
