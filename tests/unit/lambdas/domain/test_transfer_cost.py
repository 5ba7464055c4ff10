"""What a transfer costs is told before and after, and never less than its bytes do by list prices."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.locations import AgentLocation, Location, S3Location
from events.options import Options
from events.progress import Connection, Progress
from events.reports import Amount, DryRunResult
from events.views import HopView
from lambdas.domain import prices
from lambdas.domain.transfer_cost import cost_of
from tests.support.fakes_api import sample

TERABYTE = 10**12
BUCKET = S3Location(bucket="media", prefix="raw/")
B, C = (AgentLocation(agent_id=name, path="/data/") for name in ("server-b", "server-c"))


def hop(source: Location, destination: Location, size: int, **changes: object) -> HopView:
    """Return a hop that has sent so many bytes in a thousand files."""
    done = Progress(bytes_done=size, bytes_total=size, files_done=1000, files_total=1000)
    kept = {"connection": None, "preview": None, "progress": done}
    return sample(HopView, source=source, destination=destination, **{**kept, **changes})


def test_a_terabyte_from_s3_to_two_servers_in_a_chain_leaves_aws_once() -> None:
    chain = cost_of([hop(BUCKET, B, TERABYTE), hop(B, C, TERABYTE)], Options(), final=True)
    assert chain.egress == pytest.approx(1000 * prices.EGRESS_GB)
    fan_out = cost_of([hop(BUCKET, B, TERABYTE), hop(BUCKET, C, TERABYTE)], Options(), final=True)
    assert fan_out.dollars == pytest.approx(2 * chain.dollars)


def test_between_two_servers_only_the_relay_costs() -> None:
    assert cost_of([hop(B, C, TERABYTE)], Options(), final=True).dollars == 0
    relayed = hop(B, C, TERABYTE, connection=Connection(kind="relay"))
    cost = cost_of([relayed], Options(), final=True)
    assert cost.dollars == cost.relay > 1000 * prices.EGRESS_GB


def test_into_a_bucket_requests_and_each_month_of_storage_cost() -> None:
    cost = cost_of([hop(B, BUCKET, TERABYTE)], Options(), final=True)
    assert cost.storage_a_month == pytest.approx(23.0)
    assert cost.dollars == cost.requests >= 1000 * prices.S3_WRITE


def test_an_archive_s_storage_class_costs_more_to_write_and_less_to_keep() -> None:
    """Whoever chooses a class for its price sees that small files are not cheap to archive."""
    standard, archive = (
        cost_of([hop(B, BUCKET, TERABYTE)], Options(storage_class=one), final=True)
        for one in (None, "DEEP_ARCHIVE")
    )
    assert archive.requests == pytest.approx(10 * standard.requests)
    assert archive.storage_a_month == pytest.approx(0.99)
    odd = cost_of([hop(B, BUCKET, TERABYTE)], Options(storage_class="SNOW"), final=True)
    assert odd == standard, "no price is known"


def test_the_dry_run_tells_what_the_transfer_then_costs() -> None:
    half = Amount(files=500, bytes=TERABYTE // 2)
    preview = hop(BUCKET, B, 0, preview=DryRunResult(sent=half, replaced=half, unchanged=half))
    before = cost_of([preview], Options(dry_run=True), final=True)
    after = cost_of([hop(BUCKET, B, TERABYTE)], Options(), final=True)
    assert (before.dollars, before.final, after.final) == (after.dollars, False, True)


def test_what_is_there_already_costs_nothing_and_what_is_to_come_is_in_the_estimate() -> None:
    done = Progress(
        bytes_done=TERABYTE // 2, bytes_total=TERABYTE, bytes_unchanged=TERABYTE // 4, files_total=1000
    )
    running = hop(BUCKET, B, 0, progress=done)
    estimate = cost_of([running], Options(), final=False)
    so_far = cost_of([running], Options(), final=True)
    assert estimate.egress == pytest.approx(3 * so_far.egress)


@given(st.lists(st.integers(0, 10**15), max_size=4), st.booleans(), st.booleans())
def test_a_sum_has_the_parts_and_grows_with_the_bytes(sizes: list[int], final: bool, dry_run: bool) -> None:
    costs = [
        cost_of([hop(BUCKET, B, size + more) for size in sizes], Options(dry_run=dry_run), final=final)
        for more in (0, 10**9)
    ]
    for cost in costs:
        assert cost.dollars == pytest.approx(cost.requests + cost.egress + cost.relay, abs=1e-5)
    assert costs[1].dollars >= costs[0].dollars
