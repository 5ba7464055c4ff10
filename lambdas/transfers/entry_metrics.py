"""Count what timeline entries tell: hops that ended, retries, and what arrived.

Counted from the stream, which repeats an entry whose handling failed: sums may be a little too high.
"""

from collections.abc import Iterable
from datetime import datetime

from events.states import HopState
from events.views import TimelineEntry
from lambdas.domain.hop import Hop, hop_number
from lambdas.domain.transfer import Transfer
from lambdas.telemetry import (
    BYTES_ARRIVED,
    FILES_ARRIVED,
    HOPS_ENDED,
    RETRIES,
    SECONDS_MOVING,
    SECONDS_OFFERED,
    SECONDS_QUEUED,
    count,
    count_by,
    logger,
    measure,
)


def count_entry(transfer: Transfer, entry: TimelineEntry, fact: str | None) -> None:
    """Count what an entry of this transfer tells; a dry run moves nothing and does not count."""
    if transfer.options.dry_run:
        return
    for hop in _ended_by(transfer, entry):
        _count_end(hop)
    if entry.state == HopState.QUEUED and entry.problem:
        logger.info("hop is retried", extra={"hop_id": entry.hop_id, "code": entry.problem.code})
        count(RETRIES)
    if fact == "finished":
        arrived_bytes, arrived_files = transfer.arrived
        measure(BYTES_ARRIVED, arrived_bytes, "Bytes")
        measure(FILES_ARRIVED, arrived_files)


def count_end(hop: Hop, entry: TimelineEntry) -> None:
    """Count the end of one hop, if this entry tells of it, where its transfer is not read.

    A hop with a preview was a dry run. One of a dry run that failed has none and counts.
    """
    if hop.ended and hop.state == entry.state and hop.preview is None:
        _count_end(hop)


def _ended_by(transfer: Transfer, entry: TimelineEntry) -> Iterable[Hop]:
    """Return the hops that ended with this entry: its own, or those that an entry about all of them ended.

    Entries are written with milliseconds, hops with microseconds.
    """
    if entry.hop_id is not None:
        hop = transfer.hops[hop_number(entry.hop_id)]
        return [hop] if hop.ended and hop.state == entry.state else []
    return [hop for hop in transfer.hops if hop.ended_at and _to_milliseconds(hop.ended_at) == entry.at]


def _to_milliseconds(at: datetime) -> datetime:
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def _count_end(hop: Hop) -> None:
    count_by(HOPS_ENDED, route=hop.route, outcome=str(hop.state))
    measure(SECONDS_MOVING, hop.seconds_at_work, "Seconds")
    if hop.started_at:
        measure(SECONDS_QUEUED, (hop.started_at - hop.created_at).total_seconds(), "Seconds")
    if hop.started_at and hop.offered_at and hop.attempt == 1:  # a later attempt's offer is not the first's
        measure(SECONDS_OFFERED, (hop.started_at - hop.offered_at).total_seconds(), "Seconds")
