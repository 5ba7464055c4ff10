"""A transfer: the request, its hops, and the state derived from theirs."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from events.base import Actor, AgentId, Problem
from events.locations import Location
from events.options import Options
from events.progress import Progress
from events.requests import Shape
from events.states import Attention, HopState, TransferState
from events.views import Approval, StartDecision
from lambdas.domain.hop import AT_WORK, ENDED, Hop
from lambdas.domain.spending import NOTHING, Spent

FIRST_DAY = datetime(2026, 1, 1, tzinfo=UTC)
"""No stored record is older than this."""
APPROVAL_LIFETIME = timedelta(days=1)
"""How long after an approval a hop may start; a hop that has started under it continues."""

_STATE_GROUPS = {
    HopState.OFFERED: HopState.QUEUED,
    HopState.VERIFYING: HopState.RUNNING,
}
"""Hop states that count as another in the transfer's state: a change between them leaves the header as is."""


_FAILURES = {
    TransferState.FAILED: Attention.FAILED,
    TransferState.PARTIALLY_FAILED: Attention.PARTIALLY_FAILED,
}


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
    """Owner of the template, on whose behalf the transfer runs; None without a template."""
    created_by: Actor
    created_at: datetime
    ended_at: datetime | None = None
    charged: Spent = NOTHING
    """What its hops had cost when it last ended: the part that is in the sums of a month."""
    fingerprint: str
    """Hash of the `TransferSpec`: an Idempotency-Key must not be reused for a different request."""
    revision: int = 1
    """Revision of the header, so that concurrent changes of different hops do not derive it from old ones."""
    asked_for: tuple[Actor, ...]
    """People who asked for the current start. What starts later is decided again, by their groups of then."""
    approval: Approval | None = None
    """The approval that policies require for the current start, and whether it was given."""
    authorized_size: int | None = None
    """Size in bytes with which policies decided the current start; None if it was not known."""
    real_start: StartDecision | None = None
    """For a dry run: what policies would decide about the same transfer without `dry_run`."""
    acknowledged: Actor | None = None
    """Who confirmed that a failure needs no further attention; None: nobody since the last start."""
    watched_until: datetime | None = None
    """Until when agents publish its live progress; None: nobody has watched it yet."""
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
    def attention(self) -> Attention | None:
        """Return why a person must look at it; None if nobody must.

        A failure counts until somebody retries or acknowledges it, one of a dry run not at all: whoever ran
        it sees the answer.
        """
        if self.state == TransferState.AWAITING_APPROVAL:
            return Attention.AWAITING_APPROVAL
        if any(hop.state == HopState.PAUSED and not hop.paused_by_user for hop in self.hops):
            return Attention.PAUSED
        if self.acknowledged or self.options.dry_run:
            return None
        return _FAILURES.get(self.state)

    @property
    def problem(self) -> Problem | None:
        """Return the first hop's problem, preferring a failed hop to one that waits for a retry."""
        affected = [hop for hop in self.hops if hop.problem]
        affected.sort(key=lambda hop: (hop.state != HopState.FAILED, hop.number))
        return affected[0].problem if affected else None

    @property
    def progress(self) -> Progress:
        return Progress.of_hops(hop.progress for hop in self.hops)

    @property
    def size(self) -> int | None:
        """Return the size in bytes as the hop that lists most has it, else the authorized one, if any."""
        listed = self.progress.bytes_total
        return self.authorized_size if listed is None else listed

    @property
    def started_at(self) -> datetime | None:
        """Return when the first hop began to move, None if none has."""
        return min((hop.started_at for hop in self.hops if hop.started_at), default=None)

    @property
    def arrived(self) -> tuple[int, int]:
        """Return the bytes and files that are new at the destinations.

        Every destination of a fan-out counts. A chain moves the same files from hop to hop: they count once.
        """
        moved = [hop.progress for hop in self.hops]
        added = max if self.shape == "chain" else sum
        return (
            added([hop.bytes_arrived for hop in self.hops]),
            added([max(0, one.files_done - one.files_unchanged) for one in moved]),
        )

    @property
    def spent(self) -> Spent:
        """Return what all attempts of all hops have cost until their last reports."""
        return sum((hop.spent for hop in self.hops), NOTHING)

    @property
    def agents(self) -> tuple[AgentId, ...]:
        return tuple(dict.fromkeys(agent for hop in self.hops for agent in hop.agents))

    @property
    def acting(self) -> Actor:
        """Return the person on whose behalf the transfer runs: a template's owner, else its creator."""
        return self.owner or self.created_by

    def ready(self, hop: Hop) -> bool:
        """Return whether the hop's upstream hop has succeeded; True if it has none."""
        return hop.after is None or self.hops[hop.after].state == HopState.SUCCEEDED

    def goes_on_in_part(self, hop: Hop) -> bool:
        """Return whether the hop forwards what its upstream hop delivered before that failed for some files.

        Not where files would be deleted because they are missing upstream.
        """
        if hop.after is None or self.options.delete_extra or self.options.dry_run:
            return False
        before = self.hops[hop.after]
        return before.state == HopState.FAILED and _some_arrived(before)

    def has_open_downstream(self, hop: Hop) -> bool:
        """Return whether a hop that starts from this one's destination has not ended."""
        return any(other.after == hop.number and not other.ended for other in self.hops)

    def can_begin(self, hop: Hop) -> bool:
        """Return whether the hop is ready, goes on in part, or may stream from an upstream hop at work."""
        if self.ready(hop) or self.goes_on_in_part(hop):
            return True
        return self.streams(hop) and self.hops[hop.after or 0].state in AT_WORK

    def streams(self, hop: Hop) -> bool:
        """Return whether this hop forwards each file as soon as its upstream hop has delivered it."""
        return hop.after is not None and hop.route == "direct" and self.options.streams_chain

    def lacks_approval(self, hop: Hop, policies: Iterable[str], now: datetime) -> bool:
        """Return whether one of the policies requires an approval that the hop does not have.

        An approval counts for `APPROVAL_LIFETIME`, and beyond that for a hop that was offered under it. It
        does not count if the approver is one of those who asked for the current start.
        """
        required, given = frozenset(policies), self.approval
        if given is None or given.by is None or given.at is None:
            return bool(required)
        started = hop.offered_at is not None and hop.offered_at >= given.at
        valid = started or now - given.at <= APPROVAL_LIFETIME
        by_another = given.by.id not in {actor.id for actor in self.asked_for}
        return not (valid and by_another and required <= frozenset(given.policies)) and bool(required)

    def with_hops(self, changed: Iterable[Hop], now: datetime) -> "Transfer":
        """Return the transfer with these hops in place of their old versions."""
        new = {hop.number: hop for hop in changed}
        after = replace(self, hops=tuple(new.get(hop.number, hop) for hop in self.hops))
        if not after.ended:
            return replace(after, ended_at=None)
        return replace(after, ended_at=self.ended_at or now, charged=after.spent)


