"""What a month's transfers cost, by template, agent and person."""

import pytest

from events.base import Problem
from events.progress import Connection, Progress
from events.reports import Failed, Started, Succeeded
from events.requests import TransferRequest
from events.views import CostSum, CostsView
from lambdas.domain import hop_reports
from lambdas.domain.plan import TransferSpec
from lambdas.domain.spending import price_of
from lambdas.ports import allow_all
from lambdas.store.base import no_writes
from lambdas.store.transfer_costs import MAX_SUMS, costs_of
from tests.support.dynamodb_units import units_counted
from tests.support.fakes import ADA
from tests.support.world import items_written

GB = 10**9
MAX_ANSWER = 10**6
"""Bytes of an answer that is read in a second; API Gateway passes on ten times as many."""
RELAY = Connection(kind="relay", address="s3://relay")


def moved(world, source, destination="c:/archive/", size=100 * GB, by=ADA, **started):
    """Return the id of a transfer of these bytes that has succeeded."""
    request = TransferRequest.model_validate({"source": source, "destinations": [destination]})
    transfer_id = world.transfer_service.request_transfer(by, request).transfer_id
    succeed(world, transfer_id, size, **started)
    return transfer_id


def all_moved(size, moved=None):
    """Return the progress of a hop that is complete, and has moved so much in this attempt."""
    return Progress(
        bytes_done=size,
        bytes_total=size,
        files_done=10,
        files_total=10,
        bytes_moved=size if moved is None else moved,
        files_moved=10,
    )


def succeed(world, transfer_id, size=100 * GB, **started):
    world.stream()
    hop = world.hop(transfer_id)
    world.report(Started, hop, 1, **started)
    progress = all_moved(size)
    world.report(Succeeded, hop, 2, progress=progress)
    world.stream()


def names(world, by, month=None):
    found = costs_of(month or f"{world.clock():%Y-%m}", by).sums
    return {one.name: (one.transfers, round(one.dollars, 2)) for one in found}


def test_each_transfer_counts_for_its_agent_and_its_person(world):
    bo = ADA.model_copy(update={"id": "bo", "name": "bo@example.org"})
    moved(world, "s3://media/new/")
    moved(world, "a:/data/", via="relay", connection=RELAY)
    moved(world, "a:/data/", by=bo)
    assert names(world, "person") == {ADA.name: (2, pytest.approx(18.14, abs=0.02)), "bo@example.org": (1, 0)}
    assert names(world, "agent") == {"c": (1, 9.0), "a": (2, pytest.approx(9.13, abs=0.02))}
    assert names(world, "template") == {}
    assert [one.name for one in costs_of(f"{world.clock():%Y-%m}", "agent").sums] == ["a", "c"], (
        "dearest first"
    )


def test_a_transfer_that_goes_on_after_its_end_counts_once_in_the_month_of_its_last_end(world):
    transfer_id = moved(world, "a:/data/")
    first = f"{world.clock():%Y-%m}"
    world.transfer_service.request_transfer(
        ADA, TransferRequest.model_validate({"source": "a:/data/", "destinations": ["c:/archive/"]})
    )
    assert names(world, "agent", first) == {"a": (1, 0)}, "one that has not ended does not count"
    cancelled = world.request("a:/data/", "d:/archive/")
    world.transfer_service.cancel(cancelled, ADA)
    assert names(world, "agent", first) == {"a": (2, 0)}
    world.clock.forward(days=40)
    world.transfer_service.retry(cancelled, ADA)
    assert names(world, "agent", first) == {"a": (1, 0)}
    succeed(world, cancelled)
    assert names(world, "agent") == {"a": (1, 0)}
    assert transfer_id != cancelled


def test_what_was_spent_before_a_retry_stays_in_its_month_and_by_the_prices_of_then(world, monkeypatch):
    """60 of 100 GB were fetched in November and the rest in December, when AWS had become dearer."""
    world.clock.now = world.clock().replace(month=11, day=30)
    transfer_id = world.request("s3://media/new/", "c:/archive/")
    world.stream()
    hop = world.hop(transfer_id)
    world.report(Started, hop, 1)
    broken = Problem(code="disk-gone", message="The disk is gone.", retryable=False)
    part = Progress(bytes_done=60 * GB, bytes_total=100 * GB, bytes_moved=60 * GB)
    world.report(Failed, hop, 2, progress=part, problem=broken)
    assert names(world, "agent") == {"c": (1, 5.4)}

    world.clock.forward(days=2)
    monkeypatch.setattr(hop_reports, "price_of", lambda *about: price_of(*about[:-1], 10 * about[-1]))
    world.transfer_service.retry(transfer_id, ADA)
    assert names(world, "agent", "2026-11") == {"c": (0, 5.4)}, "the money is gone, whatever comes of it"
    world.stream()
    hop = world.hop(transfer_id)
    world.report(Started, hop, 1)
    world.report(Succeeded, hop, 2, progress=all_moved(100 * GB, 40 * GB))
    assert names(world, "agent", "2026-11") == {"c": (0, 5.4)}
    assert names(world, "agent", "2026-12") == {"c": (1, 36.0)}
    assert world.transfer_service.get(transfer_id).cost.dollars == pytest.approx(41.4, abs=0.01)


