"""Apply what the control plane and people do to a hop: pure functions that return the changed copy."""

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
from lambdas.domain.problems import HOP_NOT_REPORTED, PREVIOUS_HOP_ENDED, PREVIOUS_HOP_INCOMPLETE

S = HopState


def offered(hop: Hop, now: datetime) -> Hop:
    """Return the hop as offered to its agent, if it is queued and its time has come."""
    if hop.state != S.QUEUED or (hop.retry_at and hop.retry_at > now):
        return hop
    return moved(replace(hop, offered_at=now, retry_at=None), S.OFFERED, now)


def lease_expired(hop: Hop, now: datetime) -> Hop:
    """Return the hop after its lease expired: offered or at work, without a report from the agent."""
    if hop.due_at is None or hop.due_at > now:
        return hop
    if hop.state == S.OFFERED:
        wait = backoff(hop.unanswered)
        return queued(replace(hop, unanswered=hop.unanswered + 1), now, now + wait)
    return tried_again(replace(hop, problem=_agent_silent(hop)), now) if hop.state in AT_WORK else hop


def requeued(hop: Hop, now: datetime) -> Hop:
    """Return the hop queued again after one of its agents reconnected, since the command may be lost.

    If the command did arrive, the next one continues the work under a newer attempt.
    """
    return queued(hop, now, None) if hop.state == S.OFFERED else hop


def released(hop: Hop, now: datetime) -> Hop:
    """Return the hop queued after its upstream hop has succeeded, or delivers files that it can forward."""
    return moved(hop, S.QUEUED, now) if hop.state == S.WAITING else hop


def failed_by_upstream(hop: Hop, before: Hop, now: datetime) -> Hop:
    """Return the hop ended because its upstream hop `before` failed or was cancelled."""
    if hop.ended:
        return hop
    problem = PREVIOUS_HOP_ENDED.problem(
        hop=hop.display_name.capitalize(), previous=before.display_name, state=before.state
    )
    return moved(replace(hop, problem=problem), before.state, now)


def ended_in_part(hop: Hop, before: Hop) -> Hop:
    """Return the succeeded hop as failed: it forwarded what had arrived at its upstream hop `before`.

    A retry of the transfer repeats both.
    """
    problem = PREVIOUS_HOP_INCOMPLETE.problem(
        hop=hop.display_name.capitalize(), previous=before.display_name, failed=before.failures_total
    )
    return replace(hop, state=S.FAILED, problem=problem, failures_total=before.failures_total)


def refused(hop: Hop, problem: Problem, now: datetime) -> Hop:
    """Return the hop failed for good, since it cannot be carried out at all."""
    return hop if hop.ended else moved(replace(hop, problem=problem), S.FAILED, now)


def rescheduled(hop: Hop, now: datetime) -> Hop:
    """Return a queued or waiting hop with its next check: the longer it waits, the later."""
    if hop.state not in {S.WAITING, S.QUEUED}:
        return hop
    delay = min(max(now - hop.changed_at, FIRST_CHECK_DELAY), MAX_CHECK_DELAY)
    return replace(hop, due_at=now + delay)


def held_for_approval(hop: Hop, now: datetime) -> Hop:
    """Return a queued hop as awaiting approval by a second person."""
    return moved(hop, S.AWAITING_APPROVAL, now) if hop.state == S.QUEUED else hop


def approved(hop: Hop, now: datetime) -> Hop:
    return moved(hop, S.QUEUED, now) if hop.state == S.AWAITING_APPROVAL else hop


def declined_start(hop: Hop, problem: Problem, now: datetime) -> Hop:
    """Return a hop that awaits approval, or waits for one that does, as cancelled for this reason."""
    if hop.state not in {S.AWAITING_APPROVAL, S.WAITING}:
        return hop
    return moved(replace(hop, problem=problem), S.CANCELLED, now)


def paused(hop: Hop, now: datetime) -> Hop:
    """Return the hop paused by a person; not one that awaits approval, which a resume would bypass."""
    if hop.ended or hop.paused_by_user or hop.state == S.AWAITING_APPROVAL:
        return hop
    return moved(replace(hop, paused_by_user=True), S.PAUSED, now)


def cancelled(hop: Hop, now: datetime) -> Hop:
    return hop if hop.ended else moved(hop, S.CANCELLED, now)


def resumed(hop: Hop, ready: bool, now: datetime) -> Hop:
    """Return a paused hop back in the queue; `ready`: its upstream hop has succeeded."""
    return _restarted(hop, ready, now) if hop.state == S.PAUSED else hop


def retried(hop: Hop, ready: bool, now: datetime, *, in_part: bool = False) -> Hop:
    """Return a failed or cancelled hop back in the queue; `ready`: its upstream hop has succeeded.

    `in_part`: it may have forwarded a part, which its agent takes for a success of the whole.
    """
    if hop.state not in {S.FAILED, S.CANCELLED}:
        return hop
    again = _restarted(hop, ready, now)
    return replace(again, success_from=again.attempt) if in_part else again


def _restarted(hop: Hop, ready: bool, now: datetime) -> Hop:
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
    new = queued(clean, now, None)
    return new if ready else replace(new, state=S.WAITING)


def _agent_silent(hop: Hop) -> Problem:
    return HOP_NOT_REPORTED.problem(agent_id=hop.carrier, hop=hop.display_name, seconds=WORK_LEASE.seconds)
