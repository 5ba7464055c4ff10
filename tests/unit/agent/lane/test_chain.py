"""A chain that streams: server-c takes on what server-b gets, while server-b gets it. Both hops are real,
with their ledgers, the lane and disks between them; what server-b's journal knows is told by the test.
"""

import asyncio
import threading

import pytest

from agent.config import RootConfig
from agent.errors import HopError
from agent.files.digests import RANGE_BYTES
from agent.lane import client, incremental_listing
from agent.pull.progress import ProgressCounter
from agent.pull.source import LocalReader
from events.reports import PREVIOUS_HOP_RESTS
from infra.local.demo_files import MIB, differences, listing, write_random
from tests.support.hosts import Hosts, RecordingObserver, until


class Chain:
    """/inbox → /data on server-b, and on to /archive on server-c. What is called `last` is kept back."""

    def __init__(self, hosts: Hosts, inbox, monkeypatch) -> None:
        self.hosts, self.inbox = hosts, inbox
        self.ended_well: set[str] = set()
        hosts.arrivals.has_succeeded = self.ended_well.__contains__
        hosts.sources.reload(
            [
                RootConfig(path="/data", access="rw", directory=hosts.data),
                RootConfig(path="/inbox", access="ro", directory=inbox),
            ]
        )
        self.let_go = threading.Event()
        self.read: list[str] = []
        read = LocalReader.range

        def kept_back(reader, entry, *rest):
            if entry.path.endswith("last"):
                assert self.let_go.wait(60)
            return read(reader, entry, *rest)

        monkeypatch.setattr(LocalReader, "range", kept_back)
        self.first = hosts.local("/inbox/", "/data/")
        self.there = hosts.archive / "there"
        self.second = hosts.order("/data/", "/archive/there/", follows=self.first.hop_id)

    def begin_first(self) -> asyncio.Task[None]:
        return asyncio.create_task(self._first())

    async def _first(self) -> None:
        await self.hosts.mover(self.first).move(self.first, ProgressCounter(), RecordingObserver())
        self.ended_well.add(self.first.hop_id)

    def is_there(self, name: str) -> bool:
        return (self.there / name).exists()

    async def arrives(self, *names: str) -> None:
        await until(lambda: all(map(self.is_there, names)))


@pytest.fixture(params=["destination", "source"])
def hosts(tmp_path, request):
    hosts = Hosts(tmp_path, dials=request.param)
    yield hosts
    hosts.close()


@pytest.fixture
def chain(hosts, tmp_path, monkeypatch):
    inbox = tmp_path / "inbox"
    write_random(inbox / "a/small", 5000)
    write_random(inbox / "a/deep/er/small", 1)
    write_random(inbox / "big", RANGE_BYTES + 12345)
    write_random(inbox / "z/last", 2 * MIB)
    (inbox / "a/link").symlink_to("small")
    (inbox / "a/deep/twin").hardlink_to(inbox / "a/small")
    (inbox / "empty").mkdir()
    chain = Chain(hosts, inbox, monkeypatch)
    yield chain
    chain.let_go.set()


class TestAChain:
    async def test_moves_each_file_on_while_others_still_come(self, hosts, chain):
        first, second = chain.begin_first(), hosts.begin(chain.second)

        await chain.arrives("a/small", "a/deep/er/small", "big")

        assert not first.done()
        assert not second.done()
        assert not chain.is_there("z/last")
        chain.let_go.set()
        await first
        outcome = await second
        assert differences(listing(chain.inbox), listing(chain.there)) == []
        assert hosts.progress.files_done == hosts.progress.files_total
        assert hosts.progress.bytes_done == hosts.progress.bytes_total
        assert (chain.there / "a/small").samefile(chain.there / "a/deep/twin")
        whole = await hosts.move(hosts.order("/data/", "/archive/elsewhere/"))
        assert outcome.digest == whole.digest

    async def test_sends_nothing_twice(self, hosts, chain):
        size = sum(file.stat().st_size for file in [chain.inbox / "big", chain.inbox / "z/last"])
        first, second = chain.begin_first(), hosts.begin(chain.second)
        await chain.arrives("big")
        chain.let_go.set()
        await asyncio.gather(first, second)
        assert hosts.line.passed < size + 200_000

    async def test_waits_for_a_first_hop_that_has_not_begun(self, hosts, chain):
        second = hosts.begin(chain.second)
        await until(lambda: hosts.told.ways)
        chain.let_go.set()
        await chain.begin_first()
        await second
        assert differences(listing(chain.inbox), listing(chain.there)) == []

    async def test_after_the_first_hop_is_an_ordinary_one(self, hosts, chain):
        chain.let_go.set()
        await chain.begin_first()
        await hosts.move(chain.second)
        assert differences(listing(chain.inbox), listing(chain.there)) == []

    async def test_is_alive_while_nothing_comes(self, hosts, chain, monkeypatch):
        monkeypatch.setattr(incremental_listing, "KEEPALIVE_INTERVAL_S", 0.0)
        said = []
        parsed = client._parse_lines
        monkeypatch.setattr(
            client, "_parse_lines", lambda lines: said.extend(parsed(lines)) or said[-len(lines) :]
        )
        first, second = chain.begin_first(), hosts.begin(chain.second)
        await until(lambda: said.count(["keepalive"]) > 3)
        chain.let_go.set()
        await asyncio.gather(first, second)
        assert differences(listing(chain.inbox), listing(chain.there)) == []

    async def test_of_a_single_file(self, hosts, chain):
        chain.let_go.set()
        first = hosts.local("/inbox/big", "/data/one")
        second = hosts.order("/data/one", "/archive/one", follows=first.hop_id)
        moving = hosts.begin(second)
        await hosts.mover(first).move(first, ProgressCounter(), RecordingObserver())
        chain.ended_well.add(first.hop_id)
        await moving
        assert (hosts.archive / "one").read_bytes() == (chain.inbox / "big").read_bytes()

    async def test_leaves_out_what_is_not_asked_for(self, hosts, chain):
        chain.let_go.set()
        second = hosts.order("/data/", "/archive/there/", follows=chain.first.hop_id, include=["small"])
        await asyncio.gather(chain.begin_first(), hosts.move(second))
        found = {str(path.relative_to(chain.there)) for path in chain.there.rglob("*") if path.is_file()}
        assert found == {"a/small", "a/deep/er/small"}


