"""Create, read and steer transfers, for people and templates.

This writes state and sends nothing: agents are informed by what follows from the table's stream.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from events.base import Actor, AgentId
from events.locations import agent_of
from events.requests import TemplateId, TransferRequest
from events.states import Attention, TransferState
from events.views import (
    AttentionView,
    CostLabel,
    CostsView,
    OverviewView,
    TimelineEntry,
    TimelineView,
    TransferCount,
    TransfersView,
    TransferView,
)
from lambdas.domain.agent import Agent, check_able
from lambdas.domain.errors import AgentOfflineError, ReusedKeyError, StaleError, TransferUnknownError
from lambdas.domain.hop_changes import held_for_approval
from lambdas.domain.plan import TransferSpec, new_transfer_id, plan, same_transfer_id
from lambdas.domain.roots import check_deletable, check_offered
from lambdas.domain.sizes import check_sizes
from lambdas.domain.timeline import asked, by_template, folded
from lambdas.domain.transfer import FIRST_DAY, Transfer
from lambdas.ports import AgentLookup, Authorization, AuthorizeTransfer, Clock, allow_all
from lambdas.store.base import Writes, combined
from lambdas.store.transfer_costs import costs_of
from lambdas.store.transfer_list import TransferFilter, count_transfers, list_transfers
from lambdas.store.transfer_totals import attention, totals
from lambdas.store.transfers import TransferStore
from lambdas.transfers import operations
from lambdas.transfers.operations import Operation, acknowledged, agreed, disagreed, wanting
from lambdas.transfers.views import transfer_view
from lambdas.transfers.writer import TransferWriter

LIST_WINDOW = timedelta(days=90)
"""Default period of a list."""
MONTH = timedelta(days=30)


@dataclass(frozen=True, kw_only=True)
class Query:
    """Filter for a list of transfers. Times are those of creation.

    By default those of the last 90 days; with `attention` or `search`, of any age.
    """

    status: TransferState | None = None
    attention: Attention | None = None
    agent_id: AgentId | None = None
    """At either end."""
    source_agent: AgentId | None = None
    destination_agent: AgentId | None = None
    template_id: TemplateId | None = None
    requester: str | None = None
    search: str | None = None
    dry_run: bool | None = None
    since: datetime | None = None
    until: datetime | None = None
    oldest_first: bool = False
    cursor: str | None = None
    limit: int = 50


class TransferService:
    """The use cases of people and templates."""

    def __init__(
        self, store: TransferStore, writer: TransferWriter, agents: AgentLookup, clock: Clock
    ) -> None:
        self._store = store
        self._writer = writer
        self._agents = agents
        self._clock = clock

    def request_transfer(
        self,
        by: Actor,
        request: TransferRequest,
        idempotency_key: str | None = None,
        permit: AuthorizeTransfer = allow_all,
    ) -> TransferView:
        """Create a transfer; with the key of an earlier request, return the transfer that it created.

        Nothing is written if an error is raised.

        Raises:
            ForbiddenError: policies do not permit it.
            ReusedKeyError: the key was used for a different request.
            RefusedError: it can never be carried out.
            AgentUnknownError: an agent does not exist.
            AgentOfflineError: an agent is offline, and `if_offline` is `refuse`.
        """
        spec = TransferSpec.from_request(request)
        if idempotency_key is None:
            return self._create(new_transfer_id(), spec, by, permit)
        transfer_id = same_transfer_id("request", by.id, idempotency_key)
        try:
            return self._existing(transfer_id, spec)
        except TransferUnknownError:
            return self._create(transfer_id, spec, by, permit)

    def create_from_template(
        self,
        spec: TransferSpec,
        template_id: str,
        idempotency_key: str,
        also: Writes,
        permit: AuthorizeTransfer = allow_all,
    ) -> str:
        """Write a template's transfer and `also` in one transaction; return the transfer's id.

        Agents are not checked, since no caller waits for the answer: the transfer waits for an offline agent,
        and an unknown one fails its hop, where people see it.

        Raises:
            StaleError: the transfer, or something of `also`, exists already.
            RefusedError: it can never be carried out.
            ForbiddenError: policies do not permit it.
        """
        now = self._clock()
        by = by_template(template_id)
        transfer_id = same_transfer_id("gathered", template_id, idempotency_key)
        transfer = plan(transfer_id, replace(spec, template_id=template_id), by, now)
        authorization = permit(transfer)
        transfer = _as_authorized(transfer, authorization)
        self._store.create_transfer(
            transfer, asked("requested", by, now), combined(also, authorization.record(None, transfer))
        )
        return transfer_id

    def get(self, transfer_id: str) -> TransferView:
        """Return a transfer for people; raise TransferUnknownError if it does not exist."""
        return self._view(self._store.get(transfer_id))

    def timeline(self, transfer_id: str, cursor: str | None, limit: int) -> TimelineView:
        """Return a page of a transfer's timeline: the newest entries, or those before the cursor.

        Raises:
            TransferUnknownError: the transfer does not exist.
            CursorError: the cursor is invalid.
        """
        self._store.get(transfer_id)
        return _timeline_view(self._store.timeline(transfer_id, cursor, limit))

    def load(self, transfer_id: str) -> Transfer:
        """Return the domain's transfer; raise TransferUnknownError if it does not exist."""
        return self._store.get(transfer_id)

    def list_transfers(self, query: Query) -> TransfersView:
        """Return one page; raise CursorError for an invalid cursor."""
        transfers, following = list_transfers(self._filter(query), query.cursor)
        return TransfersView(transfers=transfers, next=following)

    def count(self, query: Query) -> TransferCount:
        """Return how many transfers a list without pages would have, as far as they are counted."""
        count, complete = count_transfers(self._filter(query))
        return TransferCount(count=count, complete=complete)

    def _filter(self, query: Query) -> TransferFilter:
        until = query.until or self._clock() + timedelta(minutes=1)
        return TransferFilter(
            since=query.since or (FIRST_DAY if query.attention or query.search else until - LIST_WINDOW),
            until=until,
            status=query.status,
            attention=query.attention,
            agent_id=query.agent_id,
            source_agent=query.source_agent,
            destination_agent=query.destination_agent,
            template_id=query.template_id,
            requester=query.requester,
            search=query.search,
            dry_run=query.dry_run,
            oldest_first=query.oldest_first,
            limit=query.limit,
            now=self._clock(),
        )

    def overview(self, midnight: datetime | None = None) -> OverviewView:
        """Return the totals of what ended since midnight and in the last 30 days.

        A `midnight` in the future counts as now, one more than 30 days ago as 30 days ago.
        """
        now = self._clock()
        monthly = now - MONTH
        daily = midnight or now.replace(hour=0, minute=0, second=0, microsecond=0)
        today, month = totals((min(max(daily, monthly), now), monthly), now + timedelta(minutes=1))
        return OverviewView(today=today, month=month)

    def costs(self, month: str | None, by: CostLabel) -> CostsView:
        """Return what the transfers that ended in a month cost; None is the current month."""
        return costs_of(month or f"{self._clock():%Y-%m}", by)

    def attention(self) -> AttentionView:
        """Return what waits for a person, of any age, and how much waits for its turn."""
        return attention(FIRST_DAY, self._clock() + timedelta(minutes=1))

    def cancel(self, transfer_id: str, by: Actor, permit: AuthorizeTransfer = allow_all) -> TransferView:
        """Cancel every hop that has not ended; raise StateError if all have ended otherwise."""
        return self._operate(transfer_id, operations.CANCEL, by, permit)

    def pause(self, transfer_id: str, by: Actor, permit: AuthorizeTransfer = allow_all) -> TransferView:
        """Pause every hop that has not ended; raise StateError if all have ended."""
        return self._operate(transfer_id, operations.PAUSE, by, permit)

    def resume(self, transfer_id: str, by: Actor, permit: AuthorizeTransfer = allow_all) -> TransferView:
        """Resume every paused hop; raise StateError if all have ended."""
        return self._operate(transfer_id, operations.RESUME, by, permit)

    def retry(self, transfer_id: str, by: Actor, permit: AuthorizeTransfer = allow_all) -> TransferView:
        """Queue failed and cancelled hops again; raise StateError if there are none."""
        return self._operate(transfer_id, operations.RETRY, by, permit)

    def approve(self, transfer_id: str, by: Actor, permit: AuthorizeTransfer) -> TransferView:
        """Approve a transfer that awaits a second person; raise StateError if it does not."""
        return self._view(self._writer.change(transfer_id, agreed(by, permit)).transfer)

    def decline(self, transfer_id: str, by: Actor, why: str, permit: AuthorizeTransfer) -> TransferView:
        """Cancel a transfer that awaits a second person, who declines; raise StateError if it does not."""
        return self._view(self._writer.change(transfer_id, disagreed(by, why, permit)).transfer)

    def acknowledge(self, transfer_id: str, by: Actor, permit: AuthorizeTransfer = allow_all) -> TransferView:
        """Confirm that a failure needs no further attention; raise StateError if it has not failed."""
        return self._view(self._writer.change(transfer_id, acknowledged(by, permit)).transfer)

    def _operate(
        self, transfer_id: str, operation: Operation, by: Actor, permit: AuthorizeTransfer
    ) -> TransferView:
        return self._view(self._writer.change(transfer_id, operation.decision(by, permit)).transfer)

    def _create(
        self, transfer_id: str, spec: TransferSpec, by: Actor, permit: AuthorizeTransfer
    ) -> TransferView:
        now = self._clock()
        transfer = plan(transfer_id, spec, by, now)
        authorization = self._check(transfer, permit)
        transfer = _as_authorized(transfer, authorization)
        try:
            self._store.create_transfer(
                transfer, asked("requested", by, now), authorization.record(None, transfer)
            )
        except StaleError:
            return self._existing(transfer_id, spec)
        return self._view(transfer)

    def _existing(self, transfer_id: str, spec: TransferSpec) -> TransferView:
        known = self._store.get(transfer_id)
        if known.fingerprint != spec.fingerprint:
            raise ReusedKeyError(
                f"This Idempotency-Key was used for a different request: it created transfer {transfer_id}."
            )
        return self._view(known)

    def _check(self, transfer: Transfer, permit: AuthorizeTransfer) -> Authorization:
        """Check permission first, so that a caller without it learns nothing about roots."""
        agents = {agent_id: self._agents.get(agent_id) for agent_id in transfer.agents}
        authorization = permit(transfer)
        _check_paths(transfer, agents)
        check_sizes(transfer, agents)
        away = [agent_id for agent_id, agent in agents.items() if agent.presence != "online"]
        if away and transfer.options.if_offline == "refuse":
            raise AgentOfflineError(away[0])
        return authorization

    def _view(self, transfer: Transfer) -> TransferView:
        timeline = _timeline_view(self._store.timeline(transfer.transfer_id))
        return transfer_view(transfer, timeline, self._clock())


def _timeline_view(page: tuple[tuple[TimelineEntry, ...], str | None]) -> TimelineView:
    entries, following = page
    return TimelineView(entries=folded(entries), next=following)


def _as_authorized(transfer: Transfer, authorization: Authorization) -> Transfer:
    """Return the transfer on behalf of those who asked, awaiting approval if a policy requires it."""
    transfer = replace(
        transfer,
        asked_for=authorization.asked_for or transfer.asked_for,
        authorized_size=authorization.size,
        real_start=authorization.real_start,
    )
    if not authorization.approval:
        return transfer
    hops = tuple(held_for_approval(hop, transfer.created_at) for hop in transfer.hops)
    return replace(transfer, hops=hops, approval=wanting(authorization))


def _check_paths(transfer: Transfer, agents: dict[AgentId, Agent]) -> None:
    for hop in transfer.hops:
        if source := agent_of(hop.source):
            check_offered(agents[source], hop.source, writing=False)
            if transfer.options.move:
                check_deletable(agents[source], hop.source)
        if destination := agent_of(hop.destination):
            check_offered(agents[destination], hop.destination, writing=True)
        check_able(agents[hop.carrier], hop.destination, transfer.options)
