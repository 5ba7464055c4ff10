"""What a transfer's bytes cost on AWS: requests of S3, what leaves AWS, and what goes through the relay.

Each attempt counts with what it moved, by the prices of then (`Hop.spent`). A transfer's own rows, messages
and calls (some hundredths of a cent) are left out.
"""

from collections.abc import Iterable

from events.locations import S3Location
from events.options import Options
from events.views import Cost
from lambdas.domain import prices
from lambdas.domain.hop import Hop
from lambdas.domain.spending import NOTHING, price_of, prices_of_class


def cost_of(hops: Iterable[Hop], options: Options, *, final: bool) -> Cost:
    """Return what the hops have cost so far if `final`, otherwise what they will have cost at their end.

    That of a dry run is what the transfer would cost. Totals that are not known yet count as what is done.
    """
    spent, stored = NOTHING, 0
    for hop in hops:
        files, size = _previewed(hop) if options.dry_run else (0, 0) if final else _left(hop)
        ends = hop.source, hop.destination
        spent += price_of(ends, hop.connection, options.storage_class, files, size)
        if not options.dry_run:
            spent += hop.spent
        if isinstance(hop.destination, S3Location):
            stored += size if options.dry_run else hop.bytes_arrived + size
    return Cost(
        dollars=_rounded(spent.requests + spent.egress + spent.relay),
        requests=_rounded(spent.requests),
        egress=_rounded(spent.egress),
        relay=_rounded(spent.relay),
        storage_a_month=_rounded(prices_of_class(options.storage_class)[1] * stored / prices.GB),
        final=final and not options.dry_run,
        prices_as_of=prices.AS_OF,
    )


def _left(hop: Hop) -> tuple[int, int]:
    """Return files and bytes that are still to be done."""
    done = hop.progress
    files = 0 if done.files_total is None else done.files_total - done.files_done
    size = 0 if done.bytes_total is None else done.bytes_total - done.bytes_done
    return max(files, 0), max(size, 0)


def _previewed(hop: Hop) -> tuple[int, int]:
    """Return files and bytes that a dry run has found to send."""
    if hop.preview is None:
        return 0, 0
    sent, replaced = hop.preview.sent, hop.preview.replaced
    return sent.files + replaced.files, sent.bytes + replaced.bytes


def _rounded(dollars: float) -> float:
    return round(dollars, 6)
