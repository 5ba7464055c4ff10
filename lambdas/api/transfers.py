"""Routes of transfers: request, show, cancel, pause, resume, retry, approve and decline them."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from events.base import Actor, TransferId
from events.requests import DeclineRequest, DistributedRequest, TransferRequest
from events.views import (
    AttentionView,
    CostsView,
    ManifestView,
    OverviewView,
    TimelineView,
    TransferCount,
    TransfersView,
    TransferView,
)
from lambdas import adapters, wiring
from lambdas.api.calls import Call
from lambdas.api.queries import CostsQuery, OverviewQuery, PageQuery, TransferCriteria, TransferQuery
from lambdas.api.routing import RouteGroup
from lambdas.domain.authorization import READ, STOP, TRANSFER
from lambdas.ports import AuthorizeTransfer
from lambdas.telemetry import trace

if TYPE_CHECKING:
    from lambdas.transfers.service import Query

transfers = RouteGroup("transfers")

TransferAction = Callable[[str, Actor, AuthorizeTransfer], TransferView]


@transfers.post("/transfers", action=TRANSFER, status=202, idempotent=True)
def request(call: Call, body: TransferRequest) -> TransferView:
    """Request a transfer from one location to one or more others."""
    authorize = wiring.authorizer().authorize_transfer(call.caller, TRANSFER, "transfer.requested")
    return _requested(call, body, authorize)


@transfers.post("/transfers/distributed", action=TRANSFER, status=202, idempotent=True)
def request_distributed(call: Call, body: DistributedRequest) -> TransferView:
    """Request a transfer from one agent to one other."""
    spec = TransferRequest(source=body.source, destinations=(body.destination,), options=body.options)
    authorize = wiring.authorizer().authorize_transfer(call.caller, TRANSFER, "transfer.requested")
    return _requested(call, spec, authorize)


def _requested(call: Call, body: TransferRequest, authorize: AuthorizeTransfer) -> TransferView:
    """Request a transfer; the log line of the request has its id."""
    view = wiring.transfer_service().request_transfer(call.actor, body, call.idempotency_key, authorize)
    trace(view.transfer_id)
    return view


@transfers.get("/transfers", action=READ)
def list_transfers(query: TransferQuery) -> TransfersView:
    """List transfers, newest first unless `sort` says otherwise.

    Without `since`, those of the last 90 days; with `attention` or `search`, of any age.
    """
    page = replace(
        _criteria(query), oldest_first=query.sort == "oldest", cursor=query.after, limit=query.limit
    )
    return wiring.transfer_service().list_transfers(page)


@transfers.get("/transfers/count", action=READ)
def count_transfers(query: TransferCriteria) -> TransferCount:
    """Count the transfers that a list with the same criteria has."""
    return wiring.transfer_service().count(_criteria(query))


def _criteria(query: TransferCriteria) -> "Query":
    """Return the criteria for the use case."""
    from lambdas.transfers.service import Query

    return Query(
        status=query.status,
        attention=query.attention,
        agent_id=query.agent,
        source_agent=query.source,
        destination_agent=query.destination,
        template_id=query.template,
        requester=query.by,
        search=query.search,
        dry_run=query.dry_run,
        since=query.since,
        until=_not_in_future(query.until),
    )


def _not_in_future(until: datetime | None) -> datetime:
    latest = adapters.clock() + timedelta(minutes=1)
    return min(until, latest) if until else latest


@transfers.get("/overview", action=READ)
def overview(query: OverviewQuery) -> OverviewView:
    """Summarize what ended today and in the last 30 days: what arrived, and how much succeeded."""
    return wiring.transfer_service().overview(query.midnight)


@transfers.get("/costs", action=READ)
def show_costs(query: CostsQuery) -> CostsView:
    """Sum what the transfers that ended in a month cost on AWS, by template, agent or person."""
    return wiring.transfer_service().costs(query.month, query.by)


@transfers.get("/attention", action=READ)
def attention() -> AttentionView:
    """Return the transfers that a person must look at, grouped by why, and how many are queued."""
    return wiring.transfer_service().attention()


@transfers.get("/transfers/{transfer_id}", action=READ)
def show_transfer(transfer_id: TransferId) -> TransferView:
    """Show one transfer with its hops, their progress and its timeline."""
    return wiring.transfer_service().get(transfer_id)


@transfers.get("/transfers/{transfer_id}/timeline", action=READ)
def show_timeline(transfer_id: TransferId, query: PageQuery) -> TimelineView:
    """Return a page of a transfer's timeline: the newest entries, or those before a cursor."""
    return wiring.transfer_service().timeline(transfer_id, query.after, query.limit)


