"""Finding transfers: every combination of criteria gives what a look at every transfer would give."""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from events.locations import S3Location, agent_of
from events.states import Attention, HopState, TransferState
from lambdas.domain.errors import CursorError
from lambdas.domain.search import MAX_WORDS, indexed_words
from lambdas.domain.transfer import Transfer
from lambdas.store.base import TRANSACTION_LIMIT
from lambdas.store.transfer_list import (
    TransferFilter,
    count_transfers,
    list_transfers,
)
from lambdas.store.transfer_mapping import term_rows
from lambdas.store.transfers import TransferStore
from tests.support.fakes import ADA, BOB, MORNING
from tests.support.transfers import listed_ids, made
from tests.support.world import a_world, requested

UNTIL = MORNING + timedelta(days=1)


@pytest.fixture(scope="module")
def store():
    with pytest.MonkeyPatch.context() as patch, a_world() as world:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        yield world.store


def put(store: TransferStore, transfer: Transfer) -> Transfer:
    store.create_transfer(transfer, requested(transfer))
    store.index_words(transfer)
    return transfer


def found(**criteria) -> list[str]:
    """Return the ids on all pages."""
    return listed_ids(TransferFilter(**{"since": MORNING - timedelta(days=90), "until": UNTIL, **criteria}))


def test_ana_finds_a_transfer_by_whatever_she_remembers_of_it(store):
    at = MORNING - timedelta(days=40)  # found apart from those of the other tests
    clip = S3Location(bucket="uploads", prefix="shows/")
    selection = ("Ep_0423-Straße.MOV", "ep_0424.mov")
    wanted = made(clip, "server-c:/archive/", at=at, by=BOB, selection=selection, template_id="nightly-shows")
    put(store, wanted)
    put(store, made("server-b:/data/raw/", "server-c:/archive/", at=at))
    days = {"since": at - timedelta(minutes=1), "until": at + timedelta(minutes=1)}
    for search in (
        "0423", "ep_0424.mov", "STRASSE", "uploads", "s3://uploads/shows/", "shows", "show", "bob",
        wanted.transfer_id, wanted.transfer_id[:5], "nightly-shows", "nightly 0424", "archive uplo",
    ):  # fmt: skip
        assert found(search=search, **days) == [wanted.transfer_id], search
    for search in ("0425", "nightly raw", "uploads 0423x", "ploads"):
        assert found(search=search, **days) == [], search
    assert len(found(search="server-c:/archive", **days)) == 2
    assert found(requester="bob", **days) == found(requester="BOB", **days) == [wanted.transfer_id]


def test_a_whole_word_comes_before_words_that_begin_like_it(store):
    at = MORNING - timedelta(days=50)
    whole = put(store, made("a:/takes/cut/", "b:/x/", at=at))
    longer = put(store, made("a:/takes/cutting/", "b:/x/", at=at))
    days = {"since": at - timedelta(minutes=1), "until": at + timedelta(minutes=1)}
    assert found(search="cut", **days) == [whole.transfer_id]
    assert found(search="cutti", **days) == [longer.transfer_id]


def test_a_search_of_signs_alone_looks_at_the_newest(store):
    at = MORNING - timedelta(days=60)
    only = put(store, made("a:/takes/", "b:/x/", at=at))
    days = {"since": at - timedelta(minutes=1), "until": at + timedelta(minutes=1)}
    assert found(search="/", **days) == found(search=":/ :", **days) == [only.transfer_id]
    assert found(search="#", **days) == []


@given(st.lists(st.text(max_size=30), max_size=80))
def test_a_transfer_of_any_objects_has_a_bounded_index(names):
    transfer = made(S3Location(bucket="uploads"), "server-c:/archive/", selection=tuple(names)[:20] or None)
    rows = term_rows(transfer)
    assert len(indexed_words(transfer)) <= MAX_WORDS
    assert len(rows) <= TRANSACTION_LIMIT
    assert len({row.part for row in rows}) == len(rows)


STATES = [HopState.QUEUED, HopState.RUNNING, HopState.SUCCEEDED, HopState.FAILED, HopState.CANCELLED]


@pytest.fixture(scope="module")
def population(store) -> list[Transfer]:
    """Return transfers of several days, some created in the same moment, in every state."""
    transfers = []
    for number in range(14):
        source = ["a:/raw/ep1.mov", "b:/clips/ep1/", "a:/raw/", "c:/scratch/"][number % 4]
        transfer = made(
            source,
            "d:/archive/",
            by=(ADA, BOB)[number % 3 == 0],
            at=MORNING - timedelta(hours=20 * (number // 2)),
            state=STATES[number % 5],
            dry_run=number % 7 == 0,
            template_id="nightly" if number % 6 == 0 else None,
        )
        transfers.append(put(store, transfer))
    return transfers


def naive(transfers: list[Transfer], wanted: TransferFilter) -> list[Transfer]:
    def text(transfer: Transfer) -> str:
        names = (transfer.transfer_id, transfer.template_id or "", transfer.created_by.name)
        return "\n".join([*names, *map(str, (transfer.source, *transfer.destinations))])

    return [
        one
        for one in transfers
        if wanted.since <= one.created_at < wanted.until
        and wanted.status in {None, one.state}
        and wanted.attention in {None, one.attention}
        and wanted.agent_id in {None, *map(agent_of, (one.source, *one.destinations))}
        and wanted.source_agent in {None, agent_of(one.source)}
        and wanted.destination_agent in {None, *map(agent_of, one.destinations)}
        and wanted.template_id in {None, one.template_id}
        and wanted.requester in {None, one.created_by.name}
        and wanted.dry_run in {None, one.options.dry_run}
        and all(part in text(one) for part in (wanted.search or "").split())
    ]


def maybe(*values):
    return st.one_of(st.none(), st.sampled_from(values))


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    criteria=st.fixed_dictionaries(
        {
            "status": maybe(TransferState.FAILED, TransferState.RUNNING, TransferState.SUCCEEDED),
            "attention": maybe(None, Attention.FAILED),
            "agent_id": maybe("a", "d", "x"),
            "source_agent": maybe(None, "a", "d"),
            "destination_agent": maybe(None, "a", "d"),
            "template_id": maybe("nightly", "none"),
            "requester": maybe(ADA.name, BOB.name),
            "search": maybe("raw", "ep1", "mov raw", "clips/ep1", "scra", "nothing"),
            "dry_run": maybe(True, False),
            "oldest_first": st.booleans(),
            "limit": st.sampled_from([3, 20]),
            "since": st.sampled_from([MORNING - timedelta(days=days) for days in (20, 5)]),
            "until": st.sampled_from([UNTIL, MORNING - timedelta(days=2)]),
        }
    )
)
def test_any_criteria_find_what_a_look_at_every_transfer_finds(population, criteria):
    wanted = TransferFilter(**criteria)
    expected = naive(population, wanted)
    ids = found(**criteria)
    assert sorted(ids) == sorted(one.transfer_id for one in expected)
    created = {one.transfer_id: one.created_at for one in population}
    assert [created[each] for each in ids] == sorted(map(created.get, ids), reverse=not wanted.oldest_first)
    assert count_transfers(wanted) == (len(expected), True)


def test_a_cursor_of_another_question_is_refused(population):
    times = {"since": MORNING - timedelta(days=90), "until": UNTIL, "limit": 1}
    _, cursor = list_transfers(TransferFilter(agent_id="a", **times), None)
    with pytest.raises(CursorError):
        list_transfers(TransferFilter(agent_id="b", **times), cursor)
