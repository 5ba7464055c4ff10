"""Staged updates of agents: HTTP bodies and answers, and the documents of IoT Jobs."""

import json
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from events import forms
from events.base import Actor, AgentId, Count, Instant, Message, Problem, Request, UpdateId, Version
from events.input_errors import input_error
from events.requests import Tags

MAX_AGENTS = 1000
"""Maximum number of agents in one update."""

Percent = Annotated[int, Field(ge=1, le=100, description="percent")]

MemberState = Literal[
    "waiting", "queued", "in_progress", "succeeded", "failed", "returned", "timed_out", "cancelled"
]
"""State of one agent in an update. `returned`: the new version did not report healthy, the old one runs
again."""

FAILED: frozenset[MemberState] = frozenset({"failed", "returned", "timed_out"})

UpdateState = Literal["running", "succeeded", "failed", "aborted", "cancelled"]
"""`failed`: it ran to its end, but not every agent has the new version. `aborted`: too many agents failed."""


class UpdateRequest(Request):
    """Update agents to a version in stages; each stage starts once the previous one has reported healthy."""

    version: Version | None = None
    """None: the version that was published last."""
    agents: Annotated[tuple[AgentId, ...], Field(max_length=MAX_AGENTS)] = ()
    tags: Tags = {}
    """Every agent that has all of these tags."""
    everyone: bool = False
    """Every agent."""
    canaries: Annotated[int, Field(ge=1, le=100)] = 1
    """Number of agents in the first stage."""
    percents: Annotated[tuple[Percent, ...], Field(max_length=10)] = (10,)
    """Cumulative percentage of all agents after each further stage; the last stage takes the rest."""
    abort_above: Annotated[int, Field(ge=0, le=99, description="percent")] = 20
    """Percentage of failures in one stage above which the update is aborted."""
    healthy_within: Annotated[int, Field(ge=10, le=3600, description="seconds")] = 300
    """How long a new version has to report healthy before the host returns to the old one."""

    @model_validator(mode="after")
    def _says_whom(self) -> Self:
        if sum((bool(self.agents), bool(self.tags), self.everyone)) != 1:
            raise input_error("agents-chosen-twice")
        if any(later <= earlier for earlier, later in zip(self.percents, self.percents[1:], strict=False)):
            raise input_error("percents-not-growing")
        return self


class MemberView(Message):
    """One agent in an update."""

    agent_id: AgentId
    stage: Count
    """Number of the stage; 0 has the canaries."""
    state: MemberState
    before: str
    """Version before the update."""
    problem: Problem | None = None
    """Why the agent does not have the new version."""


class UpdateView(Message):
    """An update and its progress."""

    update_id: UpdateId
    version: Version
    state: UpdateState
    problem: Problem | None = None
    """Why not every agent has the new version."""
    stage: Count
    """The latest stage that has started."""
    stages: Count
    """Number of stages."""
    counts: dict[MemberState, int]
    """Number of agents by state."""
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
    """Request the signed order of an update that was announced to the agent."""

    update_id: UpdateId


class UpdateOrderView(Message):
    """The signed order of an update, if the agent is due."""

    reported_version: str
    """Version in the agent's last Hello."""
    token: str | None = None
    """Signed `Update` command, valid for minutes; None if the agent has that version or is not due."""
    problem: Problem | None = None
    """Why there is no token, unless the agent has that version."""


class JobDocument(Message):
    """Document of an IoT job, which only announces an update: the agent acts on the signed order alone."""

    update_id: UpdateId
    version: Version


class JobExecution(Message):
    """One job execution, as its agent receives it."""

    jobId: Annotated[str, Field(pattern=forms.JOB_ID)]  # noqa: N815
    jobDocument: JobDocument  # noqa: N815


class JobAnswer(Message):
    """Answer of IoT Jobs to `start-next`.

    https://docs.aws.amazon.com/iot/latest/developerguide/jobs-mqtt-api.html
    """

    execution: JobExecution | None = None


class UpdateResult(Message):
    """Result of a job that an agent reports to IoT Jobs."""

    status: Literal["SUCCEEDED", "FAILED", "REJECTED"]
    statusDetails: dict[str, str] = {}  # noqa: N815
    """Made by `failure_details`; empty for a success."""


MAX_DETAIL_CHARS = 1024
"""Characters of one value in the details of a job that IoT Jobs accepts; none of them a control character."""


def failure_details(problem: Problem, *, returned: bool = False) -> dict[str, str]:
    """Return the details of a failed job, which `problem_of` reads; what is too long is cut."""
    texts = {
        "code": problem.code,
        "message": problem.message,
        "advice": problem.advice,
        "wording": problem.wording,
        "parameters": _fitting(problem.parameters),
        "returned": "yes" if returned else "no",
    }
    return {name: _printable(text)[:MAX_DETAIL_CHARS] for name, text in texts.items() if text}


def problem_of(details: Mapping[str, str]) -> Problem | None:
    """Return why a job failed; None if the details do not say it."""
    told = {name: details[name] for name in ("code", "message", "advice", "wording") if name in details}
    try:
        return Problem.model_validate({**told, "parameters": json.loads(details.get("parameters", "{}"))})
    except (ValueError, RecursionError):
        return None


def _printable(text: str) -> str:
    return "".join(sign if sign.isprintable() else " " for sign in text)


def _fitting(parameters: Mapping[str, str]) -> str:
    """Return parameters as JSON that fits into one detail: the longest are cut first."""
    most = max(map(len, parameters.values()), default=0)
    while len(text := json.dumps({name: _cut(value, most) for name, value in parameters.items()})) > (
        MAX_DETAIL_CHARS
    ):
        most = most * 3 // 4
    return text


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: max(most - 1, 0)]}…"
