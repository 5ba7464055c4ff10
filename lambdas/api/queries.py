"""Models of query strings."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, AliasChoices, Field, model_validator

from events import forms
from events.base import MAX_INTEGER, AgentId, Instant, Request, TransferId, Why
from events.requests import TemplateId
from events.states import AgentStatus, Attention, TransferState
from events.views import CostLabel, Month
from lambdas.domain.transfer import FIRST_DAY

MAX_PAGE = 200
ClampedInstant = Annotated[Instant, AfterValidator(lambda at: max(at, FIRST_DAY))]
"""An end of a time range, moved to FIRST_DAY where it is earlier."""


class PageQuery(Request):
    """One page of a list."""

    limit: Annotated[int, Field(ge=1, le=MAX_PAGE)] = 50
    after: Annotated[
        str | None,
        Field(
            validation_alias=AliasChoices("after", "cursor"),
            min_length=1,
            max_length=4096,
            description="`next` of the previous page. `cursor` is an alias.",
        ),
    ] = None


class AgentQuery(PageQuery):
    """One page of the agents whose names begin like the search."""

    search: Annotated[
        str,
        Field(
            max_length=63,
            pattern=forms.AGENT_NAME_START,
            description="Only agents whose names begin so. It costs the same among any number of agents.",
        ),
    ] = ""


class FleetQuery(AgentQuery):
    """One page of agents in short; all that is given must hold."""

    status: AgentStatus | None = None
    attention: Annotated[
        bool,
        Field(
            description="Only agents that a person should look at: with warnings, or late or offline outside "
            "of a maintenance."
        ),
    ] = False
    tag: Annotated[
        str | None,
        Field(
            max_length=193,
            pattern=forms.TAG,
            description="`key=value`: only agents with this tag. Found by looking through the agents.",
        ),
    ] = None
    version: Annotated[
        str | None, Field(min_length=1, max_length=256, description="Only agents of this version.")
    ] = None
    outdated: Annotated[
        bool, Field(description="Only agents that do not have the newest version that was published.")
    ] = False
    names: Annotated[
        str | None,
        Field(
            pattern=forms.AGENT_NAMES,
            description="Only these agents, at most 50, as of this moment; all else is left out of account.",
        ),
    ] = None


class TransferCriteria(Request):
    """Which transfers: all that is given must hold. Times are those of creation."""

    status: TransferState | None = None
    attention: Annotated[
        Attention | None,
        Field(description="Only transfers that a person must look at for this reason, of any age."),
    ] = None
    agent: Annotated[AgentId | None, Field(description="Only transfers from or to this agent.")] = None
    source: Annotated[AgentId | None, Field(description="Only transfers from this agent.")] = None
    destination: Annotated[AgentId | None, Field(description="Only transfers to this agent.")] = None
    template: Annotated[
        TemplateId | None, Field(description="Only transfers that this template created.")
    ] = None
    by: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=256,
            description="Only transfers that this person (an e-mail address) or template requested.",
        ),
    ] = None
    search: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=200,
            description=(
                "Only transfers in whose paths, object keys, id, template or requester each of these texts "
                "occurs, of any age. A transfer is found by whole words (letters and digits); if none has a "
                "word of the search, by words that begin like it, from 3 characters on."
            ),
        ),
    ] = None
    dry_run: Annotated[bool | None, Field(description="true: dry runs only; false: no dry runs.")] = None
    since: ClampedInstant | None = None
    until: ClampedInstant | None = None


class TransferQuery(PageQuery, TransferCriteria):
    """One page of the transfers that meet the criteria."""

    sort: Annotated[Literal["newest", "oldest"], Field(description="Order, by time of creation.")] = "newest"


class OverviewQuery(Request):
    """When the caller's day begins."""

    midnight: Annotated[
        Instant | None, Field(description="When the caller's day began. Default: midnight in UTC.")
    ] = None


class CostsQuery(Request):
    """Which costs."""

    month: Annotated[Month | None, Field(description="Default: this month, in UTC.")] = None
    by: Annotated[
        CostLabel,
        Field(
            description=(
                "By the template that started a transfer, the agent that its bytes come from (from S3: that "
                "fetches them), or the person for whom it ran."
            )
        ),
    ] = "template"


class TemplateQuery(Request):
    """How to replace a template."""

    version: Annotated[
        int | None,
        Field(
            ge=1,
            le=MAX_INTEGER,
            description="Replace only this version; 409 if the current version is another.",
        ),
    ] = None


class PolicyQuery(Request):
    """How to replace a policy."""

    version: Annotated[
        int | None,
        Field(
            ge=0,
            le=MAX_INTEGER,
            description="Replace only this version, 0: create only; 409 if the current version is another.",
        ),
    ] = None


class PolicyRemoval(Request):
    """Why a policy is removed."""

    why: Why


class AuditListQuery(PageQuery):
    """Which audit records to list; at most one of person, agent and transfer."""

    person: Annotated[str | None, Field(min_length=1, max_length=256)] = None
    agent: AgentId | None = None
    transfer_id: TransferId | None = None
    since: ClampedInstant | None = None
    until: ClampedInstant | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> "AuditListQuery":
        if sum(given is not None for given in (self.person, self.agent, self.transfer_id)) > 1:
            raise ValueError("give only one of person, agent and transfer_id")
        return self


class LiveQuery(Request):
    """Which live topic to subscribe to."""

    topic: Annotated[
        Literal["progress", "changes"],
        Field(description="Progress of hops as agents report it, or notices of changed transfers."),
    ] = "progress"
    transfer_id: Annotated[TransferId | None, Field(description="Default: every transfer.")] = None

    @model_validator(mode="after")
    def _one_or_the_other(self) -> Self:
        if self.topic == "changes" and self.transfer_id is not None:
            raise ValueError("changes are of every transfer: leave transfer_id out")
        return self