def group_state(state: HopState) -> HopState:
    """Return the state that a hop's state counts as in the transfer's state."""
    return _STATE_GROUPS.get(state, state)


def _some_arrived(hop: Hop) -> bool:
    """Return whether the hop failed for some files only; a hop that runs to its end lists them."""
    return hop.failures_total > 0 and hop.progress.files_done > 0


def derived_state(states: Iterable[HopState], *, some_arrived: bool = False) -> TransferState:
    """Return a transfer's state, derived from its hops' states in any order.

    Paused means that nothing continues until a person resumes it. A transfer of which some hops have ended
    and others are still queued is running. `some_arrived`: a failed hop delivered some of its files.
    """
    seen = {group_state(state) for state in states}
    active = seen - ENDED
    if not active:
        return _end(seen, some_arrived=some_arrived)
    if HopState.AWAITING_APPROVAL in active:
        return TransferState.AWAITING_APPROVAL
    if HopState.PAUSED in active and active <= {HopState.PAUSED, HopState.WAITING}:
        return TransferState.PAUSED
    started = HopState.RUNNING in active or bool(seen & ENDED)
    return TransferState.RUNNING if started else TransferState.QUEUED


def _end(seen: set[HopState], *, some_arrived: bool) -> TransferState:
    if seen == {HopState.SUCCEEDED}:
        return TransferState.SUCCEEDED
    if HopState.FAILED not in seen:
        return TransferState.CANCELLED
    in_part = some_arrived or HopState.SUCCEEDED in seen
    return TransferState.PARTIALLY_FAILED if in_part else TransferState.FAILED
