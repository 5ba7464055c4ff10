"""Policies as people keep them: a text under a name, in versions, each with who wrote it and why."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from events.base import Actor
from lambdas.domain.policy_set import SHIPPED, defaults

SHIPPED_BY = Actor.called("crosshaul")
FIRST_VERSION = 1
ABSENT_VERSION = 0
"""The version of a policy that is not there: to write over it is to write a new one."""


@dataclass(frozen=True, kw_only=True)
class Policy:
    policy_id: str
    text: str | None
    """None: one of those that come with Crosshaul, taken out of force; or a version that was removed."""
    version: int
    """From 1; what comes with Crosshaul and was never changed is its first."""
    by: Actor
    at: datetime | None = None
    why: str = ""


def shipped(policy_id: str) -> Policy | None:
    text = defaults().get(policy_id)
    why = "Comes with Crosshaul"
    return (
        Policy(policy_id=policy_id, text=text, version=FIRST_VERSION, by=SHIPPED_BY, why=why)
        if text
        else None
    )


def in_force(kept: Iterable[Policy]) -> dict[str, Policy]:
    """Those that count, by name: what is kept, before what comes with Crosshaul."""
    own = {policy.policy_id: policy for policy in kept}
    first = {name: policy for name in SHIPPED if name not in own and (policy := shipped(name))}
    found = first | {name: policy for name, policy in own.items() if policy.text is not None}
    return dict(sorted(found.items()))


def texts(policies: Mapping[str, Policy]) -> dict[str, str]:
    return {name: policy.text for name, policy in policies.items() if policy.text is not None}
