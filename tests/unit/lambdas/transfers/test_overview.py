"""What the console's first page tells: what ended today and in the last 30 days, and what arrived with it."""

from collections import Counter
from datetime import timedelta

import pytest
from botocore.client import BaseClient

from events.base import Problem
from events.progress import Progress
from events.reports import Failed, Started, Succeeded
from events.views import TransferTotals
from tests.support.fakes import ADA

RAW = {"source": "server-b:/data/raw/", "destinations": ["server-c:/primary/"]}


@pytest.fixture
def fleet(here):
    here.join("server-b")
    here.join("server-c")
    return here


def asked(fleet) -> str:
    answer = fleet.post("/transfers", RAW)
    assert answer.status == 202, answer.text
    return answer.body["transfer_id"]


def month(world) -> TransferTotals:
    return world.transfer_service.overview().month


def delivered(world, transfer_id: str, **progress: int) -> None:
    """Let every hop of a transfer succeed, one after the other."""
    for number in range(len(world.store.get(transfer_id).hops)):
        world.stream()
        world.report(Started, world.hop(transfer_id, number))
        moved = Progress(**{"bytes_done": 100, "bytes_total": 100, "files_done": 2, **progress})
        world.report(Succeeded, world.hop(transfer_id, number), seq=2, progress=moved)


def failed(world, transfer_id: str) -> None:
    world.stream()
    world.report(Started, world.hop(transfer_id))
    gone = Problem(code="source-missing", message="gone")
    world.report(Failed, world.hop(transfer_id), seq=2, problem=gone)


def test_before_anything_was_moved_everything_is_nought(fleet):
    asked(fleet)
    answer = fleet.get("/overview", role="viewer")
    assert answer.status == 200
    assert answer.body["month"]["transfers"] == answer.body["today"]["bytes_arrived"] == 0


def test_what_was_asked_for_is_counted_by_what_became_of_it(fleet):
    asked(fleet)
    fleet.post(f"/transfers/{asked(fleet)}/cancel")
    counted = fleet.get("/overview").body["month"]
    assert (counted["transfers"], counted["succeeded"], counted["failed"]) == (1, 0, 0)


def test_a_dry_run_moves_nothing_and_is_not_counted(fleet):
    rehearsed = fleet.post("/transfers", {**RAW, "options": {"dry_run": True}})
    fleet.post(f"/transfers/{rehearsed.body['transfer_id']}/cancel")
    assert fleet.get("/overview").body["month"]["transfers"] == 0


def test_today_begins_where_the_caller_s_day_begins(fleet):
    fleet.post(f"/transfers/{asked(fleet)}/cancel")
    from lambdas import adapters

    now = adapters.clock()
    before, after = (now - timedelta(hours=1)).isoformat(), (now + timedelta(hours=1)).isoformat()
    counted = [fleet.get("/overview", midnight=each).body["today"]["transfers"] for each in (before, after)]
    assert counted[0] == 1
    assert counted[1] <= 1, "the quarter of an hour that is going on"
    assert fleet.get("/overview", midnight="yesterday").status == 400


def test_a_file_that_passes_through_a_chain_arrives_once(world):
    delivered(world, world.request("a:/data/", "b:/archive/", "c:/archive/", shape="chain"))
    assert (month(world).bytes_arrived, month(world).files_arrived) == (100, 2)


def test_copies_for_several_servers_are_several(world):
    delivered(world, world.request("a:/data/", "b:/archive/", "c:/archive/"), bytes_unchanged=40)
    assert month(world).bytes_arrived == 2 * 60


def test_what_ends_today_counts_today_whenever_it_was_asked_for(world):
    name = world.request("a:/data/", "b:/archive/")
    world.transfer_service.pause(name, ADA)
    world.clock.forward(days=2)
    midnight = world.clock().replace(hour=0, minute=0)
    world.transfer_service.resume(name, ADA)
    delivered(world, name)
    assert world.transfer_service.overview(midnight).today.bytes_arrived == 100
    world.clock.forward(days=1)
    tomorrow = world.transfer_service.overview(midnight + timedelta(days=1))
    assert (tomorrow.today.bytes_arrived, tomorrow.month.bytes_arrived) == (0, 100)
    world.clock.forward(days=40)
    assert month(world).transfers == 0


def test_a_transfer_that_succeeds_on_its_second_try_has_not_failed(world):
    name = world.request("a:/data/", "b:/archive/")
    failed(world, name)
    assert (month(world).transfers, month(world).failed) == (1, 1)
    world.transfer_service.acknowledge(name, ADA)
    assert (month(world).transfers, month(world).failed) == (1, 1)
    world.transfer_service.retry(name, ADA)
    assert (month(world).transfers, month(world).failed) == (0, 0)
    world.clock.forward(days=1)
    delivered(world, name)
    totals = month(world)
    assert (totals.transfers, totals.succeeded, totals.failed) == (1, 1, 0)
    assert totals.bytes_arrived == 100


def test_it_costs_two_queries_however_many_transfers_there_are(world, monkeypatch):
    counted: Counter[str] = Counter()
    really = BaseClient._make_api_call

    def counting(self, operation, arguments):
        counted[operation] += 1
        return really(self, operation, arguments)

    for _ in range(2):
        delivered(world, world.request("a:/data/", "b:/archive/"))
    monkeypatch.setattr(BaseClient, "_make_api_call", counting)
    assert month(world).transfers == 2
    assert set(counted) == {"Query"}
    assert counted["Query"] <= 3, "a month each"
