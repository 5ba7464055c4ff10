"""What a transfer's bytes cost on AWS: requests of S3, what leaves AWS, and what goes through the relay.

It is an upper bound by list prices: an agent may be inside AWS, where what it reads from a bucket of its
region costs nothing. Bytes between two servers cost nothing here. A transfer's own rows, messages and calls
(some hundredths of a cent) are left out.
"""

from collections.abc import Iterable

from events.locations import S3Location
from events.options import Options
from events.views import Cost, HopView
from lambdas.domain import prices
from lambdas.domain.hop import Hop

RANGE_BYTES = 32 * 1024**2
"""Part of a file that an agent asks S3 for at once."""
PART_BYTES = 5 * 1024**2
"""The least part of a big file that S3 takes, and so the one with the most requests."""
RELAY_OBJECT_BYTES = 4 * 1024**2
"""Largest object that the relay writes (agent/lane/relay/tunnel.py)."""
_LISTED = 1000
"""Names in one answer of a LIST."""


def cost_of(hops: Iterable[HopView | Hop], options: Options, *, final: bool) -> Cost:
    """Return what the hops have cost so far if `final`, otherwise what they will have cost at their end.

    That of a dry run is what the transfer would cost. Totals that are not known yet count as what is done.
    """
    standard = prices.S3_WRITE, prices.S3_GB_MONTH
    written, gb_month = prices.S3_CLASSES.get(options.storage_class or "STANDARD", standard)
    requests = egress = relay = stored = 0.0
    for hop in hops:
        files, size = _previewed(hop) if options.dry_run else _moved(hop, final=final)
        if isinstance(hop.source, S3Location):
            requests += prices.S3_READ * (files + size // RANGE_BYTES)
            requests += prices.S3_WRITE * -(-files // _LISTED)
            egress += prices.EGRESS_GB * size / prices.GB
        if isinstance(hop.destination, S3Location):
            requests += written * (files + size // PART_BYTES)
            stored += gb_month * size / prices.GB
        if hop.connection and hop.connection.kind == "relay":
            objects = -(-size // RELAY_OBJECT_BYTES)
            relay += objects * (prices.S3_WRITE + prices.S3_READ) + prices.EGRESS_GB * size / prices.GB
    return Cost(
        dollars=_rounded(requests + egress + relay),
        requests=_rounded(requests),
        egress=_rounded(egress),
        relay=_rounded(relay),
        storage_a_month=_rounded(stored),
        final=final and not options.dry_run,
        prices_as_of=prices.AS_OF,
    )


def _moved(hop: HopView | Hop, *, final: bool) -> tuple[int, int]:
    """Return files and bytes that were sent, or will have been."""
    done = hop.progress
    files = done.files_done if final or done.files_total is None else done.files_total
    size = done.bytes_done if final or done.bytes_total is None else done.bytes_total
    return max(files - done.files_unchanged, 0), max(size - done.bytes_unchanged, 0)


def _previewed(hop: HopView | Hop) -> tuple[int, int]:
    """Return files and bytes that a dry run has found to send."""
    if hop.preview is None:
        return 0, 0
    sent, replaced = hop.preview.sent, hop.preview.replaced
    return sent.files + replaced.files, sent.bytes + replaced.bytes


def _rounded(dollars: float) -> float:
    return round(dollars, 6)
