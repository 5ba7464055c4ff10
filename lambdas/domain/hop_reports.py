"""Apply an agent's reports to a hop: pure functions that return the changed copy."""

from dataclasses import replace
from datetime import datetime
from typing import Literal

from events.base import AgentId, Problem
from events.progress import Progress
from events.reports import (
    DESTINATION_UNREACHABLE,
    PREVIOUS_HOP_NOT_RUNNING,
    SOURCE_UNREACHABLE,
    AboutHop,
    AgentHop,
    Cancelled,
    Checkpoint,
    Failed,
    Paused,
    Started,
    Succeeded,
    Verifying,
)
from events.states import HopState
from lambdas.domain.hop import AT_WORK, NO_REPORT, Hop, moved, set_back, tried_again
from lambdas.domain.problems import AGENT_RESTARTED
from lambdas.domain.progress_history import with_point
from lambdas.domain.spending import price_of

S = HopState

_NOT_OFFERED = {S.AWAITING_APPROVAL, S.WAITING, S.QUEUED}
"""States in which the current attempt was not offered to an agent yet."""


def apply_report(hop: Hop, report: AboutHop, by: AgentId, now: datetime) -> Hop:
    """Return the hop after a report; the same object if it is late, repeated, reordered or foreign."""
    if hop.ended or hop.offered_at is None or by != hop.carrier or report.hop_id != hop.hop_id:
        return hop
    if isinstance(report, Succeeded) and _is_old_success(hop, report):
        return _succeeded(hop, report, now)
    if report.attempt != hop.attempt or report.seq <= hop.seq or hop.state in _NOT_OFFERED:
        return hop
    return _after(_with_point(_recorded(hop, report), report, now), report, now)


def _after(hop: Hop, report: AboutHop, now: datetime) -> Hop:
    """Return the hop after a report of the current attempt."""
    match report:
        case Started():
            return _at_work(replace(hop, via=report.via, connection=report.connection), S.RUNNING, now)
        case Checkpoint():
            return _at_work(hop, S.VERIFYING if hop.state == S.VERIFYING else S.RUNNING, now)
        case Verifying():
            return _at_work(hop, S.VERIFYING, now)
        case Paused():
            return moved(replace(hop, problem=report.problem or hop.problem), S.PAUSED, now)
        case Succeeded():
            return _succeeded(hop, report, now)
        case Failed():
            return _failed(hop, report, now)
        case Cancelled():
            return moved(hop, S.CANCELLED, now)


def _is_old_success(hop: Hop, report: Succeeded) -> bool:
    """Return whether an earlier attempt has succeeded after all.

    The control plane was unreachable, the lease expired and the hop was queued again; then the agent delivers
    the success from its disk. Every attempt of a hop is the same command to the same agent, so the success
    holds whichever attempt it came from: each file was at its destination with its digest. Running the hop
    again would only confirm that. If the agent already runs a newer attempt, it loses its source now and is
    told to stop at its next Hello. Other late reports are useless: the newer attempt decides. So is a success
    from before a retry that has more to move.
    """
    return hop.success_from <= report.attempt < hop.attempt


def _recorded(hop: Hop, report: AboutHop) -> Hop:
    known = replace(hop, seq=report.seq, reported_at=report.at, unanswered=0)
    if hop.seq == NO_REPORT:
        known = replace(known, progress=hop.progress.for_next_attempt())
    return known if isinstance(report, Started) else _with_progress(known, report.progress)


def _with_point(hop: Hop, report: AboutHop, now: datetime) -> Hop:
    """Return the hop with a point of its history: always where the speed changes, at a start or an end."""
    always = not isinstance(report, Checkpoint | Verifying)
    return replace(hop, history=with_point(hop.history, now, hop.most_bytes, always=always))


def _with_progress(hop: Hop, progress: Progress) -> Hop:
    mark = progress.bytes_done + progress.files_done
    new = replace(_charged(hop, progress), most_bytes=max(hop.most_bytes, progress.bytes_done))
    return replace(new, high_water=mark, tries=0) if mark > hop.high_water else new


