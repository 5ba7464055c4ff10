"""The table of transfers: round trips, and writes that are refused unless based on the current state."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from botocore.client import BaseClient

from events.base import Problem
from events.progress import Connection, Progress
from events.states import HopState, TransferState
from lambdas.domain.errors import CursorError, StaleError, TransferUnknownError
from lambdas.domain.hop import Hop
from lambdas.domain.hop_changes import cancelled, offered, paused, retried
from lambdas.domain.timeline import became
from lambdas.store import TABLES
from lambdas.store.transfer_list import TransferFilter, count_transfers, list_transfers
from lambdas.store.transfer_rows import TransferRow
from lambdas.store.transfers import TransferStore
from tests.support.fakes import MORNING
from tests.support.moto_shortcuts import one_call_at_a_time
from tests.support.transfers import listed_ids
from tests.support.world import REGION, TABLE, a_transfer, a_world, requested

LATER = MORNING + timedelta(minutes=5)


@pytest.fixture
def store(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with a_world() as world:
        yield world.store


@pytest.fixture
def calls(monkeypatch) -> Counter:
    """Count the calls of each DynamoDB operation."""
    counted: Counter[str] = Counter()
    really = BaseClient._make_api_call

    def counting(self, operation, arguments):
        counted[operation] += 1
        return really(self, operation, arguments)

    monkeypatch.setattr(BaseClient, "_make_api_call", counting)
    return counted


def put(store: TransferStore, *destinations: str, **more):
    transfer = a_transfer(*destinations, **more)
    store.create_transfer(transfer, requested(transfer))
    return transfer


def step(store: TransferStore, transfer, new: Hop, now=LATER):
    return store.write_change(transfer, transfer.with_hops([new], now), became(new, new, "crosshaul", now))


def test_what_goes_in_comes_out(store):
    transfer = put(store, "b", "c", shape="chain")
    assert store.get(transfer.transfer_id) == transfer
    problem = Problem(code="disk-full", message="voll: ü", retryable=True)
    news = replace(
        offered(transfer.hops[0], LATER),
        state=HopState.RUNNING,
        seq=3,
        via="direct",
        connection=Connection(kind="direct", dialed_by="b", address="10.0.0.2:4460"),
        progress=Progress(bytes_done=7, current="Zoë – take 2.mov"),
        problem=problem,
        failures=(problem,),
        failures_total=1,
        started_at=LATER,
        reported_at=LATER,
    )
    written = step(store, transfer, news)
    assert written.revision == 2
    assert store.get(transfer.transfer_id) == written
    assert store.hop(transfer.transfer_id, 0) == news


def test_what_is_not_there(store):
    with pytest.raises(TransferUnknownError):
        store.get("x" * 20)
    assert store.hop("x" * 20, 0) is None


def test_a_transfer_is_created_once(store):
    transfer = put(store, "b")
    with pytest.raises(StaleError):
        store.create_transfer(transfer, requested(transfer))


def test_fifty_destinations_fit_into_one_transaction(store):
    transfer = put(store, *(f"agent-{number}" for number in range(50)))
    assert len(store.get(transfer.transfer_id).hops) == 50
    changed = transfer.with_hops([paused(hop, LATER) for hop in transfer.hops], LATER)
    assert store.write_change(transfer, changed, requested(transfer)).state == TransferState.PAUSED


def test_a_change_from_what_is_no_longer_so_is_refused(store):
    transfer = put(store, "b")
    hop = transfer.hops[0]
    step(store, transfer, offered(hop, LATER))
    for late in (cancelled(hop, LATER), offered(hop, LATER)):
        with pytest.raises(StaleError):
            step(store, transfer, late)
    with pytest.raises(StaleError):
        store.update_hop(hop, replace(hop, due_at=LATER))
    assert len(store.timeline(transfer.transfer_id)[0]) == 2


def test_two_who_end_different_hops_do_not_both_count_the_old_ones(store):
    transfer = put(store, "b", "c")
    one, two = (cancelled(hop, LATER) for hop in transfer.hops)
    step(store, transfer, one)
    with pytest.raises(StaleError):
        step(store, transfer, two)
    ended = step(store, store.get(transfer.transfer_id), two)
    assert ended.ended_at == LATER
    assert store.get(transfer.transfer_id).state == TransferState.CANCELLED


def test_of_many_at_once_exactly_one_wins(store):
    transfer = put(store, "b")

    def attempt(_: int) -> bool:
        try:
            step(store, transfer, offered(transfer.hops[0], LATER))
        except StaleError:
            return False
        return True

    with one_call_at_a_time(), ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(16))) == 1
    assert len(store.timeline(transfer.transfer_id)[0]) == 2


def test_a_hop_costs_few_writes(store, calls):
    transfer = put(store, "b")
    assert calls == {"TransactWriteItems": 1}
    offer = step(store, transfer, offered(transfer.hops[0], LATER))
    assert offer.revision == 1, "the header does not change with an offer"
    calls.clear()
    store.update_hop(offer.hops[0], replace(offer.hops[0], progress=Progress(bytes_done=1), seq=2))
    assert calls == {"UpdateItem": 1}


def test_the_sweeper_finds_what_is_due_and_nothing_else(store):
    waiting, running = put(store, "b"), put(store, "c")
    held = paused(running.hops[0], MORNING)
    step(store, running, held)
    assert store.due(MORNING, 10) == []
    assert store.due(MORNING + timedelta(seconds=61), 10) == [(waiting.transfer_id, 0)]
    step(store, waiting, cancelled(waiting.hops[0], LATER))
    assert store.due(LATER, 10) == []


def test_open_transfers_are_found_from_both_ends_until_they_end(store):
    transfer = put(store, "b", "c")
    assert store.open_transfers("a") == store.open_transfers("c") == [transfer.transfer_id]
    assert store.open_transfers("d") == []
    ended = step(store, transfer, cancelled(transfer.hops[1], LATER))
    assert store.open_transfers("c") == []
    assert store.open_transfers("a") == [transfer.transfer_id]
    step(store, ended, retried(ended.hops[1], True, LATER))
    assert store.open_transfers("c") == [transfer.transfer_id]


def test_a_timeline_entry_names_its_event(store):
    transfer = put(store, "b")
    step(store, transfer, cancelled(transfer.hops[0], LATER))
    table = boto3.resource("dynamodb", REGION).Table(TABLE)
    rows = table.query(
        KeyConditionExpression="transfer_id = :t", ExpressionAttributeValues={":t": transfer.transfer_id}
    )["Items"]
    timeline = [found for row in rows if (found := store.timeline_row(row))]
    assert [row.fact for row in timeline] == ["requested", "finished"]
    assert [row.entry for row in timeline] == list(store.timeline(transfer.transfer_id)[0])


def test_a_long_timeline_is_read_page_by_page_whatever_is_added(store):
    transfer = put(store, "b")
    hop = transfer.hops[0]
    for minute in range(5):
        now = LATER + timedelta(minutes=minute)
        hop = cancelled(hop, now) if minute % 2 == 0 else retried(hop, True, now)
        transfer = step(store, transfer, hop, now)
    whole, following = store.timeline(transfer.transfer_id)
    assert (len(whole), following) == (6, None)
    newest, cursor = store.timeline(transfer.transfer_id, limit=2)
    step(store, transfer, retried(transfer.hops[0], True, now), now)
    pages = [newest]
    while cursor:
        entries, cursor = store.timeline(transfer.transfer_id, cursor, limit=2)
        pages.insert(0, entries)
    assert sum(pages, ()) == whole


def test_a_time_that_begins_after_its_end_is_not_asked_for(store, calls):
    put(store, "b")
    for until in (MORNING, MORNING - timedelta(days=1)):
        for criteria in ({}, {"search": "data"}, {"source_agent": "a", "destination_agent": "b"}):
            nothing = window(since=MORNING, until=until, **criteria)
            assert list_transfers(nothing, None) == ((), None)
            assert count_transfers(nothing) == (0, True)
    assert calls["Query"] == 0


def window(**more) -> TransferFilter:
    defaults = {"since": MORNING - timedelta(days=90), "until": MORNING + timedelta(days=1)}
    return TransferFilter(**{**defaults, **more})


def test_lists_are_newest_first_over_the_turn_of_the_month_page_by_page(store):
    moments = [MORNING - timedelta(days=days) for days in (0, 1, 20, 30, 31, 80)]
    ids = [put(store, "b", at=at).transfer_id for at in moments]
    put(store, "b", at=MORNING - timedelta(days=100))
    for limit in (1, 2, 3, 50):
        assert listed_ids(window(limit=limit)) == ids
    assert listed_ids(window(since=moments[2], until=moments[0])) == ids[1:3]


def test_lists_by_template_whatever_came_in_between(store):
    made = [put(store, "b", at=MORNING + timedelta(hours=hour), template_id="nightly") for hour in range(3)]
    put(store, "b", at=MORNING + timedelta(minutes=90))
    put(store, "b", at=MORNING + timedelta(minutes=30), template_id="another")
    ids = [one.transfer_id for one in reversed(made)]
    for limit in (1, 2, 50):
        assert listed_ids(window(template_id="nightly", limit=limit)) == ids
    assert listed_ids(window(template_id="nightly", agent_id="b")) == ids
    assert listed_ids(window(template_id="nightly", status=TransferState.FAILED)) == []
    assert listed_ids(window(template_id="none")) == []


def test_lists_by_agent_and_by_state(store):
    first = put(store, "b", "c", "b2", at=MORNING)
    second = put(store, "c", at=MORNING + timedelta(seconds=1))
    step(store, second, cancelled(second.hops[0], LATER))
    ids = [second.transfer_id, first.transfer_id]
    assert listed_ids(window(agent_id="a")) == ids
    assert listed_ids(window(agent_id="c", limit=1)) == ids
    assert listed_ids(window(agent_id="b")) == ids[1:]
    assert listed_ids(window(status=TransferState.CANCELLED)) == ids[:1]
    assert listed_ids(window(agent_id="c", status=TransferState.QUEUED)) == ids[1:]


def test_lists_with_and_without_dry_runs_fill_their_pages(store):
    moments = [MORNING - timedelta(minutes=minutes) for minutes in range(11)]
    rehearsals = [put(store, "b", at=at, dry_run=True).transfer_id for at in moments]
    real = [put(store, "b", at=at - timedelta(hours=1)).transfer_id for at in moments[:3]]
    assert listed_ids(window(dry_run=True)) == rehearsals
    assert listed_ids(window(dry_run=False)) == listed_ids(window(agent_id="b", dry_run=False)) == real
    page, following = list_transfers(window(dry_run=False, limit=2), None)
    assert [summary.transfer_id for summary in page] == real[:2]
    assert following


def test_a_list_shows_the_progress_of_now(store):
    transfer = put(store, "b", "c")
    hop = transfer.hops[1]
    store.update_hop(hop, replace(hop, progress=Progress(bytes_done=5)))
    (summary,), _ = list_transfers(window(), None)
    assert summary.progress.bytes_done == 5


@pytest.mark.parametrize("cursor", ["x", "ü", "W10=", "WzEsIDJd", "e30="])
def test_an_invalid_cursor_is_refused(store, cursor):
    with pytest.raises(CursorError):
        list_transfers(window(), cursor)


def test_infra_reads_the_tables_keys_and_indexes_from_the_rows():
    assert TABLES["transfers_table"] is TransferRow
    names = {index.Meta.index_name for index in TransferRow._indexes.values()}
    assert names == {
        "by_time",
        "by_status",
        "by_attention",
        "by_agent",
        "by_template",
        "by_term",
        "due",
        "carrying",
        "serving",
    }


def test_months_of_the_window_end_with_its_first(store):
    put(store, "b", at=datetime(2025, 12, 31, 23, 59, tzinfo=UTC))
    wanted = TransferFilter(since=datetime(2025, 12, 1, tzinfo=UTC), until=datetime(2026, 3, 31, tzinfo=UTC))
    assert len(listed_ids(wanted)) == 1
