"""What a hop becomes by the cloud's own doing and by what people ask."""

from dataclasses import replace
from datetime import datetime

from events.base import Problem
from events.states import HopState
from lambdas.domain.hop import (
    AT_WORK,
    FIRST_CHECK_DELAY,
    MAX_CHECK_DELAY,
    WORK_LEASE,
    Hop,
    backoff,
    moved,
    queued,
    tried_again,
)

S = HopState

PREVIOUS_HOP_ENDED = "previous-hop-ended"


def offered(hop: Hop, now: datetime) -> Hop:
    """The hop with its command on the way, if it is queued and its time has come."""
    if hop.state != S.QUEUED or (hop.retry_at and hop.retry_at > now):
        return hop
    return moved(replace(hop, offered_at=now, retry_at=None), S.OFFERED, now)


def lease_expired(hop: Hop, now: datetime) -> Hop:
    """The hop after its lease ran out: offered or at work without a word from the agent."""
    if hop.due_at is None or hop.due_at > now:
        return hop
    if hop.state == S.OFFERED:
        wait = backoff(hop.unanswered)
        return queued(replace(hop, unanswered=hop.unanswered + 1), now, now + wait)
    return tried_again(replace(hop, problem=_fell_silent(hop)), now) if hop.state in AT_WORK else hop


def requeued(hop: Hop, now: datetime) -> Hop:
    """The hop after one of its agents began to listen anew: its command may have been sent while it did not.
    Should it have been heard after all, the next one makes it go on under a newer attempt."""
    return queued(hop, now, None) if hop.state == S.OFFERED else hop


def released(hop: Hop, now: datetime) -> Hop:
    """The hop after the one it waits for has succeeded, or brings what it can take on."""
    return moved(hop, S.QUEUED, now) if hop.state == S.WAITING else hop


def failed_by_upstream(hop: Hop, before: Hop, now: datetime) -> Hop:
    """The hop after the one it waits for has failed or was cancelled: it will not be carried out."""
    if hop.ended:
        return hop
    advice = f"See what is wrong with {before.called}, then retry the transfer."
    problem = Problem(
        code=PREVIOUS_HOP_ENDED,
        message=f"{hop.called.capitalize()} goes on from {before.called}, which {before.state}.",
        advice=advice,
    )
    return moved(replace(hop, problem=problem), before.state, now)


def refused(hop: Hop, problem: Problem, now: datetime) -> Hop:
    """The hop after it turned out that it cannot be carried out at all."""
    return hop if hop.ended else moved(replace(hop, problem=problem), S.FAILED, now)


def rescheduled(hop: Hop, now: datetime) -> Hop:
    """A queued or waiting hop that was looked at in vain: look again later, less and less often."""
    if hop.state not in {S.WAITING, S.QUEUED}:
        return hop
    nap = min(max(now - hop.changed_at, FIRST_CHECK_DELAY), MAX_CHECK_DELAY)
    return replace(hop, due_at=now + nap)


def held_for_approval(hop: Hop, now: datetime) -> Hop:
    """A hop that could go on, until a second person has agreed."""
    return moved(hop, S.AWAITING_APPROVAL, now) if hop.state == S.QUEUED else hop


def approved(hop: Hop, now: datetime) -> Hop:
    return moved(hop, S.QUEUED, now) if hop.state == S.AWAITING_APPROVAL else hop


def paused(hop: Hop, now: datetime) -> Hop:
    """What waits for approval is not paused: it would be resumed without one."""
    if hop.ended or hop.paused_by_user or hop.state == S.AWAITING_APPROVAL:
        return hop
    return moved(replace(hop, paused_by_user=True), S.PAUSED, now)


def cancelled(hop: Hop, now: datetime) -> Hop:
    return hop if hop.ended else moved(hop, S.CANCELLED, now)


def resumed(hop: Hop, ready: bool, now: datetime) -> Hop:
    """A paused hop goes on; `ready`: what it waits for has succeeded."""
    return _afresh(hop, ready, now) if hop.state == S.PAUSED else hop


def retried(hop: Hop, ready: bool, now: datetime) -> Hop:
    """A failed or cancelled hop gets another chance."""
    return _afresh(hop, ready, now) if hop.state in {S.FAILED, S.CANCELLED} else hop


def _afresh(hop: Hop, ready: bool, now: datetime) -> Hop:
    clean = replace(
        hop,
        tries=0,
        unanswered=0,
        problem=None,
        failures=(),
        failures_total=0,
        ended_at=None,
        paused_by_user=False,
    )
    anew = queued(clean, now, None)
    return anew if ready else replace(anew, state=S.WAITING)


def _fell_silent(hop: Hop) -> Problem:
    return Problem(
        code="agent-silent",
        message=f"{hop.carrier} said nothing about {hop.called} for {WORK_LEASE.seconds} s.",
        advice="See in the list of agents whether it is online; the hop goes on when it is back.",
        retryable=True,
    )
