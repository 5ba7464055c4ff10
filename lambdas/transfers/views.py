"""Convert transfers and hops to the views of the API."""

from datetime import datetime

from events.progress import Progress
from events.views import HopView, TimelineView, TransferView
from lambdas.domain.hop import Hop
from lambdas.domain.transfer import Transfer
from lambdas.domain.transfer_cost import cost_of


def transfer_view(transfer: Transfer, timeline: TimelineView, now: datetime) -> TransferView:
    """Return the view of a transfer with its hops and the newest page of its timeline."""
    hops = tuple(hop_view(hop, now) for hop in transfer.hops)
    return TransferView(
        transfer_id=transfer.transfer_id,
        state=transfer.state,
        source=transfer.source,
        destinations=transfer.destinations,
        shape=transfer.shape,
        dry_run=transfer.options.dry_run,
        selection_count=None if transfer.selection is None else len(transfer.selection),
        selection_first=transfer.selection[0] if transfer.selection else None,
        template_id=transfer.template_id,
        created_by=transfer.created_by,
        created_at=transfer.created_at,
        started_at=transfer.started_at,
        ended_at=transfer.ended_at,
        progress=Progress.of_hops(hop.progress for hop in hops),
        size=transfer.size,
        problem=transfer.problem,
        acknowledged_by=transfer.acknowledged,
        options=transfer.options,
        approval=transfer.approval,
        real_start=transfer.real_start,
        cost=cost_of(transfer.hops, transfer.options, final=transfer.ended_at is not None),
        hops=hops,
        timeline=timeline.entries,
        timeline_next=timeline.next,
    )


def hop_view(hop: Hop, now: datetime) -> HopView:
    """Return the view of a hop."""
    after = None if hop.after is None else f"{hop.transfer_id}-{hop.after}"
    same = {name: getattr(hop, name) for name in _SAME_FIELDS}
    return HopView(
        after=after,
        progress=hop.progress_at(now),
        seconds_since_report=hop.seconds_since_report(now),
        seconds_at_work=hop.seconds_at_work_until(now),
        **same,
    )


_SAME_FIELDS = tuple(
    HopView.model_fields.keys() - {"after", "progress", "seconds_since_report", "seconds_at_work"}
)
