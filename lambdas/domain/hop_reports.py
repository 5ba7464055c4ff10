"""What a hop becomes by what its agent says, or does not say."""

from dataclasses import replace
from datetime import datetime
from typing import Literal

from events.base import AgentId, Problem
from events.progress import Progress
from events.reports import (
    DESTINATION_UNREACHABLE,
    PREVIOUS_HOP_RESTS,
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
from lambdas.domain.hop import AT_WORK, Hop, moved, set_back, tried_again

S = HopState

_NOT_OUT = {S.AWAITING_APPROVAL, S.WAITING, S.QUEUED}
"""This attempt was offered to nobody yet."""


def apply_report(hop: Hop, report: AboutHop, by: AgentId, now: datetime) -> Hop:
    """The hop after a report; the same hop when the report is late, repeated, reordered or not its own."""
    if hop.ended or hop.offered_at is None or by != hop.carrier or report.hop_id != hop.hop_id:
        return hop
    if isinstance(report, Succeeded) and _is_old_success(hop, report):
        return _succeeded(hop, report, now)
    if report.attempt != hop.attempt or report.seq <= hop.seq or hop.state in _NOT_OUT:
        return hop
    return _taken(_noted(hop, report), report, now)


def _taken(hop: Hop, report: AboutHop, now: datetime) -> Hop:
    """The hop after a report that counts."""
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
    """Did an earlier attempt succeed after all?

    The control plane was away, the lease lapsed, the hop was queued anew; then the agent's disk delivers
    the success. Every attempt of a hop is the same order to the same agent, so what it says is true
    whichever attempt did it: each file stood at its destination with its digest. To carry it out again
    would only prove it. Should the agent be at a newer attempt after all, it loses its source now and
    is told to stop at its next Hello. Other late reports say nothing of use: the newer attempt decides.
    """
    return report.attempt < hop.attempt


def _noted(hop: Hop, report: AboutHop) -> Hop:
    known = replace(hop, seq=report.seq, reported_at=report.at, unanswered=0)
    return known if isinstance(report, Started) else _with_progress(known, report.progress)


def _with_progress(hop: Hop, progress: Progress) -> Hop:
    mark = progress.bytes_done + progress.files_done
    if mark <= hop.high_water:
        return replace(hop, progress=progress)
    return replace(hop, progress=progress, high_water=mark, tries=0)


def _at_work(hop: Hop, state: HopState, now: datetime) -> Hop:
    """A sign of life. One from before the agent heard of a person's pause does not end the pause."""
    if hop.paused_by_user:
        return hop
    begun = replace(hop, problem=None, started_at=hop.started_at or now)
    return moved(begun, state, now)


def _succeeded(hop: Hop, report: Succeeded, now: datetime) -> Hop:
    done = replace(hop, progress=report.progress, digest=report.digest, preview=report.preview, problem=None)
    return moved(replace(done, started_at=hop.started_at or now), S.SUCCEEDED, now)


def _failed(hop: Hop, report: Failed, now: datetime) -> Hop:
    told = replace(
        hop,
        problem=_of_both_sides(report.problem, hop.problem),
        failures=report.failures,
        failures_total=report.failures_total,
    )
    if hop.after is not None and report.problem.code == PREVIOUS_HOP_RESTS and not hop.paused_by_user:
        return set_back(told, now)
    if not report.problem.retryable:
        return moved(told, S.FAILED, now)
    return told if hop.paused_by_user else tried_again(told, now)


def declined(hop: Hop, problem: Problem, by: AgentId) -> Hop:
    """The hop after one of its agents did not obey a command for it (its clock is wrong, say).

    It is offered again when its lease runs out; until then, people can read why nothing happens. That the
    source could not dial is of use after the destination has said the same, too.
    """
    if by not in hop.agents:
        return hop
    if hop.state == S.OFFERED:
        return replace(hop, problem=problem)
    if hop.state == S.QUEUED and hop.problem:
        return replace(hop, problem=_of_both_sides(hop.problem, problem))
    return hop


def _of_both_sides(problem: Problem, other: Problem | None) -> Problem:
    """The destination's problem, with what the source met when neither could dial the other."""
    codes = (problem.code, other.code if other else None)
    if other is None or codes != (SOURCE_UNREACHABLE, DESTINATION_UNREACHABLE):
        return problem
    if other.message in problem.message:
        return problem
    return problem.model_copy(update={"message": f"{problem.message} {other.message}"})


def lost(hop: Hop, hello_at: datetime, now: datetime) -> Hop:
    """The hop after its agent said Hello without it, though the table has it at work.

    A Hello older than the agent's last report of the hop, by the agent's own clock, says nothing.
    """
    waits_by_itself = hop.state == S.PAUSED and not hop.paused_by_user
    if not (hop.state in AT_WORK or waits_by_itself) or (hop.reported_at and hop.reported_at > hello_at):
        return hop
    return tried_again(replace(hop, problem=_forgotten(hop)), now)


def correction(hop: Hop | None, held: AgentHop) -> Literal["cancel", "pause"] | None:
    """The command for a hop that an agent holds and the table sees otherwise.

    A hop that has ended, or that nobody knows, is not to be held. Queued hops get their Move anyway.
    """
    if hop is None or hop.ended:
        return "cancel"
    stopped = hop.paused_by_user or hop.state == S.AWAITING_APPROVAL
    return "pause" if stopped and held.state == "running" else None


def _forgotten(hop: Hop) -> Problem:
    return Problem(
        code="agent-restarted",
        message=f"{hop.carrier} came back without {hop.called}, which it had begun.",
        advice="It is sent again by itself. If this repeats, look into the agent's log.",
        retryable=True,
    )
