"""The life cycle of a hop: its fields, the table of allowed transitions, and the one way to change its state.

`hop_reports` applies what agents report, `hop_changes` what the control plane and people do: pure functions
from a hop to a hop. They return the very same object if nothing changes, so callers write only differences.
Times are the control plane's clock; an agent's clock is compared only with itself.
"""

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from events.base import AgentId, Problem
from events.locations import Location, RemoteLocation, S3Location, agent_of
from events.progress import Connection, Progress
from events.reports import DryRunResult
from events.states import HopState
from lambdas.domain.progress_history import ProgressHistory
from lambdas.domain.spending import NOTHING, Spent

S = HopState

FLOW: dict[HopState, frozenset[HopState]] = {
    S.AWAITING_APPROVAL: frozenset({S.QUEUED, S.SUCCEEDED, S.FAILED, S.CANCELLED}),
    S.WAITING:   frozenset({S.QUEUED, S.PAUSED, S.FAILED, S.CANCELLED}),
    S.QUEUED:    frozenset({S.AWAITING_APPROVAL, S.OFFERED, S.PAUSED, S.SUCCEEDED, S.FAILED, S.CANCELLED}),
    S.OFFERED:   frozenset({S.WAITING, S.QUEUED, S.RUNNING, S.PAUSED, S.VERIFYING, S.SUCCEEDED, S.FAILED,
                            S.CANCELLED}),
    S.RUNNING:   frozenset({S.WAITING, S.QUEUED, S.PAUSED, S.VERIFYING, S.SUCCEEDED, S.FAILED, S.CANCELLED}),
    S.PAUSED:    frozenset({S.WAITING, S.QUEUED, S.RUNNING, S.VERIFYING, S.SUCCEEDED, S.FAILED, S.CANCELLED}),
    S.VERIFYING: frozenset({S.WAITING, S.QUEUED, S.RUNNING, S.PAUSED, S.SUCCEEDED, S.FAILED, S.CANCELLED}),
    S.SUCCEEDED: frozenset(),
    S.FAILED:    frozenset({S.WAITING, S.QUEUED}),  # when a person asks for a retry, and only then
    S.CANCELLED: frozenset({S.WAITING, S.QUEUED}),  # when a person asks for a retry, and only then
}  # fmt: skip
"""Allowed transitions. A state may always follow itself (progress, a renewed lease)."""

ENDED = frozenset({S.SUCCEEDED, S.FAILED, S.CANCELLED})
AT_WORK = frozenset({S.RUNNING, S.VERIFYING})

OFFER_LEASE = timedelta(seconds=30)
WORK_LEASE = timedelta(seconds=60)
FIRST_CHECK_DELAY = timedelta(seconds=60)
MAX_CHECK_DELAY = timedelta(minutes=10)
MAX_BACKOFF = timedelta(minutes=10)
DECISION_LIFETIME = timedelta(minutes=1)
"""How long after a transfer was authorized a hop may start without another decision."""
CONFIRM_WINDOW = timedelta(seconds=15)
"""Time for which a reported speed is shown. Agents report their progress every 10 s."""
MAX_ATTEMPTS = 8
"""Failed attempts in a row, without any progress, after which a hop has failed."""

Route = Literal["direct", "s3", "local", "remote"]
NOTHING_YET = Progress()
NO_REPORT = -1


