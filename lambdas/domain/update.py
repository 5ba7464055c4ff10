"""An update of agents in stages: who is in which, and what follows from how they have done.

Each stage is one IoT Job. What IoT Jobs cannot do is here: to let the next stage begin only when those before
have reported healthy, and to end all of it when too many have not.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil
from typing import Literal

from events.base import Actor, AgentId
from events.updates import FAILED, MemberState, UpdateState
from lambdas.domain.errors import UpdateOverError

MAX_STAGE_SIZE = 100
"""IoT Jobs takes so many targets for one job."""
CHECK_INTERVAL = timedelta(seconds=50)
"""When a running update is looked at again: at the next minute."""
MAX_DURATION = timedelta(days=7)
"""How long agents that are away are waited for."""
ENDED: frozenset[MemberState] = frozenset({"succeeded", "failed", "returned", "timed_out", "cancelled"})

MAX_REASON_CHARS = 200
"""Letters of a reason."""

Next = Literal["wait", "stage", "abort", "end", "expire"]


@dataclass(frozen=True, kw_only=True)
class Member:
    """One agent's part."""

    agent_id: AgentId
    stage: int
    before: str
    """The version it had."""
    state: MemberState = "waiting"
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Update:
    update_id: str
    version: str
    script: str
    digest: str
    members: tuple[Member, ...]
    abort_above: int
    """Percent of a stage."""
    healthy_within: int
    """Seconds."""
    created_by: Actor
    created_at: datetime
    state: UpdateState = "running"
    reason: str = ""
    stage: int = 0
    """The one that has begun last."""
    ended_at: datetime | None = None
    ended_by: Actor | None = None

    @property
    def stages(self) -> int:
        return 1 + max(member.stage for member in self.members)

    @property
    def is_over(self) -> bool:
        """Nothing of it can change any more; one that was stopped may still have agents at it."""
        return self.state != "running" and all(member.state in ENDED for member in self.members)

    @property
    def counts(self) -> dict[MemberState, int]:
        """Agents by state."""
        states = [member.state for member in self.members]
        return {state: states.count(state) for state in dict.fromkeys(states)}

    def of_stage(self, stage: int) -> tuple[Member, ...]:
        return tuple(member for member in self.members if member.stage == stage)

    def member(self, agent_id: AgentId) -> Member | None:
        return next((one for one in self.members if one.agent_id == agent_id), None)


@dataclass(frozen=True)
class JobStatus:
    """What IoT Jobs knows of one agent's execution."""

    status: str
    reason: str = ""
    returned: bool = False


def staged(agents: Sequence[AgentId], canaries: int, percents: Iterable[int]) -> dict[AgentId, int]:
    """Each one's stage, those first in line first: canaries, then so many percent of all, then the rest; a
    stage that would be too large for one job is several."""
    total = len(agents)
    ends = [canaries, *(max(canaries, ceil(total * percent / 100)) for percent in percents), total]
    stages: list[Sequence[AgentId]] = []
    begin = 0
    for end in (min(end, total) for end in ends):
        stages += [agents[at : min(at + MAX_STAGE_SIZE, end)] for at in range(begin, end, MAX_STAGE_SIZE)]
        begin = max(begin, end)
    return {agent_id: number for number, stage in enumerate(stages) for agent_id in stage}


def begun(update: Update, stage: int) -> Update:
    """The update after a stage was let begin."""
    members = tuple(
        replace(member, state="queued") if member.stage == stage and member.state == "waiting" else member
        for member in update.members
    )
    return replace(update, stage=stage, members=members)


def with_statuses(
    update: Update, words: Mapping[AgentId, JobStatus], versions: Mapping[AgentId, str]
) -> Update:
    """The update after a look at IoT Jobs and at what agents said in their last Hello; only members of stages
    that have begun change, and none that has ended."""
    return replace(
        update,
        members=tuple(
            member
            if member.stage > update.stage or member.state in ENDED
            else _with_status(
                member, words.get(member.agent_id), versions.get(member.agent_id), update.version
            )
            for member in update.members
        ),
    )


def _with_status(member: Member, word: JobStatus | None, version: str | None, wanted: str) -> Member:
    if version is None:
        return replace(member, state="cancelled", reason="The agent was removed.")
    if word is None:
        return member
    match word.status:
        case "QUEUED":
            return replace(member, state="queued")
        case "SUCCEEDED" if version == wanted:
            return replace(member, state="succeeded", reason="")
        case "SUCCEEDED" | "IN_PROGRESS":
            return replace(member, state="in_progress")
        case "TIMED_OUT":
            return replace(member, state="timed_out", reason="Nothing was heard of it in time.")
        case "FAILED" | "REJECTED":
            return replace(member, state="returned" if word.returned else "failed", reason=_short(word))
    return replace(member, state="cancelled", reason=_short(word))


def _short(word: JobStatus) -> str:
    """All members are one row, which has its limit; IoT Jobs has the whole."""
    return word.reason if len(word.reason) <= MAX_REASON_CHARS else f"{word.reason[: MAX_REASON_CHARS - 1]}…"


def following(update: Update, away: frozenset[AgentId], now: datetime) -> Next:
    """What is to be done, as things stand. An agent that is away keeps nobody waiting, but is waited for;
    canaries, all of them, must have been heard."""
    members = update.of_stage(update.stage)
    failed = sum(member.state in FAILED for member in members)
    if failed * 100 > update.abort_above * len(members):
        return "abort"
    if all(member.state in ENDED for member in update.members):
        return "end"
    if now - update.created_at > MAX_DURATION:
        return "expire"
    open_ones = {member.agent_id for member in members if member.state not in ENDED}
    waits = open_ones if update.stage == 0 else open_ones - _left_alone(members, away)
    if waits or update.stage + 1 == update.stages:
        return "wait"
    return "stage"


def _left_alone(members: Iterable[Member], away: frozenset[AgentId]) -> set[AgentId]:
    return {member.agent_id for member in members if member.state == "queued" and member.agent_id in away}


def ended(update: Update, state: UpdateState, reason: str, by: Actor | None, now: datetime) -> Update:
    """The update after its end: who had not begun does not begin."""
    members = tuple(
        replace(member, state="cancelled", reason=reason) if member.state in {"waiting", "queued"} else member
        for member in update.members
    )
    return replace(update, state=state, reason=reason, ended_at=now, ended_by=by, members=members)


def how_it_ended(update: Update) -> tuple[UpdateState, str]:
    """Of an update whose members have all ended."""
    missing = sum(member.state != "succeeded" for member in update.members)
    if not missing:
        return "succeeded", ""
    return "failed", f"{missing} of {len(update.members)} agents have not the new version."


def why_aborted(update: Update) -> str:
    members = update.of_stage(update.stage)
    failed = [member for member in members if member.state in FAILED]
    first = failed[0]
    return (
        f"{len(failed)} of {len(members)} agents of stage {update.stage + 1} have failed;"
        f" {first.agent_id}: {first.reason}"
    )


def why_not(update: Update, agent_id: AgentId) -> str:
    """Why this agent gets no order of it now; "" if it does."""
    member = update.member(agent_id)
    if member is None or member.stage > update.stage:
        return f"{agent_id} is not to be updated by {update.update_id} now."
    if update.state != "running":
        return f"The update {update.update_id} was {update.state}. {update.reason}".strip()
    return ""


def must_run(update: Update) -> None:
    """Raises UpdateOverError."""
    if update.state != "running":
        raise UpdateOverError(update.update_id, update.state)
