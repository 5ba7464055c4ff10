"""Versioned policies: a text under a name, with who wrote each version and why."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from events.base import Actor
from lambdas.domain.policy_set import SHIPPED, defaults

SHIPPED_BY = Actor.called("crosshaul")
FIRST_VERSION = 1
ABSENT_VERSION = 0
"""Version of a policy that does not exist: replacing this version creates the policy."""


@dataclass(frozen=True, kw_only=True)
class Policy:
    """One version of a policy."""

    policy_id: str
    text: str | None
    """Cedar text. None: the policy was removed, or ships with Crosshaul and was disabled."""
    version: int
    """From 1; a policy that ships with Crosshaul and was never changed has version 1."""
    by: Actor
    at: datetime | None = None
    why: str = ""


def shipped(policy_id: str) -> Policy | None:
    """Return the policy of this name that ships with Crosshaul, or None."""
    text = defaults().get(policy_id)
    why = "Comes with Crosshaul"
    return (
        Policy(policy_id=policy_id, text=text, version=FIRST_VERSION, by=SHIPPED_BY, why=why)
        if text
        else None
    )


def in_force(kept: Iterable[Policy]) -> dict[str, Policy]:
    """Return the policies in force by name: stored ones, else those that ship with Crosshaul."""
    own = {policy.policy_id: policy for policy in kept}
    first = {name: policy for name in SHIPPED if name not in own and (policy := shipped(name))}
    found = first | {name: policy for name, policy in own.items() if policy.text is not None}
    return dict(sorted(found.items()))


def texts(policies: Mapping[str, Policy]) -> dict[str, str]:
    """Return the Cedar text of each policy by name."""
    return {name: policy.text for name, policy in policies.items() if policy.text is not None}
