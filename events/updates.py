"""Updates of agents, in stages: HTTP bodies and answers, and what IoT Jobs carries."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from events.base import Actor, AgentId, Count, Instant, Message, Request, UpdateId, Version
from events.requests import Tags

MAX_AGENTS = 1000
"""In one update."""

Percent = Annotated[int, Field(ge=1, le=100, description="percent")]

MemberState = Literal[
    "waiting", "queued", "in_progress", "succeeded", "failed", "returned", "timed_out", "cancelled"
]
"""Of one agent in an update. `returned`: the new version did not report healthy, the old one is back."""

FAILED: frozenset[MemberState] = frozenset({"failed", "returned", "timed_out"})

UpdateState = Literal["running", "succeeded", "failed", "aborted", "cancelled"]
"""`failed`: it went to its end, and not every agent has the new version. `aborted`: too many had failed."""


class UpdateRequest(Request):
    """Bring agents to a version, a few first; the others follow once those have reported healthy."""

    version: Version | None = None
    """None: the one that was published last."""
    agents: Annotated[tuple[AgentId, ...], Field(max_length=MAX_AGENTS)] = ()
    tags: Tags = {}
    """Every agent with all of these."""
    everyone: bool = False
    canaries: Annotated[int, Field(ge=1, le=100)] = 1
    """How many begin."""
    percents: Annotated[tuple[Percent, ...], Field(max_length=10)] = (10,)
    """How far each stage after the canaries goes, of all agents; the last one takes the rest."""
    abort_above: Annotated[int, Field(ge=0, le=99, description="percent")] = 20
    """More failures than that in one stage, and no further agent is touched."""
    healthy_within: Annotated[int, Field(ge=10, le=3600, description="seconds")] = 300

    @model_validator(mode="after")
    def _says_whom(self) -> Self:
        if sum((bool(self.agents), bool(self.tags), self.everyone)) != 1:
            raise ValueError("say whom: by agents, by tags, or everyone")
        if any(later <= earlier for earlier, later in zip(self.percents, self.percents[1:], strict=False)):
            raise ValueError("percents must grow from stage to stage")
        return self


class MemberView(Message):
    """One agent in an update."""

    agent_id: AgentId
    stage: Count
    """0: the canaries."""
    state: MemberState
    before: str
    """The version it had."""
    reason: str = ""
    """Why it has not the new one."""


class UpdateView(Message):
    update_id: UpdateId
    version: Version
    state: UpdateState
    reason: str = ""
    stage: Count
    """The one that has begun last."""
    stages: Count
    counts: dict[MemberState, int]
    """Agents by state."""
    abort_above: Count
    healthy_within: Count
    created_by: Actor
    created_at: Instant
    ended_at: Instant | None = None
    ended_by: Actor | None = None


class UpdateDetails(UpdateView):
    members: tuple[MemberView, ...]


class UpdatesView(Message):
    updates: tuple[UpdateView, ...]
    next: str | None = None


class UpdateOrderRequest(Request):
    """An agent asks for the signed order of an update that it was told of."""

    update_id: UpdateId


class UpdateOrderView(Message):
    reported_version: str
    """The version that the agent last said Hello with."""
    token: str | None = None
    """A signed `Update`, good for minutes; None if the agent has that version, or is not to have it now."""
    reason: str = ""
    """Why there is none."""


class JobDocument(Message):
    """What an IoT Job tells: that there is an update. Nothing is done for its word alone."""

    update_id: UpdateId
    version: Version


class JobExecution(Message):
    """One job, as its agent is told of it."""

    jobId: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]  # noqa: N815
    jobDocument: JobDocument  # noqa: N815


class JobAnswer(Message):
    """What IoT Jobs says to `start-next`.

    https://docs.aws.amazon.com/iot/latest/developerguide/jobs-mqtt-api.html
    """

    execution: JobExecution | None = None


class UpdateResult(Message):
    """What an agent tells IoT Jobs."""

    status: Literal["SUCCEEDED", "FAILED", "REJECTED"]
    statusDetails: dict[str, str] = {}  # noqa: N815