def _charged(hop: Hop, progress: Progress) -> Hop:
    """Return the hop with this progress, and the price of what was moved since the report before.

    An agent that was restarted counts from 0 again.
    """
    files = progress.files_moved - hop.progress.files_moved
    size = progress.bytes_moved - hop.progress.bytes_moved
    if files < 0 or size < 0:
        files, size = progress.files_moved, progress.bytes_moved
    price = price_of((hop.source, hop.destination), hop.connection, hop.storage_class, files, size)
    return replace(hop, progress=progress, spent=hop.spent + price)


def _at_work(hop: Hop, state: HopState, now: datetime) -> Hop:
    """Return the hop at work; a report from before the agent received a person's pause does not end it."""
    if hop.paused_by_user:
        return hop
    started = replace(_without_failures(hop), started_at=hop.started_at or now)
    return moved(started, state, now)


def _without_failures(hop: Hop) -> Hop:
    """Return the hop without what went wrong in the attempt before, which tells nothing about this one."""
    return replace(hop, problem=None, failures=(), failures_total=0)


def _succeeded(hop: Hop, report: Succeeded, now: datetime) -> Hop:
    done = replace(_charged(hop, report.progress), digest=report.digest, preview=report.preview)
    return moved(replace(_without_failures(done), started_at=hop.started_at or now), S.SUCCEEDED, now)


def _failed(hop: Hop, report: Failed, now: datetime) -> Hop:
    failed = replace(
        hop,
        problem=_of_both_sides(report.problem, hop.problem),
        failures=report.failures,
        failures_total=report.failures_total,
    )
    if hop.after is not None and report.problem.code == PREVIOUS_HOP_NOT_RUNNING and not hop.paused_by_user:
        return set_back(failed, now)
    if not report.problem.retryable:
        return moved(failed, S.FAILED, now)
    return failed if hop.paused_by_user else tried_again(failed, now)


def declined(hop: Hop, problem: Problem, by: AgentId) -> Hop:
    """Return the hop after one of its agents rejected a command for it (its clock is wrong, for example).

    The hop is offered again when its lease expires; until then, people can read why nothing happens. If the
    destination could not dial, the source's failure to dial is added to its problem.
    """
    if by not in hop.agents:
        return hop
    if hop.state == S.OFFERED:
        return replace(hop, problem=problem)
    if hop.state == S.QUEUED and hop.problem:
        return replace(hop, problem=_of_both_sides(hop.problem, problem))
    return hop


def _of_both_sides(problem: Problem, other: Problem | None) -> Problem:
    """Return the destination's problem, with the source's added if neither could dial the other."""
    codes = (problem.code, other.code if other else None)
    if other is None or codes != (SOURCE_UNREACHABLE, DESTINATION_UNREACHABLE):
        return problem
    if other.message in problem.message:
        return problem
    reasons = filter(None, (one.parameters.get("reason") for one in (problem, other)))
    return problem.model_copy(
        update={
            "message": f"{problem.message} {other.message}",
            "parameters": {**problem.parameters, "reason": "; ".join(reasons)},
        }
    )


def lost(hop: Hop, hello_at: datetime, now: datetime) -> Hop:
    """Return the hop after a Hello of its agent did not list it, though the table has it at work.

    A Hello older than the agent's last report of the hop, by the agent's own clock, proves nothing.
    """
    paused_by_agent = hop.state == S.PAUSED and not hop.paused_by_user
    if not (hop.state in AT_WORK or paused_by_agent) or (hop.reported_at and hop.reported_at > hello_at):
        return hop
    problem = AGENT_RESTARTED.problem(agent_id=hop.carrier, hop=hop.display_name)
    return tried_again(replace(hop, problem=problem), now)


def correction(hop: Hop | None, agent_hop: AgentHop) -> Literal["cancel", "pause"] | None:
    """Return the command that brings an agent's hop in line with the table, or None.

    A hop that has ended or is unknown must be cancelled. Queued hops get their Move anyway.
    """
    if hop is None or hop.ended:
        return "cancel"
    stopped = hop.paused_by_user or hop.state == S.AWAITING_APPROVAL
    return "pause" if stopped and agent_hop.state == "running" else None
