"""Find out from a transfer's timeline how long each hop was in which state."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from agent.cli import output
from agent.cli.text import counted, span
from events.base import HopId
from events.states import HopState, TransferState
from events.views import HopView, TimelineEntry, TimelineView, TransferView

if TYPE_CHECKING:
    from agent.cli.api import ApiClient

_ENDED = {HopState.SUCCEEDED, HopState.FAILED, HopState.CANCELLED}
LABELS = {
    HopState.AWAITING_APPROVAL: "waiting for approval",
    HopState.WAITING: "waiting for the hop before it",
    HopState.QUEUED: "queued",
    HopState.OFFERED: "offered",
    HopState.RUNNING: "moving",
    HopState.PAUSED: "paused",
    HopState.VERIFYING: "verifying",
}
"""States in which a hop has not ended, in the order of its life."""


@dataclass
class HopTimes:
    """How long one hop was in which state, in seconds."""

    hop_id: HopId
    attempts: int
    seconds: dict[HopState, float] = field(default_factory=dict)
    folded: int = 0
    """Entries that the timeline only counts: their time is that of the state before them."""

    @property
    def total(self) -> float:
        return sum(self.seconds.values())


def hop_times(view: TransferView, timeline: Sequence[TimelineEntry], now: datetime) -> list[HopTimes]:
    """Return the times of each hop until its end, or until now. `timeline` is complete, oldest first."""
    held = _began_held(view, timeline)
    return [_of_hop(hop, view.created_at, timeline, now, held=held) for hop in view.hops]


def _began_held(view: TransferView, timeline: Iterable[TimelineEntry]) -> bool:
    """Return whether the transfer was created in need of an approval, which no entry says."""
    for entry in timeline:
        if entry.hop_id is not None:
            return False
        if entry.what in {"approved", "declined"}:
            return True
    return view.state is TransferState.AWAITING_APPROVAL


def _of_hop(
    hop: HopView, created_at: datetime, timeline: Iterable[TimelineEntry], now: datetime, *, held: bool
) -> HopTimes:
    times = HopTimes(hop.hop_id, hop.attempt)
    state, since = HopState.AWAITING_APPROVAL if held else _waiting(hop), created_at
    for entry in timeline:
        following = _state_after(entry, hop, state)
        if following is None:
            continue
        _add(times, state, since, entry.at)
        times.folded += entry.times - 1
        state, since = following, max(since, entry.at)
    _add(times, state, since, now)
    return times


def _add(times: HopTimes, state: HopState, since: datetime, until: datetime) -> None:
    if state not in _ENDED:
        times.seconds[state] = times.seconds.get(state, 0) + max(0.0, (until - since).total_seconds())


def _waiting(hop: HopView) -> HopState:
    return HopState.WAITING if hop.after else HopState.QUEUED


def _state_after(entry: TimelineEntry, hop: HopView, state: HopState) -> HopState | None:
    """Return the state of the hop after an entry; None if the entry does not change it.

    What a person does with the whole transfer has one entry for all hops.
    """
    if entry.hop_id is not None:
        return entry.state if entry.hop_id == hop.hop_id else None
    waits = _waiting(hop)
    match entry.what:
        case "approved" if state is HopState.AWAITING_APPROVAL:
            return waits
        case "paused" if state not in _ENDED:
            return HopState.PAUSED
        case "resumed" if state is HopState.PAUSED:
            return waits
        case "cancelled" | "declined" if state not in _ENDED:
            return HopState.CANCELLED
        case "retried" if state in _ENDED - {HopState.SUCCEEDED}:
            return waits
    return None


def complete_timeline(api: "ApiClient", view: TransferView) -> list[TimelineEntry]:
    """Return the whole timeline, oldest first: the view has only its newest page."""
    found, cursor = list(view.timeline), view.timeline_next
    while cursor:
        page = TimelineView.model_validate(api.get("transfers", view.transfer_id, "timeline", after=cursor))
        found, cursor = [*page.entries, *found], page.next
    return found


def print_times(times: Iterable[HopTimes]) -> None:
    """Print where the time of each hop went, in the order of a hop's life."""
    output.say("\nWhere the time went", style="bold")
    for one in times:
        attempts = f", {counted(one.attempts, 'attempt')}" if one.attempts > 1 else ""
        output.say(f"  hop {one.hop_id}  {span(one.total)}{attempts}")
        for state, label in LABELS.items():
            if seconds := one.seconds.get(state, 0):
                output.say(f"    {label:<28} {span(seconds):>12} {seconds / one.total:>5.0%}")
        if one.folded:
            output.say(f"    {counted(one.folded, 'repeated step')} counted as one", style="dim")
