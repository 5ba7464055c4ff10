"""A rollout: many hosts register with one token, under names derived from their hostnames."""

import re
from dataclasses import dataclass, field
from datetime import datetime

from events.base import Actor, AgentId
from events.requests import ROUTE_NAMES
from events.rollouts import HOSTNAME, NamePattern, RolloutId, RolloutState
from lambdas.domain.errors import AgentNameError, RolloutOverError

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_DEFAULT_HOSTNAMES = {"localhost", "unnamed"}
"""Hostnames of hosts that were never given one."""


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """One rollout: its name pattern, how many hosts may join, and how many have."""

    rollout_id: RolloutId
    name: NamePattern
    count: int
    used: int = 0
    tags: dict[str, str] = field(default_factory=dict)
    created_by: Actor
    """Hosts may join only under names that this person may enroll."""
    created_at: datetime
    expires_at: datetime
    ended_at: datetime | None = None
    ended_by: Actor | None = None


def state(rollout: Rollout, now: datetime) -> RolloutState:
    """Return whether hosts may still join, and if not, why."""
    if rollout.ended_at is not None:
        return "ended"
    if rollout.expires_at <= now:
        return "expired"
    return "used_up" if rollout.used >= rollout.count else "open"


def must_be_open(rollout: Rollout, now: datetime) -> None:
    """Raise RolloutOverError, with the reason, if no more hosts may join."""
    ended_by = rollout.ended_by.name if rollout.ended_by else "an administrator"
    why = {
        "ended": f"was ended by {ended_by}",
        "expired": f"expired on {rollout.expires_at:%Y-%m-%d %H:%M} UTC",
        "used_up": f"was for {rollout.count} hosts, which have all joined",
    }
    if (reason := why.get(state(rollout, now))) is not None:
        raise RolloutOverError(rollout.rollout_id, reason)


def name_for(rollout: Rollout, hostname: str, requested: AgentId | None) -> AgentId:
    """Return the agent's name: the requested one if it fits the pattern, or one derived from the hostname.

    Raises:
        AgentNameError: the requested name does not fit, or the hostname gives no valid name.
    """
    if requested is not None:
        return _within(rollout.name, requested)
    label = hostname.partition(".")[0].lower()
    name = rollout.name.replace(HOSTNAME, label)
    if name in ROUTE_NAMES:
        raise AgentNameError(
            f"{name} is part of the API's own addresses and cannot be an agent's name.",
            "Choose the agent's name: --name NAME.",
        )
    if label in _DEFAULT_HOSTNAMES or not _LABEL.fullmatch(label) or not _LABEL.fullmatch(name):
        raise AgentNameError(
            f"The hostname {hostname!r} does not give a valid agent name for {rollout.name}.",
            "Set a hostname of letters, digits and hyphens, or choose the agent's name: --name NAME.",
        )
    return name


def _within(pattern: NamePattern, requested: AgentId) -> AgentId:
    before, _, after = pattern.partition(HOSTNAME)
    inner = requested.removeprefix(before).removesuffix(after)
    if not inner or pattern.replace(HOSTNAME, inner) != requested:
        raise AgentNameError(
            f"The token allows only agent names like {pattern}, not {requested}.",
            "Choose a name that fits the pattern, or leave --name out.",
        )
    return requested
