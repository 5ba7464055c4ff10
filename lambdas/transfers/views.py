"""A transfer as people get to see it."""

from datetime import datetime

from events.views import HopView, TimelineEntry, TransferView
from lambdas.domain.hop import Hop
from lambdas.domain.transfer import Transfer, summed


def transfer_view(transfer: Transfer, timeline: tuple[TimelineEntry, ...], now: datetime) -> TransferView:
    hops = tuple(hop_view(hop, now) for hop in transfer.hops)
    return TransferView(
        transfer_id=transfer.transfer_id,
        state=transfer.state,
        source=transfer.source,
        destinations=transfer.destinations,
        shape=transfer.shape,
        dry_run=transfer.options.dry_run,
        selection_count=None if transfer.selection is None else len(transfer.selection),
        template_id=transfer.template_id,
        created_by=transfer.created_by,
        created_at=transfer.created_at,
        ended_at=transfer.ended_at,
        progress=summed(hop.progress for hop in hops),
        problem=transfer.problem,
        options=transfer.options,
        approval=transfer.approval,
        hops=hops,
        timeline=timeline,
    )


def hop_view(hop: Hop, now: datetime) -> HopView:
    after = None if hop.after is None else f"{hop.transfer_id}-{hop.after}"
    same = {name: getattr(hop, name) for name in _THE_SAME}
    return HopView(
        after=after, progress=hop.progress_at(now), seconds_since_report=hop.seconds_since_report(now), **same
    )


_THE_SAME = tuple(HopView.model_fields.keys() - {"after", "progress", "seconds_since_report"})
