"""What a transfer costs is told before and after, and never less than its bytes do by list prices."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.base import Problem
from events.locations import AgentLocation, Location, S3Location
from events.options import Options
from events.progress import Connection, Progress
from events.reports import AboutHop, Amount, Checkpoint, DryRunResult, Failed, Started, Succeeded
from lambdas.domain import hop_reports, prices
from lambdas.domain.hop import Hop
from lambdas.domain.hop_changes import offered
from lambdas.domain.hop_reports import apply_report
from lambdas.domain.spending import price_of
from lambdas.domain.transfer_cost import cost_of
from tests.support.world import a_transfer

A_FAULT = Problem(code="line-lost", message="The line is gone.", retryable=True)
TERABYTE = 10**12
BUCKET = S3Location(bucket="media", prefix="raw/")
B, C = (AgentLocation(agent_id=name, path="/data/") for name in ("server-b", "server-c"))


def offered_hop(source: Location, destination: Location) -> Hop:
    """Return a hop that its agent may begin."""
    [first] = a_transfer("b").hops
    return offered(replace(first, source=source, destination=destination), first.created_at)


def reported(hop: Hop, kind: type[AboutHop], seq: int, **fields: object) -> Hop:
    """Return the hop after a report of its present attempt."""
    head = {"transfer_id": hop.transfer_id, "hop_id": hop.hop_id, "attempt": hop.attempt, "seq": seq}
    own: dict[type[AboutHop], Any] = {Started: {"via": "s3"}, Succeeded: {"digest": "d", "seconds": 1.5}}
    head |= own.get(kind, {})
    at = hop.created_at + timedelta(seconds=seq)
    return apply_report(hop, kind(**head, at=at, **fields), hop.carrier, at)  # type: ignore[arg-type]


def all_sent(size: int) -> Progress:
    """Return the progress of a hop that has sent so many bytes in a thousand files."""
    files = dict.fromkeys(("files_done", "files_total", "files_moved"), 1000)
    return Progress(bytes_done=size, bytes_total=size, bytes_moved=size, **files)


def hop(
    source: Location,
    destination: Location,
    size: int,
    connection: Connection | None = None,
    storage_class: str | None = None,
) -> Hop:
    """Return a hop that has sent so many bytes in a thousand files."""
    begun = replace(offered_hop(source, destination), storage_class=storage_class)
    started = reported(begun, Started, 1, connection=connection)
    return reported(started, Checkpoint, 2, progress=all_sent(size))


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
    standard, archive, odd = (
        cost_of([hop(B, BUCKET, TERABYTE, storage_class=one)], Options(storage_class=one), final=True)
        for one in (None, "DEEP_ARCHIVE", "SNOW")
    )
    assert archive.requests == pytest.approx(10 * standard.requests)
    assert archive.storage_a_month == pytest.approx(0.99)
    assert odd == standard, "no price is known"


def test_the_dry_run_tells_what_the_transfer_then_costs() -> None:
    half = Amount(files=500, bytes=TERABYTE // 2)
    preview = replace(offered_hop(BUCKET, B), preview=DryRunResult(sent=half, replaced=half, unchanged=half))
    before = cost_of([preview], Options(dry_run=True), final=True)
    after = cost_of([hop(BUCKET, B, TERABYTE)], Options(), final=True)
    assert (before.dollars, before.final, after.final) == (after.dollars, False, True)


def test_what_is_there_already_costs_nothing_and_what_is_to_come_is_in_the_estimate() -> None:
    done = Progress(
        bytes_done=TERABYTE // 2,
        bytes_total=TERABYTE,
        bytes_unchanged=TERABYTE // 4,
        bytes_moved=TERABYTE // 4,
        files_total=1000,
    )
    running = reported(reported(offered_hop(BUCKET, B), Started, 1), Checkpoint, 2, progress=done)
    estimate = cost_of([running], Options(), final=False)
    so_far = cost_of([running], Options(), final=True)
    assert estimate.egress == pytest.approx(3 * so_far.egress)


def test_each_attempt_costs_what_it_moved_by_the_prices_of_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """The agent was restarted once, the line broke, and S3 became cheaper: 300, 200 and 600 GB were read."""

    def gigabytes(done: int, moved: int) -> Progress:
        return Progress(bytes_done=done * 10**9, bytes_total=10**12, bytes_moved=moved * 10**9)

    one = reported(offered_hop(BUCKET, B), Started, 1)
    for seq, (done, moved) in enumerate([(200, 200), (300, 300), (300, 100), (400, 200)], 2):
        one = reported(one, Checkpoint, seq, progress=gigabytes(done, moved))
    one = reported(one, Failed, 9, progress=gigabytes(400, 200), problem=A_FAULT)
    assert one.spent.egress == pytest.approx(500 * prices.EGRESS_GB)
    before = one.spent.egress
    monkeypatch.setattr(hop_reports, "price_of", lambda *about: price_of(*about[:-1], about[-1] // 2))
    assert one.spent.egress == before
    assert one.retry_at
    again = offered(one, one.retry_at)
    again = reported(again, Started, 1)
    again = reported(again, Checkpoint, 2, progress=gigabytes(900, 500))
    again = reported(again, Succeeded, 3, progress=gigabytes(1000, 600))
    repeated = reported(again, Succeeded, 3, progress=gigabytes(1000, 600))
    assert repeated.spent.egress == pytest.approx(before + 300 * prices.EGRESS_GB)
    assert cost_of([again], Options(), final=True).egress == pytest.approx(again.spent.egress)


def test_reports_that_overtake_each_other_count_what_was_moved_once() -> None:
    """The first checkpoint of an attempt comes before its start, with more than the attempt before had."""
    one = reported(reported(offered_hop(BUCKET, B), Started, 1), Checkpoint, 2, progress=all_sent(10**9))
    one = reported(one, Failed, 3, progress=all_sent(10**9), problem=A_FAULT)
    assert one.retry_at
    again = offered(one, one.retry_at)
    again = reported(again, Checkpoint, 2, progress=all_sent(3 * 10**9))
    again = reported(again, Started, 1)
    again = reported(again, Succeeded, 3, progress=all_sent(3 * 10**9))
    assert again.spent.egress == pytest.approx(4 * prices.EGRESS_GB)


@given(st.lists(st.integers(0, 10**15), max_size=4), st.booleans(), st.booleans())
def test_a_sum_has_the_parts_and_grows_with_the_bytes(sizes: list[int], final: bool, dry_run: bool) -> None:
    costs = [
        cost_of([hop(BUCKET, B, size + more) for size in sizes], Options(dry_run=dry_run), final=final)
        for more in (0, 10**9)
    ]
    for cost in costs:
        assert cost.dollars == pytest.approx(cost.requests + cost.egress + cost.relay, abs=1e-5)
    assert costs[1].dollars >= costs[0].dollars
