"""A transfer as people get to see it."""

from events.views import HopView, Moment, TransferView
from lambdas.domain.hop import Hop
from lambdas.domain.transfer import Transfer


def transfer_view(transfer: Transfer, timeline: tuple[Moment, ...]) -> TransferView:
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
        progress=transfer.progress,
        problem=transfer.problem,
        options=transfer.options,
        approval=transfer.approval,
        hops=tuple(hop_view(hop) for hop in transfer.hops),
        timeline=timeline,
    )


def hop_view(hop: Hop) -> HopView:
    after = None if hop.after is None else f"{hop.transfer_id}-{hop.after}"
    return HopView(after=after, **{name: getattr(hop, name) for name in _THE_SAME})


_THE_SAME = tuple(name for name in HopView.model_fields if name != "after")
