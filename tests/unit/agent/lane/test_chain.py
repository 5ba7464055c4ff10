"""Test chains that stream: server-c copies files from server-b while server-b is still receiving them.

Both hops are real, with ledgers, lane and disks; the test stands in for server-b's journal.
"""

import asyncio
import threading

import pytest

from agent.config import RootConfig
from agent.errors import HopError
from agent.files.digests import RANGE_BYTES
from agent.lane import client
from agent.pull.progress import ProgressCounter
from agent.pull.source import LocalReader
from events.reports import PREVIOUS_HOP_NOT_RUNNING
from infra.local.demo_files import MIB, differences, listing, write_random
from tests.support.hosts import Hosts, RecordingObserver, with_lane_limits
from tests.support.waiting import HANG_TIMEOUT_S, until


class Chain:
    """Copy /inbox to /data on server-b, and on to /archive on server-c. Files named `last` are held back."""

    def __init__(self, hosts: Hosts, inbox, monkeypatch) -> None:
        self.hosts, self.inbox = hosts, inbox
        self.has_succeeded: dict[str, bool] = {}
        hosts.active_pulls.has_succeeded = self.has_succeeded.get
        hosts.sources.reload(
            [
                RootConfig(path="/data", access="rw", directory=hosts.data),
                RootConfig(path="/inbox", access="ro", directory=inbox),
            ]
        )
        self.released = threading.Event()
        self.read: list[str] = []
        read = LocalReader.range

        def wait_for_release(reader, entry, *rest):
            if entry.path.endswith("last"):
                assert self.released.wait(HANG_TIMEOUT_S)
            return read(reader, entry, *rest)

        monkeypatch.setattr(LocalReader, "range", wait_for_release)
        self.first = hosts.local("/inbox/", "/data/")
        self.target = hosts.archive / "there"
        self.second = hosts.order("/data/", "/archive/there/", previous_hop=self.first.hop_id)

    def start_first(self) -> asyncio.Task[None]:
        return asyncio.create_task(self._first())

    async def _first(self) -> None:
        await self.hosts.mover(self.first).move(self.first, ProgressCounter(), RecordingObserver())
        self.has_succeeded[self.first.hop_id] = True

    def has_arrived(self, name: str) -> bool:
        return (self.target / name).exists()

    async def wait_for(self, *names: str) -> None:
        await until(lambda: all(map(self.has_arrived, names)))


@pytest.fixture(params=["destination", "source"])
def hosts(tmp_path, request, lane_limits):
    hosts = Hosts(tmp_path, dials=request.param, lane_limits=lane_limits)
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
    chain.released.set()


class TestChain:
    async def test_forwards_each_file_while_others_still_arrive(self, hosts, chain):
        first, second = chain.start_first(), hosts.begin(chain.second)

        await chain.wait_for("a/small", "a/deep/er/small", "big")

        assert not first.done()
        assert not second.done()
        assert not chain.has_arrived("z/last")
        chain.released.set()
        await first
        outcome = await second
        assert differences(listing(chain.inbox), listing(chain.target)) == []
        assert hosts.progress.files_done == hosts.progress.files_total
        assert hosts.progress.bytes_done == hosts.progress.bytes_total
        assert (chain.target / "a/small").samefile(chain.target / "a/deep/twin")
        whole = await hosts.move(hosts.order("/data/", "/archive/elsewhere/"))
        assert outcome.digest == whole.digest

    async def test_sends_nothing_twice(self, hosts, chain):
        size = sum(file.stat().st_size for file in [chain.inbox / "big", chain.inbox / "z/last"])
        first, second = chain.start_first(), hosts.begin(chain.second)
        await chain.wait_for("big")
        chain.released.set()
        await asyncio.gather(first, second)
        assert hosts.proxy.passed < size + 200_000

    async def test_waits_for_a_first_hop_that_has_not_started(self, hosts, chain):
        second = hosts.begin(chain.second)
        await until(lambda: hosts.observer.connections)
        chain.released.set()
        await chain.start_first()
        await second
        assert differences(listing(chain.inbox), listing(chain.target)) == []

    async def test_after_the_first_hop_lists_everything(self, hosts, chain):
        chain.released.set()
        await chain.start_first()
        await hosts.move(chain.second)
        assert differences(listing(chain.inbox), listing(chain.target)) == []

    @with_lane_limits(keepalive_interval_s=0.0)
    async def test_sends_keepalives_while_nothing_arrives(self, hosts, chain, monkeypatch):
        received = []
        parsed = client._parse_lines
        monkeypatch.setattr(
            client, "_parse_lines", lambda lines: received.extend(parsed(lines)) or received[-len(lines) :]
        )
        first, second = chain.start_first(), hosts.begin(chain.second)
        await until(lambda: received.count(["keepalive"]) > 3)
        chain.released.set()
        await asyncio.gather(first, second)
        assert differences(listing(chain.inbox), listing(chain.target)) == []

    async def test_of_a_single_file(self, hosts, chain):
        chain.released.set()
        first = hosts.local("/inbox/big", "/data/one")
        second = hosts.order("/data/one", "/archive/one", previous_hop=first.hop_id)
        moving = hosts.begin(second)
        await hosts.mover(first).move(first, ProgressCounter(), RecordingObserver())
        chain.has_succeeded[first.hop_id] = True
        await moving
        assert (hosts.archive / "one").read_bytes() == (chain.inbox / "big").read_bytes()

    async def test_applies_filters(self, hosts, chain):
        chain.released.set()
        second = hosts.order("/data/", "/archive/there/", previous_hop=chain.first.hop_id, include=["small"])
        await asyncio.gather(chain.start_first(), hosts.move(second))
        found = {str(path.relative_to(chain.target)) for path in chain.target.rglob("*") if path.is_file()}
        assert found == {"a/small", "a/deep/er/small"}


