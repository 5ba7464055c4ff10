"""What people and templates ask of transfers. State is written here, and nothing is sent: agents hear of it
by what follows from the table's stream.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from events.base import Actor, AgentId
from events.locations import Location, agent_of
from events.requests import TemplateId, TransferRequest
from events.states import TransferState
from events.views import OverviewView, TransfersView, TransferView
from lambdas.domain.agent import Agent, check_able
from lambdas.domain.errors import AgentOfflineError, ReusedKeyError, StaleError, TransferUnknownError
from lambdas.domain.hop_changes import held_for_approval
from lambdas.domain.plan import TransferSpec, new_transfer_id, plan, same_transfer_id
from lambdas.domain.roots import check_offered
from lambdas.domain.sizes import check_sizes
from lambdas.domain.timeline import asked, by_template
from lambdas.domain.transfer import Transfer
from lambdas.ports import AgentLookup, Authorization, AuthorizeTransfer, Clock, allow_all
from lambdas.store.base import Writes, combined
from lambdas.store.transfer_list import TransferFilter, list_transfers
from lambdas.store.transfer_tally import totals
from lambdas.store.transfers import TransferStore
from lambdas.transfers import operations
from lambdas.transfers.operations import Operation, agreed, wanting
from lambdas.transfers.views import transfer_view
from lambdas.transfers.writer import TransferWriter

LIST_WINDOW = timedelta(days=90)
"""How far back a list goes when nothing else is asked for."""
MONTH = timedelta(days=30)


@dataclass(frozen=True, kw_only=True)
class Query:
    """Which transfers to list. Times are the creation's; without them, the last 90 days."""

    status: TransferState | None = None
    agent_id: AgentId | None = None
    template_id: TemplateId | None = None
    dry_run: bool | None = None
    since: datetime | None = None
    until: datetime | None = None
    cursor: str | None = None
    limit: int = 50


