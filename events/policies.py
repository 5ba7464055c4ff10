"""Policies, console and CLI ↔ cloud: who may move what, from where, to where, when."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from events.base import Actor, AgentId, Bytes, Count, Instant, Message, Request, TransferId
from events.requests import TemplateId, TransferRequest


def _no_route(name: str) -> str:
    if name == "test":
        raise ValueError("no policy can be called 'test': /policies/test is a route")
    return name


PolicyId = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"), AfterValidator(_no_route)
]
PolicyText = Annotated[str, StringConstraints(min_length=1, max_length=16 * 1024)]
Why = Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=500)]
PersonName = Annotated[str, StringConstraints(min_length=1, max_length=256)]
Effect = Literal["allowed", "approval", "refused"]
"""approval: once a second person has agreed."""


def _that_policies_can_read(moment: datetime) -> datetime:
    if not 1970 <= moment.year < 9999:
        raise ValueError("policies are tried for times between the years 1970 and 9998")
    return moment


SimulatedTime = Annotated[Instant, AfterValidator(_that_policies_can_read)]

MAX_DRY_RUN_DAYS = 30
"""Days."""


class PolicyRequest(Request):
    """A policy, in Cedar, and why it is to be so."""

    text: PolicyText
    why: Why


class PolicyTest(Request):
    """Would this person's transfer be allowed?"""

    person: PersonName | None = None
    """By id or by e-mail address. Left out: the one who asks."""
    groups: Annotated[tuple[PersonName, ...], Field(max_length=100)] | None = None
    """Left out: those that the person is in now."""
    transfer: TransferRequest
    template_id: TemplateId | None = None
    """As if this template asked for it."""
    size: Bytes | None = None
    at: SimulatedTime | None = None
    """Left out: now."""


class DryRunRequest(Request):
    """What would another text of this policy have meant for the transfers of the last days?"""

    text: PolicyText | None = None
    """None: what if the policy were removed?"""
    days: Annotated[int, Field(ge=1, le=MAX_DRY_RUN_DAYS)] = MAX_DRY_RUN_DAYS


class PolicyView(Message):
    policy_id: str
    text: str | None
    """None for a version that removed it."""
    version: Count
    """From 1, and one more with each change. By `crosshaul`: it comes along and was never changed."""
    by: Actor
    at: Instant | None
    why: str


class PoliciesView(Message):
    """Every policy in force, by name."""

    version: Count
    """Of all of them together: it grows with each change."""
    policies: tuple[PolicyView, ...]


class PolicyDetails(PolicyView):
    """The policy as it is now, and its latest versions, the newest first."""

    past: tuple[PolicyView, ...]


class MovementDecision(Message):
    """What is decided about one movement of a transfer."""

    source: str
    destination: str
    outcome: Effect
    policies: tuple[str, ...]
    """Those that decided; none where nothing permits it."""


class PolicyTestView(Message):
    person: Actor
    groups: tuple[str, ...]
    outcome: Effect
    """Of the transfer as a whole: the worst of its movements'."""
    policies: tuple[str, ...]
    movements: tuple[MovementDecision, ...]


class ChangedDecision(Message):
    """A transfer that would be decided differently."""

    transfer_id: TransferId
    created_by: Actor
    created_at: Instant
    agents: tuple[AgentId, ...]
    before: Effect
    after: Effect
    policies: tuple[str, ...]
    """Those that would decide."""


class DryRunView(Message):
    checked: Count
    """Transfers that were decided twice: with the policies as they are, and with the change."""
    changed: tuple[ChangedDecision, ...]
    complete: bool
    """False: there were more transfers than one call looks at; ask for fewer days."""
