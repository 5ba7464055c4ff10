"""Transfers: asking for them, following them, steering them."""

from collections.abc import Callable
from datetime import datetime, timedelta

from events.base import Actor, TransferId
from events.requests import DistributedRequest, TransferRequest
from events.views import ManifestView, OverviewView, TransfersView, TransferView
from lambdas import wiring
from lambdas.api.calls import Call
from lambdas.api.queries import OverviewQuery, TransferQuery
from lambdas.api.routing import Resource
from lambdas.domain.authorization import READ, STOP, TRANSFER
from lambdas.ports import AuthorizeTransfer

transfers = Resource("transfers")

Steer = Callable[[str, Actor, AuthorizeTransfer], TransferView]


@transfers.post("/transfers", may=TRANSFER, status=202, keyed=True)
def request(call: Call, body: TransferRequest) -> TransferView:
    """Move files from one place to one or more others."""
    permit = wiring.authorizer().authorize_transfer(call.caller, TRANSFER, "transfer.requested")
    return wiring.transfer_service().request(call.user_name, body, call.idempotency_key, permit)


@transfers.post("/transfers/distributed", may=TRANSFER, status=202, keyed=True)
def request_distributed(call: Call, body: DistributedRequest) -> TransferView:
    """Move files from one agent to one other."""
    wish = TransferRequest(source=body.source, destinations=(body.destination,), options=body.options)
    permit = wiring.authorizer().authorize_transfer(call.caller, TRANSFER, "transfer.requested")
    return wiring.transfer_service().request(call.user_name, wish, call.idempotency_key, permit)


@transfers.get("/transfers", may=READ)
def list_transfers(query: TransferQuery) -> TransfersView:
    """Newest first; without `since`, of the last 90 days."""
    from lambdas.transfers.service import Query

    until = _not_to_come(query.until)
    if query.since and query.since >= until:
        return TransfersView(transfers=())
    return wiring.transfer_service().page(
        Query(
            status=query.status,
            agent_id=query.agent,
            template_id=query.template,
            dry_run=query.dry_run,
            since=query.since,
            until=until,
            cursor=query.after,
            limit=query.limit,
        )
    )


def _not_to_come(until: datetime | None) -> datetime:
    end = wiring.clock() + timedelta(minutes=1)
    return min(until, end) if until else end


@transfers.get("/overview", may=READ)
def overview(query: OverviewQuery) -> OverviewView:
    """How much was moved today and in the last 30 days, and how much of it went well."""
    return wiring.transfer_service().overview(query.midnight)


@transfers.get("/transfers/{transfer_id}", may=READ)
def show_transfer(transfer_id: TransferId) -> TransferView:
    """One transfer with its hops, their progress, and its timeline."""
    return wiring.transfer_service().get(transfer_id)


@transfers.get("/transfers/{transfer_id}/manifest", may=READ)
def show_manifest(transfer_id: TransferId) -> ManifestView:
    """What its hops did, file by file: where to get it, for a few minutes."""
    return wiring.manifest_service().of(transfer_id)


@transfers.post("/transfers/{transfer_id}/cancel", may=STOP, status=202, keyed=True)
def cancel(call: Call, transfer_id: TransferId) -> TransferView:
    """Stop for good; what has arrived whole stays."""
    return _steered(call, transfer_id, STOP, wiring.transfer_service().cancel)


@transfers.post("/transfers/{transfer_id}/pause", may=STOP, status=202, keyed=True)
def pause(call: Call, transfer_id: TransferId) -> TransferView:
    """Stop until it is resumed; what has arrived does not travel again."""
    return _steered(call, transfer_id, STOP, wiring.transfer_service().pause)


@transfers.post("/transfers/{transfer_id}/resume", may=TRANSFER, status=202, keyed=True)
def resume(call: Call, transfer_id: TransferId) -> TransferView:
    """Go on after a pause."""
    return _steered(call, transfer_id, TRANSFER, wiring.transfer_service().resume)


@transfers.post("/transfers/{transfer_id}/retry", may=TRANSFER, status=202, keyed=True)
def retry(call: Call, transfer_id: TransferId) -> TransferView:
    """Give what failed or was cancelled another chance."""
    return _steered(call, transfer_id, TRANSFER, wiring.transfer_service().retry)


@transfers.post("/transfers/{transfer_id}/approval", may=TRANSFER, status=202, keyed=True)
def approve(call: Call, transfer_id: TransferId) -> TransferView:
    """Agree, as a second person, to what a policy wants two for. Whoever asked for it cannot."""
    view: list[TransferView] = []
    permit = wiring.authorizer().for_approval(call.caller)
    call.once(
        f"approve {transfer_id}",
        None,
        lambda: view.append(wiring.transfer_service().approve(transfer_id, call.user_name, permit)),
    )
    return view[0] if view else wiring.transfer_service().get(transfer_id)


def _steered(call: Call, transfer_id: TransferId, action: str, steer: Steer) -> TransferView:
    view: list[TransferView] = []
    permit = wiring.authorizer().authorize_transfer(call.caller, action, f"transfer.{steer.__name__}")
    what = f"{steer.__name__} {transfer_id}"
    call.once(what, None, lambda: view.append(steer(transfer_id, call.user_name, permit)))
    return view[0] if view else wiring.transfer_service().get(transfer_id)
