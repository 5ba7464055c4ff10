"""A staged update of agents: who is in which stage, and what follows from their results.

Each stage is one IoT Job. This module does what IoT Jobs cannot: start the next stage only when the previous
ones have reported healthy, and abort the update when too many have failed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil
from typing import Literal

from events.base import Actor, AgentId, Problem
from events.sizes import json_bytes
from events.updates import FAILED, MemberState, UpdateState
from lambdas.domain import problems
from lambdas.domain.errors import UpdateOverError

MAX_STAGE_SIZE = 100
"""Maximum number of targets that IoT Jobs accepts for one job."""
CHECK_INTERVAL = timedelta(seconds=50)
"""Time after which a running update is due for its next check, by the sweep of the next minute."""
MAX_DURATION = timedelta(days=7)
"""How long an update waits for agents that are offline."""
ENDED: frozenset[MemberState] = frozenset({"succeeded", "failed", "returned", "timed_out", "cancelled"})

MAX_PROBLEM_BYTES = 1024
"""Bytes of a member's problem that are stored."""
MAX_PROBLEMS_BYTES = 128 * 1024
"""Bytes of the problems of all members: they share one row, and DynamoDB accepts 400 KB for an item."""

Next = Literal["wait", "stage", "abort", "end", "expire"]


@dataclass(frozen=True, kw_only=True)
class Member:
    """One agent in an update."""

    agent_id: AgentId
    stage: int
    """From 0, which has the canaries."""
    before: str
    """The version before the update."""
    state: MemberState = "waiting"
    problem: Problem | None = None


@dataclass(frozen=True, kw_only=True)
class Update:
    """One update: target version, members by stage, and when to abort."""

    update_id: str
    version: str
    script: str
    digest: str
    release: str
    """What the publisher has signed about the version (`events.releases`)."""
    members: tuple[Member, ...]
    abort_above: int
    """Percentage of failed members of a stage above which the update is aborted."""
    healthy_within: int
    """Seconds that a new version has to report healthy."""
    created_by: Actor
    created_at: datetime
    state: UpdateState = "running"
    problem: Problem | None = None
    stage: int = 0
    """The latest stage that has started."""
    ended_at: datetime | None = None
    ended_by: Actor | None = None

    @property
    def stages(self) -> int:
        return 1 + max(member.stage for member in self.members)

    @property
    def is_over(self) -> bool:
        """Return whether nothing can change any more; agents may still be busy with a stopped update."""
        return self.state != "running" and all(member.state in ENDED for member in self.members)

    @property
    def counts(self) -> dict[MemberState, int]:
        """Return the number of agents by state."""
        states = [member.state for member in self.members]
        return {state: states.count(state) for state in dict.fromkeys(states)}

    def of_stage(self, stage: int) -> tuple[Member, ...]:
        return tuple(member for member in self.members if member.stage == stage)

    def member(self, agent_id: AgentId) -> Member | None:
        return next((member for member in self.members if member.agent_id == agent_id), None)


@dataclass(frozen=True)
class JobStatus:
    """The status of one agent's job execution in IoT Jobs."""

    status: str
    problem: Problem | None = None
    returned: bool = False
    """The agent is back at its previous version."""


def staged(agents: Sequence[AgentId], canaries: int, percents: Iterable[int]) -> dict[AgentId, int]:
    """Return each agent's stage: canaries, then growing percentages of all agents, then the rest.

    The order of `agents` is kept. A stage that is too large for one job is split into several.
    """
    total = len(agents)
    ends = [canaries, *(max(canaries, ceil(total * percent / 100)) for percent in percents), total]
    stages: list[Sequence[AgentId]] = []
    begin = 0
    for end in (min(end, total) for end in ends):
        stages += [agents[at : min(at + MAX_STAGE_SIZE, end)] for at in range(begin, end, MAX_STAGE_SIZE)]
        begin = max(begin, end)
    return {agent_id: number for number, stage in enumerate(stages) for agent_id in stage}


def begun(update: Update, stage: int) -> Update:
    """Return the update after a stage has started."""
    members = tuple(
        replace(member, state="queued") if member.stage == stage and member.state == "waiting" else member
        for member in update.members
    )
    return replace(update, stage=stage, members=members)


def with_statuses(
    update: Update, statuses: Mapping[AgentId, JobStatus], versions: Mapping[AgentId, str]
) -> Update:
    """Return the update with the current job statuses and the versions of the agents' last Hellos.

    Only members of stages that have started change, and none that has ended.
    """
    return replace(
        update,
        members=tuple(
            member
            if member.stage > update.stage or member.state in ENDED
            else _with_status(member, statuses.get(member.agent_id), versions.get(member.agent_id), update)
            for member in update.members
        ),
    )


