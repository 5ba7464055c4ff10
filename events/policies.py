"""Policies: requests and answers of console and CLI."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from events import forms
from events.base import Actor, AgentId, Bytes, Count, Instant, Message, Request, TransferId, Why
from events.input_errors import input_error
from events.requests import TemplateId, TransferRequest


def _no_route(name: str) -> str:
    if name == "test":
        raise input_error("policy-name-route")
    return name


PolicyId = Annotated[str, StringConstraints(pattern=forms.LABEL), AfterValidator(_no_route)]
PolicyText = Annotated[str, StringConstraints(min_length=1, max_length=16 * 1024)]
PersonName = Annotated[str, StringConstraints(min_length=1, max_length=256)]
Effect = Literal["allowed", "approval", "refused"]
"""`approval`: allowed once a second person has agreed."""


def _that_policies_can_read(moment: datetime) -> datetime:
    if not 1970 <= moment.year < 9999:
        raise input_error("policy-test-year")
    return moment


SimulatedTime = Annotated[Instant, AfterValidator(_that_policies_can_read)]

MAX_DRY_RUN_DAYS = 30
"""Maximum number of days that a dry run of a policy looks back."""


class PolicyRequest(Request):
    """A policy text in Cedar, and the reason for the change."""

    text: PolicyText
    why: Why


class PolicyTest(Request):
    """Simulate whether a person's transfer would be allowed."""

    person: PersonName | None = None
    """User id or e-mail address. Default: the caller."""
    groups: Annotated[tuple[PersonName, ...], Field(max_length=100)] | None = None
    """Default: the groups that the person is in now."""
    transfer: TransferRequest
    template_id: TemplateId | None = None
    """As if this template started the transfer."""
    size: Bytes | None = None
    at: SimulatedTime | None = None
    """Default: now."""


class DryRunRequest(Request):
    """Evaluate the transfers of the last days against a different text of this policy."""

    text: PolicyText | None = None
    """None: as if the policy were removed."""
    days: Annotated[int, Field(ge=1, le=MAX_DRY_RUN_DAYS)] = MAX_DRY_RUN_DAYS


class PolicyView(Message):
    """One version of a policy."""

    policy_id: str
    text: str | None
    """None if this version removed the policy."""
    version: Count
    """From 1, incremented by each change. Author `crosshaul`: ships with Crosshaul and was never changed."""
    by: Actor
    at: Instant | None
    why: str


class PoliciesView(Message):
    """Every policy in force, by name."""

    version: Count
    """Version of all policies together, which grows with each change."""
    policies: tuple[PolicyView, ...]


class PolicyDetails(PolicyView):
    """The current policy and its latest versions, newest first."""

    past: tuple[PolicyView, ...]


class MovementDecision(Message):
    """The decision about one movement of a transfer."""

    source: str
    destination: str
    outcome: Effect
    policies: tuple[str, ...]
    """Policies that decided; empty if no policy permits it."""


class PolicyTestView(Message):
    """The simulated decision about a transfer."""

    person: Actor
    groups: tuple[str, ...]
    outcome: Effect
    """Decision about the whole transfer: the strictest of its movements'."""
    policies: tuple[str, ...]
    movements: tuple[MovementDecision, ...]


class ChangedDecision(Message):
    """A transfer whose decision would change."""

    transfer_id: TransferId
    created_by: Actor
    created_at: Instant
    agents: tuple[AgentId, ...]
    before: Effect
    after: Effect
    policies: tuple[str, ...]
    """Policies that would decide."""


class DryRunView(Message):
    """Transfers whose decision would change."""

    checked: Count
    """Number of transfers that were evaluated with the current policies and with the change."""
    changed: tuple[ChangedDecision, ...]
    complete: bool
    """False: there were more transfers than one call evaluates; use fewer days."""
