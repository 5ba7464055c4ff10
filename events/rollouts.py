"""Roll-outs: many hosts join by one token. HTTP bodies and answers; OpenAPI is made from these."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from events.base import Actor, Count, Instant, Message, Request
from events.requests import RootSpec, Tags

HOSTNAME = "{hostname}"

RolloutId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{12}$")]
NamePattern = Annotated[
    str,
    StringConstraints(
        pattern=r"^([a-z0-9][a-z0-9-]{0,29})?\{hostname\}([a-z0-9-]{0,19}[a-z0-9])?$", max_length=60
    ),
]
"""An agent's name with `{hostname}` in it once: `render-{hostname}`."""

RolloutState = Literal["open", "used_up", "expired", "ended"]

MAX_COUNT = 10_000


class RolloutRequest(Request):
    """Ask for a token that lets so many hosts join, under names that follow from their own."""

    name: NamePattern
    count: Annotated[int, Field(ge=1, le=MAX_COUNT)]
    tags: Tags = {}
    roots: Annotated[tuple[RootSpec, ...], Field(max_length=64)] = ()
    """Only written into the line to run."""
    expires_in: Annotated[int, Field(ge=60, le=30 * 86400, description="seconds")] = 86400


class RolloutView(Message):
    rollout_id: RolloutId
    name: str
    state: RolloutState
    count: Count
    """Hosts that may join, all in all."""
    used: Count
    """Hosts that have joined, or are just joining."""
    tags: dict[str, str]
    created_by: Actor
    """It lets in whom this person may enrol, at the moment of each joining."""
    created_at: Instant
    expires_at: Instant
    ended_at: Instant | None = None
    ended_by: Actor | None = None


class StartedRolloutView(RolloutView):
    token: str
    """Shown once; only its hash is kept."""
    command: str
    """The line to run on every host."""


class RolloutsView(Message):
    rollouts: tuple[RolloutView, ...]
    next: str | None = None