class TestAChainThatIsInterrupted:
    async def test_does_not_succeed_when_the_first_hop_did_not(self, hosts, chain, monkeypatch):
        monkeypatch.setattr(incremental_listing, "UPSTREAM_TIMEOUT_S", 0.3)
        first, second = chain.begin_first(), hosts.begin(chain.second)
        await chain.arrives("big")
        first.cancel()
        chain.let_go.set()
        with pytest.raises(HopError) as failure:
            await second
        assert failure.value.problem.code == PREVIOUS_HOP_RESTS
        assert failure.value.problem.retryable

        await chain.begin_first()
        await hosts.move(chain.second)
        assert differences(listing(chain.inbox), listing(chain.there)) == []

    async def test_by_a_pause_of_the_first_hop_waits_for_it(self, hosts, chain):
        first, second = chain.begin_first(), hosts.begin(chain.second)
        await chain.arrives("big")
        first.cancel()
        chain.let_go.set()
        await asyncio.gather(first, return_exceptions=True)
        assert not second.done()

        await chain.begin_first()
        await second
        assert differences(listing(chain.inbox), listing(chain.there)) == []

    async def test_by_a_restart_of_its_source_goes_on(self, hosts, chain):
        first, second = chain.begin_first(), hosts.begin(chain.second)
        await chain.arrives("big")
        passed = hosts.line.passed
        hosts.server.revoke(chain.second.hop_id)
        hosts.line.cut()
        first.cancel()
        chain.let_go.set()
        await asyncio.gather(first, return_exceptions=True)
        hosts.serve(chain.second.hop_id, "/data/", follows=chain.first.hop_id)
        await chain.begin_first()
        await second
        assert differences(listing(chain.inbox), listing(chain.there)) == []
        assert hosts.line.passed - passed < 3 * MIB

    async def test_by_a_restart_of_its_destination_goes_on(self, hosts, chain):
        first = chain.begin_first()
        second = hosts.begin(chain.second)
        await chain.arrives("big")
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        passed = hosts.line.passed

        second = hosts.begin(chain.second)
        await until(lambda: hosts.progress.bytes_done > RANGE_BYTES)
        chain.let_go.set()
        await asyncio.gather(first, second)
        assert differences(listing(chain.inbox), listing(chain.there)) == []
        assert hosts.line.passed - passed < 3 * MIB

    async def test_by_a_file_that_comes_anew_ends_with_the_new_one(self, hosts, chain):
        first, second = chain.begin_first(), hosts.begin(chain.second)
        await chain.arrives("a/deep/er/small")
        write_random(hosts.data / "a/deep/er/small", 77)
        chain.let_go.set()
        await asyncio.gather(first, second)
        assert (chain.there / "a/deep/er/small").stat().st_size == 77

    async def test_is_not_to_be_had_whole_before_its_time(self, hosts, chain):
        """Not even by a destination that knows of no chains."""
        first = chain.begin_first()
        await until((hosts.data / "big").exists)
        unknowing = chain.second.model_copy(update={"follows": None})
        failure = await hosts.fails(unknowing, patience=0.2)
        assert failure.problem.retryable
        assert list(hosts.archive.iterdir()) == []
        chain.let_go.set()
        await first
        await hosts.move(unknowing)
        assert differences(listing(chain.inbox), listing(chain.there)) == []
