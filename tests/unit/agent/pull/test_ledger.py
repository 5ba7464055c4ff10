"""What the ledger records of small files, however and whenever the hop ends."""

import shutil
from contextlib import closing

import pytest

from agent.files.listing import FileEntry
from agent.pull.ledger import Ledger

DIGEST = bytes(16)
ONE, TWO, ODD = (FileEntry("f", name, 10, 1_700_000_000_000_000_000) for name in ("a/1", "a/2", "a/\udcff\n"))


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger(tmp_path / "hop.db")
    yield ledger
    ledger.close()


def partial_paths(ledger):
    return {entry.path for entry in ledger.partial_files()}


def test_complete_pack_leaves_no_partial_files(ledger):
    waiting = [ONE, TWO]
    with ledger.pack(waiting):
        waiting.clear()
        ledger.complete_all([(ONE, DIGEST), (TWO, DIGEST)])
    assert partial_paths(ledger) == set()
    assert ledger.known(ONE) == ledger.known(TWO) == "done"


def test_rest_of_an_interrupted_pack_is_partial(ledger):
    waiting = [ONE, TWO, ODD]

    def complete_one():
        with ledger.pack(waiting):
            waiting.remove(ONE)
            ledger.complete_all([(ONE, DIGEST)])
            raise ConnectionError

    with pytest.raises(ConnectionError):
        complete_one()
    assert ledger.known(ONE) == "done"
    assert partial_paths(ledger) == {TWO.path, ODD.path}


def test_pack_interrupted_by_a_kill_is_partial(ledger, tmp_path):
    with ledger.pack([ONE, ODD]):
        ledger.complete_all([(ONE, DIGEST)])
        killed_state = shutil.copytree(tmp_path, tmp_path / "killed", ignore=shutil.ignore_patterns("*-shm"))
    for _ in range(2):  # killed once more before anything was looked at
        with closing(Ledger(killed_state / "hop.db")) as again:
            assert partial_paths(again) == {ONE.path, ODD.path}
            assert again.earlier_state(ONE) == again.earlier_state(ODD) == "begun"
            assert again.known(TWO) is None
