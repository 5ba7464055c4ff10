"""Query strings, as models."""

from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, AliasChoices, Field, model_validator

from events.base import MAX_INTEGER, AgentId, Instant, Request, TransferId
from events.policies import Why
from events.requests import TemplateId
from events.states import TransferState

MAX_PAGE = 200
FIRST_DAY = datetime(2026, 1, 1, tzinfo=UTC)
"""Nothing is older than this."""
ClampedInstant = Annotated[Instant, AfterValidator(lambda at: max(at, FIRST_DAY))]
"""An end of the time that is looked at: it need not reach back further than there can be anything."""


class PageQuery(Request):
    """One page of a list."""

    limit: Annotated[int, Field(ge=1, le=MAX_PAGE)] = 50
    after: Annotated[
        str | None,
        Field(
            validation_alias=AliasChoices("after", "cursor"),
            min_length=1,
            max_length=4096,
            description="`next` of the page before. `cursor` means the same.",
        ),
    ] = None


class TransferQuery(PageQuery):
    """Which transfers; times are those of creation."""

    status: TransferState | None = None
    agent: AgentId | None = None
    template: Annotated[TemplateId | None, Field(description="Only those that it has made.")] = None
    dry_run: Annotated[bool | None, Field(description="Dry runs only, or none of them.")] = None
    since: ClampedInstant | None = None
    until: ClampedInstant | None = None


class OverviewQuery(Request):
    """Where today begins."""

    midnight: Annotated[
        Instant | None, Field(description="When the caller's day began; left out: midnight in UTC.")
    ] = None


class TemplateQuery(Request):
    """How to replace a template."""

    version: Annotated[
        int | None,
        Field(
            ge=1, le=MAX_INTEGER, description="Replace this version only; 409 if another stands there by now."
        ),
    ] = None


class PolicyQuery(Request):
    """How to replace a policy."""

    version: Annotated[
        int | None,
        Field(
            ge=0,
            le=MAX_INTEGER,
            description="Replace this version only, or none (0); 409 if another stands there by now.",
        ),
    ] = None


class PolicyRemoval(Request):
    """Why a policy goes."""

    why: Why


class AuditListQuery(PageQuery):
    """Which records; one of person, agent and transfer, or none of them."""

    person: Annotated[str | None, Field(min_length=1, max_length=256)] = None
    agent: AgentId | None = None
    transfer_id: TransferId | None = None
    since: ClampedInstant | None = None
    until: ClampedInstant | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> "AuditListQuery":
        if sum(given is not None for given in (self.person, self.agent, self.transfer_id)) > 1:
            raise ValueError("ask by person, by agent or by transfer_id, not by two of them")
        return self


class LiveQuery(Request):
    """What to listen to."""

    what: Annotated[
        Literal["progress", "news"],
        Field(description="Of hops, as their agents tell it; or which transfers have changed."),
    ] = "progress"
    transfer_id: Annotated[TransferId | None, Field(description="Left out: every transfer.")] = None

    @model_validator(mode="after")
    def _one_or_the_other(self) -> Self:
        if self.what == "news" and self.transfer_id is not None:
            raise ValueError("news are of every transfer: leave transfer_id out")
        return self
