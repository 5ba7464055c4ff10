"""A transfer: what was asked for, its hops, and the state that follows from theirs."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from events.base import Actor, AgentId, Problem
from events.locations import Location
from events.options import Options
from events.progress import Progress
from events.requests import Shape
from events.states import HopState, TransferState
from events.views import Approval
from lambdas.domain.hop import AT_WORK, ENDED, Hop

_STATE_GROUPS = {
    HopState.OFFERED: HopState.QUEUED,
    HopState.VERIFYING: HopState.RUNNING,
}
"""States that are the same to the transfer: a change within the family changes nothing in its header."""


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """The header and all hops; `state`, `problem` and `progress` are derived, never set."""

    transfer_id: str
    source: Location
    destinations: tuple[Location, ...]
    shape: Shape
    options: Options
    selection: tuple[str, ...] | None = None
    """Only these paths, relative to the source; None for everything."""
    template_id: str | None = None
    owner: Actor | None = None
    """The template's: it acts as this person. None: whoever created the transfer."""
    created_by: Actor
    created_at: datetime
    ended_at: datetime | None = None
    fingerprint: str
    """Of the wish itself: the same Idempotency-Key must not come with another."""
    revision: int = 1
    """Of the header: two who change different hops at once must not both count the old ones."""
    approval: Approval | None = None
    """What a policy wants of a second person, and what that person said."""
    hops: tuple[Hop, ...]

    @property
    def state(self) -> TransferState:
        return derived_state(
            [hop.state for hop in self.hops], some_arrived=any(map(_some_arrived, self.hops))
        )

    @property
    def ended(self) -> bool:
        return all(hop.ended for hop in self.hops)

    @property
    def problem(self) -> Problem | None:
        """The first that is to blame: of a failed hop rather than of one that waits to try again."""
        troubled = [hop for hop in self.hops if hop.problem]
        troubled.sort(key=lambda hop: (hop.state != HopState.FAILED, hop.number))
        return troubled[0].problem if troubled else None

    @property
    def progress(self) -> Progress:
        return summed(hop.progress for hop in self.hops)

    @property
    def agents(self) -> tuple[AgentId, ...]:
        return tuple(dict.fromkeys(agent for hop in self.hops for agent in hop.agents))

    @property
    def acting(self) -> Actor:
        """The person for whom it is done: a template's transfer is its owner's."""
        return self.owner or self.created_by

    def ready(self, hop: Hop) -> bool:
        """Has what this hop waits for succeeded?"""
        return hop.after is None or self.hops[hop.after].state == HopState.SUCCEEDED

    def can_begin(self, hop: Hop) -> bool:
        """The same, or is that at work, and this one may take on what it brings?"""
        return self.ready(hop) or (self.streams(hop) and self.hops[hop.after or 0].state in AT_WORK)

    def streams(self, hop: Hop) -> bool:
        """Does this hop take on each file as soon as the one before it has brought it?"""
        return hop.after is not None and hop.route == "direct" and self.options.streams_chain

    @property
    def approved_by(self) -> Actor | None:
        return self.approval.by if self.approval else None

    def lacks(self, policies: Iterable[str]) -> tuple[str, ...]:
        """Those of the policies that want an approval which was not given yet."""
        given = self.approval.policies if self.approval and self.approval.by else ()
        return tuple(name for name in policies if name not in given)

    def with_hops(self, changed: Iterable[Hop], now: datetime) -> "Transfer":
        """The transfer with these hops in place of theirs of before."""
        news = {hop.number: hop for hop in changed}
        after = replace(self, hops=tuple(news.get(hop.number, hop) for hop in self.hops))
        return replace(after, ended_at=(self.ended_at or now) if after.ended else None)


def group_state(state: HopState) -> HopState:
    """What the state counts as in the transfer's."""
    return _STATE_GROUPS.get(state, state)


def _some_arrived(hop: Hop) -> bool:
    """Did it fail for some files only? A hop that goes to its end names them."""
    return hop.failures_total > 0 and hop.progress.files_done > 0


def derived_state(states: Iterable[HopState], *, some_arrived: bool = False) -> TransferState:
    """A transfer's state from its hops', in any order. `some_arrived`: of a hop that failed for others.

    Paused means: nothing goes on until a person says so. A transfer of which some hops have ended and
    others are still queued is running.
    """
    seen = {group_state(state) for state in states}
    going_on = seen - ENDED
    if not going_on:
        return _end(seen, some_arrived=some_arrived)
    if HopState.AWAITING_APPROVAL in going_on:
        return TransferState.AWAITING_APPROVAL
    if HopState.PAUSED in going_on and going_on <= {HopState.PAUSED, HopState.WAITING}:
        return TransferState.PAUSED
    begun = HopState.RUNNING in going_on or bool(seen & ENDED)
    return TransferState.RUNNING if begun else TransferState.QUEUED


def _end(seen: set[HopState], *, some_arrived: bool) -> TransferState:
    if seen == {HopState.SUCCEEDED}:
        return TransferState.SUCCEEDED
    if HopState.FAILED not in seen:
        return TransferState.CANCELLED
    in_part = some_arrived or HopState.SUCCEEDED in seen
    return TransferState.PARTIALLY_FAILED if in_part else TransferState.FAILED


def summed(parts: Iterable[Progress]) -> Progress:
    """The progress of several hops as one; a total is known when each one's is."""
    each = tuple(parts)
    return Progress(
        bytes_done=sum(part.bytes_done for part in each),
        bytes_total=_total(part.bytes_total for part in each),
        files_done=sum(part.files_done for part in each),
        files_total=_total(part.files_total for part in each),
        bytes_unchanged=sum(part.bytes_unchanged for part in each),
        files_unchanged=sum(part.files_unchanged for part in each),
        files_removed=sum(part.files_removed for part in each),
        bytes_per_second=sum(part.bytes_per_second for part in each),
        current=next((part.current for part in each if part.current), None),
    )


def _total(parts: Iterable[int | None]) -> int | None:
    total = 0
    for part in parts:
        if part is None:
            return None
        total += part
    return total
