"""A roll-out: many hosts join by one token, under names that follow from their own."""

import re
from dataclasses import dataclass, field
from datetime import datetime

from events.base import Actor, AgentId
from events.rollouts import HOSTNAME, NamePattern, RolloutId, RolloutState
from lambdas.domain.errors import AgentNameError, RolloutOverError

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_NOBODYS = {"localhost", "unnamed"}
"""What a host is called that nobody has named."""


@dataclass(frozen=True, kw_only=True)
class Rollout:
    rollout_id: RolloutId
    name: NamePattern
    count: int
    used: int = 0
    tags: dict[str, str] = field(default_factory=dict)
    created_by: Actor
    """It lets in whom this person may enrol."""
    created_at: datetime
    expires_at: datetime
    ended_at: datetime | None = None
    ended_by: Actor | None = None


def state(rollout: Rollout, now: datetime) -> RolloutState:
    if rollout.ended_at is not None:
        return "ended"
    if rollout.expires_at <= now:
        return "expired"
    return "used_up" if rollout.used >= rollout.count else "open"


def must_be_open(rollout: Rollout, now: datetime) -> None:
    """Raises RolloutOverError, which says why."""
    ended_by = rollout.ended_by.name if rollout.ended_by else "somebody"
    why = {
        "ended": f"was ended by {ended_by}",
        "expired": f"ended {rollout.expires_at:%Y-%m-%d %H:%M} UTC",
        "used_up": f"was for {rollout.count} hosts, and so many have joined",
    }
    if (reason := why.get(state(rollout, now))) is not None:
        raise RolloutOverError(rollout.rollout_id, reason)


def name_for(rollout: Rollout, hostname: str, wished: AgentId | None) -> AgentId:
    """What the host is to be called: as it wishes, within the pattern, or as its own name gives it.

    Raises AgentNameError.
    """
    if wished is not None:
        return _within(rollout.name, wished)
    label = hostname.partition(".")[0].lower()
    name = rollout.name.replace(HOSTNAME, label)
    if label in _NOBODYS or not _LABEL.fullmatch(label) or not _LABEL.fullmatch(name):
        raise AgentNameError(
            f"A host called {hostname!r} cannot be named {rollout.name}.",
            "Give the host a name of letters, digits and dashes, or the agent one: --name NAME.",
        )
    return name


def _within(pattern: NamePattern, wished: AgentId) -> AgentId:
    before, _, after = pattern.partition(HOSTNAME)
    inner = wished.removeprefix(before).removesuffix(after)
    if not inner or pattern.replace(HOSTNAME, inner) != wished:
        raise AgentNameError(
            f"This token is for agents called {pattern}: {wished} is none.",
            "Choose a name that fits, or leave --name out.",
        )
    return wished
