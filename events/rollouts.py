"""Rollouts, in which many hosts register with one token: HTTP bodies and answers."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from events import forms
from events.base import Actor, Count, Instant, Message, Request
from events.requests import RootSpec, Tags

HOSTNAME = "{hostname}"

RolloutId = Annotated[str, StringConstraints(pattern=forms.SHORT_ID)]
NamePattern = Annotated[str, StringConstraints(pattern=forms.NAME_PATTERN, max_length=60)]
"""An agent's name with `{hostname}` in it once: `render-{hostname}`."""

RolloutState = Literal["open", "used_up", "expired", "ended"]

MAX_COUNT = 10_000


class RolloutRequest(Request):
    """Request a token with which `count` hosts can register, under names derived from their hostnames."""

    name: NamePattern
    count: Annotated[int, Field(ge=1, le=MAX_COUNT)]
    tags: Tags = {}
    roots: Annotated[tuple[RootSpec, ...], Field(max_length=64)] = ()
    """Roots for the install command; not stored."""
    expires_in: Annotated[int, Field(ge=60, le=30 * 86400, description="seconds")] = 86400


class RolloutView(Message):
    """A rollout, and how many hosts have joined."""

    rollout_id: RolloutId
    name: str
    state: RolloutState
    count: Count
    """Total number of hosts that may join."""
    used: Count
    """Number of hosts that have joined or are joining now."""
    tags: dict[str, str]
    created_by: Actor
    """Hosts may join only if this person may enroll them at that time."""
    created_at: Instant
    expires_at: Instant
    ended_at: Instant | None = None
    ended_by: Actor | None = None


class StartedRolloutView(RolloutView):
    """A new rollout, with its token."""

    token: str
    """Shown once; only its hash is stored."""
    command: str
    """Install command to run on every host."""


class RolloutsView(Message):
    rollouts: tuple[RolloutView, ...]
    next: str | None = None