def _with_status(member: Member, job: JobStatus | None, version: str | None, update: Update) -> Member:
    if version is None:
        return replace(member, state="cancelled", problem=problems.UPDATE_AGENT_GONE.problem())
    if job is None:
        return member
    match job.status:
        case "QUEUED":
            return replace(member, state="queued")
        case "SUCCEEDED" if version == update.version:
            return replace(member, state="succeeded", problem=None)
        case "SUCCEEDED" | "IN_PROGRESS":
            return replace(member, state="in_progress")
        case "TIMED_OUT":
            return replace(member, state="timed_out", problem=problems.UPDATE_UNREPORTED.problem())
        case "FAILED" | "REJECTED":
            state: MemberState = "returned" if job.returned else "failed"
            return replace(
                member,
                state=state,
                problem=_short(job.problem or problems.UPDATE_UNEXPLAINED.problem(), update),
            )
    return replace(member, state="cancelled", problem=_short(job.problem or update.problem, update))


def _short(problem: Problem | None, update: Update) -> Problem | None:
    """Return a member's problem, shortened to its share of the row; IoT Jobs keeps the full text.

    One that is too long loses its advice and what translations need, then the end of its message.
    """
    share = min(MAX_PROBLEM_BYTES, MAX_PROBLEMS_BYTES // len(update.members))
    if problem is None or json_bytes(problem.model_dump()) <= share:
        return problem
    text = problem.message
    short = Problem(code=problem.code, message=text)
    while json_bytes(short.model_dump()) > share and text:
        text = text[:-10]
        short = Problem(code=problem.code, message=f"{text}…")
    return short


def following(update: Update, away: frozenset[AgentId], now: datetime) -> Next:
    """Return the next step of a running update.

    An offline agent does not delay later stages, but the update does not end without it. Every canary must
    have ended before the next stage starts.
    """
    members = update.of_stage(update.stage)
    failed = sum(member.state in FAILED for member in members)
    if failed * 100 > update.abort_above * len(members):
        return "abort"
    if all(member.state in ENDED for member in update.members):
        return "end"
    if now - update.created_at > MAX_DURATION:
        return "expire"
    open_ones = {member.agent_id for member in members if member.state not in ENDED}
    waits = open_ones if update.stage == 0 else open_ones - _queued_offline(members, away)
    if waits or update.stage + 1 == update.stages:
        return "wait"
    return "stage"


def _queued_offline(members: Iterable[Member], away: frozenset[AgentId]) -> set[AgentId]:
    return {member.agent_id for member in members if member.state == "queued" and member.agent_id in away}


def ended(
    update: Update, state: UpdateState, problem: Problem | None, by: Actor | None, now: datetime
) -> Update:
    """Return the ended update; members that had not started are cancelled."""
    cancelled = _short(problem, update)
    members = tuple(
        replace(member, state="cancelled", problem=cancelled)
        if member.state in {"waiting", "queued"}
        else member
        for member in update.members
    )
    return replace(update, state=state, problem=problem, ended_at=now, ended_by=by, members=members)


def how_it_ended(update: Update) -> tuple[UpdateState, Problem | None]:
    """Return the final state of an update whose members have all ended, and what is wrong."""
    missing = sum(member.state != "succeeded" for member in update.members)
    if not missing:
        return "succeeded", None
    return "failed", problems.UPDATE_INCOMPLETE.problem(missing=missing, total=len(update.members))


def why_aborted(update: Update) -> Problem:
    """Return the reason for aborting: how many of the current stage failed."""
    members = update.of_stage(update.stage)
    failed = [member for member in members if member.state in FAILED]
    return problems.UPDATE_ABORTED.problem(
        failed=len(failed), total=len(members), stage=update.stage + 1, agent_id=failed[0].agent_id
    )


def why_not(update: Update, agent_id: AgentId) -> Problem | None:
    """Return why this agent gets no signed order of the update now; None if it does."""
    member = update.member(agent_id)
    if member is None or member.stage > update.stage:
        return problems.UPDATE_NOT_DUE.problem(agent_id=agent_id, update_id=update.update_id)
    if update.state != "running":
        return problems.UPDATE_STOPPED.problem(update_id=update.update_id, state=update.state)
    return None


def must_run(update: Update) -> None:
    """Raise UpdateOverError if the update is not running."""
    if update.state != "running":
        raise UpdateOverError(update.update_id, update.state)
