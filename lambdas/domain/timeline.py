"""A transfer's timeline, in words."""

from datetime import datetime

from events.base import Actor
from events.states import HopState
from events.views import TimelineEntry
from lambdas.domain.hop import Hop

CROSSHAUL = Actor.called("crosshaul")

_WORDS = {
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
    return Actor.called(f"agent:{agent_id}")


def by_template(template_id: str) -> Actor:
    return Actor.called(f"template:{template_id}")


def asked(what: str, by: Actor, now: datetime) -> TimelineEntry:
    """A line about the whole transfer."""
    return TimelineEntry(at=now, what=what, by=by)


def became(hop: Hop, by: Actor, now: datetime) -> TimelineEntry:
    """A line about one hop, as it is now."""
    words = _WORDS[hop.state].format(carrier=hop.carrier, via=hop.via or hop.route)
    again = f" again, attempt {hop.attempt}" if hop.state == HopState.QUEUED and hop.attempt > 1 else ""
    return TimelineEntry(
        at=now,
        what=f"{hop.called} {words}{again}",
        by=by,
        hop_id=hop.hop_id,
        state=hop.state,
        problem=hop.problem,
    )