@dataclass(frozen=True, kw_only=True)
class Hop:
    """One movement of a transfer, from one location to one other."""

    transfer_id: str
    number: int
    source: Location
    destination: Location
    """The exact location at which the source arrives."""
    after: int | None = None
    """Number of the upstream hop in a chain, for which this one waits."""
    storage_class: str | None = None
    """Class in which a bucket keeps what arrives; None: the bucket's own."""
    created_at: datetime

    state: HopState = S.QUEUED
    attempt: int = 1
    """Grows with every return to the queue, so that reports of an earlier offer are recognized as late."""
    success_from: int = 1
    """First attempt whose success counts: an earlier one may have forwarded a part of what is here now."""
    seq: int = NO_REPORT
    """Sequence number of the last report of this attempt that changed anything."""
    paused_by_user: bool = False
    """A person paused the hop: only a person resumes it."""
    changed_at: datetime
    due_at: datetime | None = None
    """When the sweeper must check it: end of a lease, time of a retry, next check of a queued hop."""
    retry_at: datetime | None = None
    offered_at: datetime | None = None
    tries: int = 0
    """Failed attempts since the last progress."""
    unanswered: int = 0
    """Offers in a row that the agent did not start."""
    high_water: int = 0
    """Highest sum of bytes and files ever reported at the destination: only more than this is progress."""
    most_bytes: int = 0
    """Most bytes ever reported at the destination: a new attempt first compares them, and counts from 0."""
    history: ProgressHistory = ()
    seconds_at_work: float = 0.0
    """How long it ran or verified, in all its attempts, until its state last changed."""
    reported_at: datetime | None = None
    """Time of the last report, by the agent's clock."""

    via: str | None = None
    connection: Connection | None = None
    progress: Progress = NOTHING_YET
    spent: Spent = NOTHING
    """What all attempts have cost until the last report, by the prices of then."""
    problem: Problem | None = None
    failures: tuple[Problem, ...] = ()
    failures_total: int = 0
    digest: str | None = None
    preview: DryRunResult | None = None
    """Result of a dry run."""
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def hop_id(self) -> str:
        return f"{self.transfer_id}-{self.number}"

    @property
    def display_name(self) -> str:
        """Return the hop's name for people, who count from 1: `hop 1`."""
        return f"hop {self.number + 1}"

    @property
    def source_agent(self) -> AgentId | None:
        return agent_of(self.source)

    @property
    def carrier(self) -> AgentId:
        """Return the agent that moves the bytes and reports: the destination's, or the only one."""
        agent_id = agent_of(self.destination) or agent_of(self.source)
        if agent_id is None:
            raise TypeError(f"{self.hop_id} has no agent at either end")
        return agent_id

    @property
    def agents(self) -> tuple[AgentId, ...]:
        """Return the agents at both ends, the source's first."""
        return tuple(dict.fromkeys(agent for agent in (self.source_agent, self.carrier) if agent))

    @property
    def bucket(self) -> str | None:
        """Return the bucket at one of the ends; None if neither is in S3."""
        return next(
            (end.bucket for end in (self.source, self.destination) if isinstance(end, S3Location)), None
        )

    @property
    def bytes_arrived(self) -> int:
        """Return the bytes that are new at the destination."""
        return max(0, self.progress.bytes_done - self.progress.bytes_unchanged)

    @property
    def route(self) -> Route:
        return route_of(self.source, self.destination)

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    def decided_recently(self, now: datetime) -> bool:
        """Return whether the first attempt was requested or approved within `DECISION_LIFETIME`.

        Automatic retries, and hops that waited for their upstream hop, are queued without a decision.
        """
        return self.attempt == 1 and self.after is None and now - self.changed_at <= DECISION_LIFETIME

    def seconds_since_report(self, now: datetime) -> float | None:
        """Return the seconds since the agent's last report, which began the lease; None if not at work."""
        if self.state not in AT_WORK or self.due_at is None:
            return None
        return max((now - (self.due_at - WORK_LEASE)).total_seconds(), 0.0)

    def seconds_at_work_until(self, now: datetime) -> float:
        """Return how long the hop ran or verified in all its attempts: without queues, waits and pauses."""
        if self.state not in AT_WORK:
            return self.seconds_at_work
        return self.seconds_at_work + max((now - self.changed_at).total_seconds(), 0.0)

    def progress_at(self, now: datetime) -> Progress:
        """Return the progress to show, without a speed if the last report is older than `CONFIRM_WINDOW`."""
        age = self.seconds_since_report(now)
        if age is not None and age <= CONFIRM_WINDOW.total_seconds():
            return self.progress
        return self.progress.model_copy(update={"bytes_per_second": 0})


def route_of(source: Location, destination: Location) -> Route:
    """Return how the bytes travel between two locations."""
    if isinstance(source, S3Location) or isinstance(destination, S3Location):
        return "s3"
    if isinstance(source, RemoteLocation) or isinstance(destination, RemoteLocation):
        return "remote"
    return "local" if source.agent_id == destination.agent_id else "direct"


def relay_prefix(hop_id: str) -> str:
    """Return the hop's prefix in the relay bucket; a hash, which reveals nothing, not even the hop's id."""
    return f"{hashlib.sha256(f'relay/{hop_id}'.encode()).hexdigest()[:32]}/"


def hop_number(hop_id: str) -> int:
    return int(hop_id.rpartition("-")[2])


def backoff(tries: int) -> timedelta:
    """Return the wait before the next attempt: 10 s, 20 s, 40 s … 10 min."""
    return min(timedelta(seconds=10 * 2 ** min(tries, 10)), MAX_BACKOFF)


def tried_again(hop: Hop, now: datetime) -> Hop:
    """Return the hop after a failed attempt: queued with a backoff, or failed after `MAX_ATTEMPTS`."""
    if hop.tries + 1 >= MAX_ATTEMPTS:
        return moved(hop, S.FAILED, now)
    return queued(replace(hop, tries=hop.tries + 1), now, now + backoff(hop.tries))


def set_back(hop: Hop, now: datetime) -> Hop:
    """Return the hop waiting again because its upstream hop has stopped; this is not a failed attempt."""
    return moved(replace(hop, attempt=hop.attempt + 1, seq=NO_REPORT), S.WAITING, now)


def queued(hop: Hop, now: datetime, retry_at: datetime | None) -> Hop:
    """Return the hop back in the queue, under a new attempt."""
    new = replace(hop, attempt=hop.attempt + 1, seq=NO_REPORT, retry_at=retry_at)
    return moved(new, S.QUEUED, now)


def moved(hop: Hop, state: HopState, now: datetime) -> Hop:
    """Return the hop in this state, with the lease, waiting time or end time that belong to it.

    Raises:
        ValueError: `FLOW` does not allow the transition, which is a bug of the caller.
    """
    if state != hop.state and state not in FLOW[hop.state]:
        raise ValueError(f"{hop.hop_id}: {state} may not follow {hop.state}")
    return replace(
        hop,
        state=state,
        changed_at=hop.changed_at if state == hop.state else now,
        seconds_at_work=hop.seconds_at_work if state == hop.state else hop.seconds_at_work_until(now),
        due_at=_due(hop, state, now),
        retry_at=hop.retry_at if state == S.QUEUED else None,
        paused_by_user=hop.paused_by_user and state == S.PAUSED,
        ended_at=now if state in ENDED else None,
    )


def _due(hop: Hop, state: HopState, now: datetime) -> datetime | None:
    if state == S.OFFERED:
        return now + OFFER_LEASE
    if state in AT_WORK:
        return now + WORK_LEASE
    if state in {S.WAITING, S.QUEUED}:
        return hop.retry_at or now + FIRST_CHECK_DELAY
    return None
