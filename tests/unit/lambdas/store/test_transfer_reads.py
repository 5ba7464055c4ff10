"""What a list of transfers reads, which decides its time and its price."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

import pytest

from events.states import Attention, HopState, TransferState
from lambdas.domain.transfer import Transfer
from lambdas.store.transfer_list import TransferFilter, count_transfers, list_transfers
from lambdas.store.transfer_mapping import header_row, term_rows
from lambdas.store.transfer_rows import HeaderRow, TermRow
from lambdas.store.transfer_totals import attention, totals
from lambdas.store.transfers import TransferStore
from tests.support.dynamodb_reads import reads_counted
from tests.support.fakes import BOB, MORNING
from tests.support.transfers import made
from tests.support.world import a_world, requested

UNTIL = MORNING + timedelta(days=1)


def save(store: TransferStore, transfer: Transfer) -> None:
    store.create_transfer(transfer, requested(transfer))
    store.index_words(transfer)


QUESTIONS = {
    "newest": {},
    "oldest": {"oldest_first": True},
    "state": {"status": TransferState.FAILED},
    "attention": {"attention": Attention.FAILED},
    "agent": {"agent_id": "b"},
    "template": {"template_id": "nightly"},
    "requester": {"requester": BOB.name},
    "search": {"search": "take7"},
    "search of a common and a rare word": {"search": "raw take7"},
    "a rare agent's with a common word": {"agent_id": "b", "search": "raw"},
    "a common state's of a rare template": {"status": TransferState.SUCCEEDED, "template_id": "nightly"},
}


FIGURES = {
    "what needs attention": lambda: attention(MORNING - timedelta(days=400), UNTIL),
    "totals of 30 days": lambda: totals((MORNING - timedelta(days=30),), UNTIL),
}
"""What the overview asks for besides lists."""


@pytest.fixture
def reads() -> Iterator[Counter]:
    with reads_counted() as counted:
        yield counted


@pytest.fixture
def many(monkeypatch):
    """Return a function that adds this many finished transfers from a to d, older than the special ones."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")

    def add(number: int) -> None:
        with HeaderRow.batch_write() as headers, TermRow.batch_write() as terms:
            for index in range(number):
                at = MORNING - timedelta(minutes=index)
                one = made("a:/raw/", "d:/x/", at=at, state=HopState.SUCCEEDED)
                headers.save(header_row(one))
                for row in term_rows(one):
                    if row.term == "w:raw":
                        terms.save(row)

    with a_world() as world:
        for index in range(3):
            at = MORNING - timedelta(hours=index)
            special = made("b:/raw/take7.mov", "d:/x/", at=at, by=BOB, state=HopState.FAILED)
            save(world.store, special)
            nightly = made("c:/raw/", "d:/x/", at=at, state=HopState.SUCCEEDED, template_id="nightly")
            save(world.store, nightly)
        yield add


def test_a_page_costs_the_same_reads_among_more_transfers(many, reads):
    """What DynamoDB reads decides time and price; it does not grow with the number of transfers."""
    times = {"since": MORNING - timedelta(days=20), "until": UNTIL, "limit": 20}

    def costs() -> dict[str, dict[str, int]]:
        answer = {}
        for name, criteria in QUESTIONS.items():
            reads.clear()
            page, _ = list_transfers(TransferFilter(**times, **criteria), None)
            assert page, name
            answer[name] = dict(reads)
        for name, ask in FIGURES.items():
            reads.clear()
            ask()
            answer[name] = dict(reads)
        return answer

    many(150)
    few = costs()
    many(150)
    assert costs() == few
    assert all("Scan" not in cost and cost["items"] <= 350 for cost in few.values())


def test_counting_ends_at_a_limit(many):
    times = {"since": MORNING - timedelta(days=20), "until": UNTIL}
    many(20)
    assert count_transfers(TransferFilter(**times)) == (26, True)
    assert count_transfers(TransferFilter(**times), max_counted=26) == (26, True)
    assert count_transfers(TransferFilter(**times), max_counted=25) == (25, False)
    assert count_transfers(TransferFilter(**times, dry_run=False), max_read=10) == (10, False)
    assert count_transfers(TransferFilter(**times, agent_id="b")) == (3, True)