class TestInterruptedChain:
    @with_lane_limits(upstream_timeout_s=0.3)
    async def test_does_not_succeed_when_the_first_hop_did_not(self, hosts, chain):
        first, second = chain.start_first(), hosts.begin(chain.second)
        await chain.wait_for("big")
        first.cancel()
        chain.released.set()
        with pytest.raises(HopError) as failure:
            await second
        assert failure.value.problem.code == PREVIOUS_HOP_NOT_RUNNING
        assert failure.value.problem.retryable

        await chain.start_first()
        await hosts.move(chain.second)
        assert differences(listing(chain.inbox), listing(chain.target)) == []

    async def test_does_not_wait_for_a_first_hop_that_has_failed(self, hosts, chain):
        chain.has_succeeded[chain.first.hop_id] = False
        with pytest.raises(HopError) as failure:
            await hosts.move(chain.second)
        assert failure.value.problem.code == PREVIOUS_HOP_NOT_RUNNING

    async def test_by_a_pause_of_the_first_hop_waits(self, hosts, chain):
        first, second = chain.start_first(), hosts.begin(chain.second)
        await chain.wait_for("big")
        first.cancel()
        chain.released.set()
        await asyncio.gather(first, return_exceptions=True)
        assert not second.done()

        await chain.start_first()
        await second
        assert differences(listing(chain.inbox), listing(chain.target)) == []

    async def test_by_a_restart_of_its_source_continues(self, hosts, chain):
        first, second = chain.start_first(), hosts.begin(chain.second)
        await chain.wait_for("big")
        passed = hosts.proxy.passed
        hosts.server.revoke(chain.second.hop_id)
        hosts.proxy.cut()
        first.cancel()
        chain.released.set()
        await asyncio.gather(first, return_exceptions=True)
        hosts.serve(chain.second.hop_id, "/data/", previous_hop=chain.first.hop_id)
        await chain.start_first()
        await second
        assert differences(listing(chain.inbox), listing(chain.target)) == []
        assert hosts.proxy.passed - passed < 3 * MIB

    async def test_by_a_restart_of_its_destination_continues(self, hosts, chain):
        first = chain.start_first()
        second = hosts.begin(chain.second)
        await chain.wait_for("big")
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        passed = hosts.proxy.passed

        second = hosts.begin(chain.second)
        await until(lambda: hosts.progress.bytes_done > RANGE_BYTES)
        chain.released.set()
        await asyncio.gather(first, second)
        assert differences(listing(chain.inbox), listing(chain.target)) == []
        assert hosts.proxy.passed - passed < 3 * MIB

    async def test_by_a_new_version_of_a_file_ends_with_the_new_version(self, hosts, chain):
        first, second = chain.start_first(), hosts.begin(chain.second)
        await chain.wait_for("a/deep/er/small")
        write_random(hosts.data / "a/deep/er/small", 77)
        chain.released.set()
        await asyncio.gather(first, second)
        assert (chain.target / "a/deep/er/small").stat().st_size == 77

    async def test_cannot_be_listed_in_full_before_the_first_hop_succeeds(self, hosts, chain):
        """Not even by a destination that does not support chains."""
        first = chain.start_first()
        await until((hosts.data / "big").exists)
        unknowing = chain.second.model_copy(update={"previous_hop": None})
        failure = await hosts.fails(unknowing, no_progress_timeout_s=0.2)
        assert failure.problem.retryable
        assert list(hosts.archive.iterdir()) == []
        chain.released.set()
        await first
        await hosts.move(unknowing)
        assert differences(listing(chain.inbox), listing(chain.target)) == []