class TransferService:
    def __init__(
        self, store: TransferStore, changing: TransferWriter, agents: AgentLookup, clock: Clock
    ) -> None:
        self._store = store
        self._changing = changing
        self._agents = agents
        self._clock = clock

    def request(
        self,
        by: Actor,
        request: TransferRequest,
        idempotency_key: str | None = None,
        permit: AuthorizeTransfer = allow_all,
    ) -> TransferView:
        """Write a new transfer; with the key of an earlier request, return the transfer that one made.

        Raises ForbiddenError, ReusedKeyError, RefusedError, AgentUnknownError or AgentOfflineError, and has
        then written nothing.
        """
        wish = TransferSpec.of(request)
        if idempotency_key is None:
            return self._begin(new_transfer_id(), wish, by, permit)
        transfer_id = same_transfer_id("request", by.id, idempotency_key)
        try:
            return self._same(transfer_id, wish)
        except TransferUnknownError:
            return self._begin(transfer_id, wish, by, permit)

    def create_from_template(
        self,
        wish: TransferSpec,
        template_id: str,
        sameness: str,
        also: Writes,
        permit: AuthorizeTransfer = allow_all,
    ) -> str:
        """Write a template's transfer, and `also` what belongs to it, in one transaction; returns its id.

        Nothing is asked of the agents: nobody is there to be told. An agent that is away is waited for, one
        that is unknown fails its hop, where people see it. Raises StaleError if the transfer, or something
        of `also`, is there already, RefusedError if it cannot be carried out, ForbiddenError if it may not.
        """
        now = self._clock()
        by = by_template(template_id)
        transfer_id = same_transfer_id("gathered", template_id, sameness)
        transfer = plan(transfer_id, replace(wish, template_id=template_id), by, now)
        ruling = permit(transfer)
        transfer = _withheld(transfer, ruling)
        self._store.create(
            transfer, asked("requested", by, now), combined(also, ruling.record(None, transfer))
        )
        return transfer_id

    def get(self, transfer_id: str) -> TransferView:
        """Raises TransferUnknownError."""
        return self._view(self._store.get(transfer_id))

    def load(self, transfer_id: str) -> Transfer:
        """The transfer as the domain has it; raises TransferUnknownError."""
        return self._store.get(transfer_id)

    def page(self, query: Query) -> TransfersView:
        """One page, newest first; raises CursorError."""
        until = query.until or self._clock() + timedelta(minutes=1)
        wanted = TransferFilter(
            since=query.since or until - LIST_WINDOW,
            until=until,
            status=query.status,
            agent_id=query.agent_id,
            template_id=query.template_id,
            dry_run=query.dry_run,
            limit=query.limit,
            now=self._clock(),
        )
        transfers, following = list_transfers(wanted, query.cursor)
        return TransfersView(transfers=transfers, next=following)

    def overview(self, midnight: datetime | None = None) -> OverviewView:
        """What was moved since midnight and in the last 30 days; a midnight to come or too old is not one."""
        now = self._clock()
        monthly = now - MONTH
        daily = midnight or now.replace(hour=0, minute=0, second=0, microsecond=0)
        today, month = totals((min(max(daily, monthly), now), monthly), now + timedelta(minutes=1))
        return OverviewView(today=today, month=month)

    def cancel(self, transfer_id: str, by: Actor, permit: AuthorizeTransfer = allow_all) -> TransferView:
        """Whatever has not ended is cancelled; raises StateError if all has ended otherwise."""
        return self._ask(transfer_id, operations.CANCEL, by, permit)

    def pause(self, transfer_id: str, by: Actor, permit: AuthorizeTransfer = allow_all) -> TransferView:
        """Whatever has not ended is paused; raises StateError if all has ended."""
        return self._ask(transfer_id, operations.PAUSE, by, permit)

    def resume(self, transfer_id: str, by: Actor, permit: AuthorizeTransfer = allow_all) -> TransferView:
        """What is paused goes on; raises StateError if all has ended."""
        return self._ask(transfer_id, operations.RESUME, by, permit)

    def retry(self, transfer_id: str, by: Actor, permit: AuthorizeTransfer = allow_all) -> TransferView:
        """What failed or was cancelled gets another chance; raises StateError if there is none of that."""
        return self._ask(transfer_id, operations.RETRY, by, permit)

    def approve(self, transfer_id: str, by: Actor, permit: AuthorizeTransfer) -> TransferView:
        """What waits for a second person goes on; raises StateError if nothing does."""
        return self._view(self._changing.change(transfer_id, agreed(by, permit)).transfer)

    def _ask(self, transfer_id: str, ask: Operation, by: Actor, permit: AuthorizeTransfer) -> TransferView:
        return self._view(self._changing.change(transfer_id, ask.decision(by, permit)).transfer)

    def _begin(
        self, transfer_id: str, wish: TransferSpec, by: Actor, permit: AuthorizeTransfer
    ) -> TransferView:
        now = self._clock()
        transfer = plan(transfer_id, wish, by, now)
        ruling = self._check(transfer, permit)
        transfer = _withheld(transfer, ruling)
        try:
            self._store.create(transfer, asked("requested", by, now), ruling.record(None, transfer))
        except StaleError:
            return self._same(transfer_id, wish)
        return self._view(transfer)

    def _same(self, transfer_id: str, wish: TransferSpec) -> TransferView:
        known = self._store.get(transfer_id)
        if known.fingerprint != wish.fingerprint:
            raise ReusedKeyError(
                f"This Idempotency-Key was used for another request, which made transfer {transfer_id}.",
                "Send a new key with a new request.",
            )
        return self._view(known)

    def _check(self, transfer: Transfer, permit: AuthorizeTransfer) -> Authorization:
        """Whether it may be, before whether it can: who may not learns nothing about roots."""
        agents = {agent_id: self._agents.get(agent_id) for agent_id in transfer.agents}
        ruling = permit(transfer)
        _check_paths(transfer, agents)
        check_sizes(transfer, agents)
        away = [agent_id for agent_id, agent in agents.items() if agent.presence != "online"]
        if away and transfer.options.if_offline == "refuse":
            raise AgentOfflineError(away[0])
        return ruling

    def _view(self, transfer: Transfer) -> TransferView:
        return transfer_view(transfer, self._store.timeline(transfer.transfer_id), self._clock())


def _withheld(transfer: Transfer, ruling: Authorization) -> Transfer:
    """Until a second person has agreed, if a policy wants that."""
    if not ruling.approval:
        return transfer
    hops = tuple(held_for_approval(hop, transfer.created_at) for hop in transfer.hops)
    return replace(transfer, hops=hops, approval=wanting(ruling))


def _check_paths(transfer: Transfer, agents: dict[AgentId, Agent]) -> None:
    for hop in transfer.hops:
        _check_end(hop.source, agents, writing=transfer.options.move)
        _check_end(hop.destination, agents, writing=True)
        check_able(agents[hop.carrier], hop.destination, transfer.options)


def _check_end(location: Location, agents: dict[AgentId, Agent], *, writing: bool) -> None:
    if agent_id := agent_of(location):
        check_offered(agents[agent_id], location, writing=writing)