def test_requests_of_an_archive_s_class_cost_what_they_cost_in_every_attempt(world):
    """100 GB into Deep Archive: ten times the requests of S3 Standard, and a tenth cent a GB each month."""
    options = {"storage_class": "DEEP_ARCHIVE"}
    transfer_id = world.request("a:/data/", "s3://media/old/", options=options)
    succeed(world, transfer_id, connection=None)
    [one] = costs_of(f"{world.clock():%Y-%m}", "agent").sums
    assert one.requests == pytest.approx(0.954, abs=0.01)
    assert one.storage_a_month == pytest.approx(0.099)


def test_one_answer_has_a_thousand_sums_and_the_rest_in_one(world):
    """At 20,000 agents the sums of a month were more than API Gateway passes on."""
    for source in ("s3://media/new/", "b:/data/", "a:/data/", "d:/data/"):
        moved(world, source, size=GB)
    found = costs_of(f"{world.clock():%Y-%m}", "agent", most=2)
    assert [one.name for one in found.sums] == ["c", "a"]
    assert (found.others.name, found.others.transfers, found.others.bytes_arrived) == ("2 others", 2, 2 * GB)
    total = [sum_of("x" * 64, 10**12) for _ in range(MAX_SUMS)]
    view = CostsView(month="2026-11", by="agent", sums=tuple(total), others=total[0])
    assert len(view.model_dump_json()) < MAX_ANSWER


def sum_of(name, amount):
    money = dict.fromkeys(("dollars", "requests", "egress", "relay", "storage_a_month"), amount / 7)
    return CostSum(id=name, name=name, transfers=amount, bytes_arrived=amount**2 // 10**7, **money)


def test_a_dry_run_costs_nothing(world):
    transfer_id = world.request("a:/data/", "c:/archive/", options={"dry_run": True})
    world.transfer_service.cancel(transfer_id, ADA)
    assert names(world, "person") == {}


def test_the_month_is_that_of_utc_whatever_the_day(world):
    world.clock.now = world.clock().replace(month=11, day=30, hour=23, minute=59, second=50)
    moved(world, "a:/data/")
    world.clock.forward(seconds=20)
    moved(world, "a:/data/")
    assert [names(world, "agent", month)["a"][0] for month in ("2026-11", "2026-12")] == [1, 1]


@pytest.mark.parametrize("number", [1, 6])
def test_the_sums_cost_three_writes_at_most_at_the_end_and_a_small_read(world, number):
    for _ in range(number):
        moved(world, "a:/data/")
    last = world.request("a:/data/", "c:/archive/")
    with items_written() as written:
        world.transfer_service.cancel(last, ADA)
    assert written == [6], "hop, header, timeline, totals, agent, person"
    with units_counted() as used:
        assert names(world, "agent") == {"a": (number + 1, 0)}
    assert used["read"] <= 1


def test_the_api_answers_with_this_month_and_refuses_what_is_no_month(here):
    now = here.get("/costs", role="viewer")
    assert now.status == 200
    assert now.body["sums"] == []
    assert here.get("/costs", month="2026-13").status == 400
    assert here.get("/costs", by="planet").status == 400
    assert here.get("/costs", month="2026-10", by="person").body["month"] == "2026-10"
    assert here.get("/costs", role="").status in {401, 403}


def test_a_template_s_transfers_are_its_own_and_its_owner_s(world):
    request = TransferRequest.model_validate({"source": "s3://media/new/", "destinations": ["c:/archive/"]})
    spec = TransferSpec(
        source=request.source,
        destinations=request.destinations,
        selection=("a.mov",),
        template_id="new-videos",
        owner=ADA,
    )
    started = world.transfer_service.create_from_template(spec, "new-videos", "1", no_writes, allow_all)
    succeed(world, started)
    assert names(world, "template") == {"new-videos": (1, 9.0)}
    assert names(world, "person") == {ADA.name: (1, 9.0)}