@transfers.get("/transfers/{transfer_id}/manifest", action=READ)
def show_manifest(transfer_id: TransferId) -> ManifestView:
    """Return URLs of a transfer's manifests, which list the outcome of every file.

    The URLs expire after a few minutes.
    """
    return wiring.manifest_service().list_manifests(transfer_id)


@transfers.post("/transfers/{transfer_id}/cancel", action=STOP, status=202, idempotent=True)
def cancel(call: Call, transfer_id: TransferId) -> TransferView:
    """Cancel a transfer.

    Files that have arrived completely are kept.
    """
    return _run_action(call, transfer_id, STOP, wiring.transfer_service().cancel)


@transfers.post("/transfers/{transfer_id}/pause", action=STOP, status=202, idempotent=True)
def pause(call: Call, transfer_id: TransferId) -> TransferView:
    """Pause a transfer until it is resumed.

    Data that has arrived is not sent again.
    """
    return _run_action(call, transfer_id, STOP, wiring.transfer_service().pause)


@transfers.post("/transfers/{transfer_id}/resume", action=TRANSFER, status=202, idempotent=True)
def resume(call: Call, transfer_id: TransferId) -> TransferView:
    """Resume a paused transfer."""
    return _run_action(call, transfer_id, TRANSFER, wiring.transfer_service().resume)


@transfers.post("/transfers/{transfer_id}/retry", action=TRANSFER, status=202, idempotent=True)
def retry(call: Call, transfer_id: TransferId) -> TransferView:
    """Retry the failed or cancelled hops of a transfer."""
    return _run_action(call, transfer_id, TRANSFER, wiring.transfer_service().retry)


@transfers.post("/transfers/{transfer_id}/acknowledgment", action=STOP, status=202, idempotent=True)
def acknowledge(call: Call, transfer_id: TransferId) -> TransferView:
    """Confirm that a failed transfer needs no further attention."""
    return _run_action(call, transfer_id, STOP, wiring.transfer_service().acknowledge)


@transfers.post("/transfers/{transfer_id}/approval", action=TRANSFER, status=202, idempotent=True)
def approve(call: Call, transfer_id: TransferId) -> TransferView:
    """Approve, as a second person, a transfer for which a policy requires approval.

    The person who requested the transfer cannot approve it.
    """
    view: list[TransferView] = []
    authorize = wiring.authorizer().for_approval(call.caller)
    call.once(
        f"approve {transfer_id}",
        None,
        lambda: view.append(wiring.transfer_service().approve(transfer_id, call.actor, authorize)),
    )
    return view[0] if view else wiring.transfer_service().get(transfer_id)


@transfers.post("/transfers/{transfer_id}/decline", action=TRANSFER, status=202, idempotent=True)
def decline(call: Call, transfer_id: TransferId, body: DeclineRequest) -> TransferView:
    """Decline, as a second person, a transfer for which a policy requires approval.

    It is cancelled, and the person who requested it sees the reason. Whoever could approve it may decline it.
    """
    view: list[TransferView] = []
    authorize = wiring.authorizer().for_decline(call.caller, body.why)
    call.once(
        f"decline {transfer_id}",
        body,
        lambda: view.append(wiring.transfer_service().decline(transfer_id, call.actor, body.why, authorize)),
    )
    return view[0] if view else wiring.transfer_service().get(transfer_id)


def _run_action(
    call: Call, transfer_id: TransferId, action: str, action_method: TransferAction
) -> TransferView:
    view: list[TransferView] = []
    authorize = wiring.authorizer().authorize_transfer(
        call.caller, action, f"transfer.{action_method.__name__}"
    )
    operation = f"{action_method.__name__} {transfer_id}"
    call.once(operation, None, lambda: view.append(action_method(transfer_id, call.actor, authorize)))
    return view[0] if view else wiring.transfer_service().get(transfer_id)
