"""Pulls over the lane, with two real agents, real TLS and real disks."""

import asyncio
import contextlib
import itertools
import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.errors import HopError
from agent.files.digests import RANGE_BYTES
from agent.files.listing import FileEntry
from agent.files.paths import PARTIAL_PREFIX
from agent.identity import lane_certificate
from agent.lane.client import LaneClient
from agent.pull import destination, ledger, pull, worker_context
from agent.pull.bandwidth import BandwidthSchedule, SharedBandwidth
from agent.pull.job_queue import JobQueue, RangeJob
from agent.pull.limits import PullLimits
from agent.pull.source import LocalReader, SourceConnectionError
from infra.local.demo_files import MIB, differences, listing, write_random
from tests.support.hosts import Hosts, with_lane_limits
from tests.support.waiting import HANG_TIMEOUT_S, until


@pytest.fixture(params=["destination", "source"])
def hosts(tmp_path, request, lane_limits):
    """Run each test with either agent dialing."""
    hosts = Hosts(tmp_path, request.param, lane_limits)
    yield hosts
    hosts.close()


def partial_files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.name.startswith(PARTIAL_PREFIX)]


def odd_tree(folder: Path) -> None:
    """Create a tree with everything that a directory may contain."""
    write_random(folder / "big.bin", 2 * RANGE_BYTES + 12345)
    write_random(folder / "just over.bin", MIB + 1)
    write_random(folder / "just small.bin", MIB)
    write_random(folder / "sub dir/ü ñ 名前.bin", 4000)
    for number in range(700):
        write_random(folder / f"many/{number:03}", number * 13 % 5000)
    (folder / "empty/deeper").mkdir(parents=True)
    (folder / "zero").touch()
    (folder / ("n" * 255)).write_text("a long name")
    Path(os.fsdecode(os.fsencode(folder) + b"/not-utf8-\xff")).write_text("bytes")
    (folder / "line\nbreak").write_text("x")
    (folder / "dangling").symlink_to("nowhere")
    (folder / "to zero").symlink_to("zero")


class TestTree:
    async def test_is_transferred_unchanged(self, hosts):
        odd_tree(hosts.data / "tree")
        sent = listing(hosts.data / "tree")

        outcome = await hosts.move(hosts.order("/data/tree/", "/archive/there/"))

        assert differences(sent, listing(hosts.archive / "there")) == []
        assert partial_files(hosts.archive) == []
        progress = hosts.progress
        assert progress.bytes_done == progress.bytes_total
        files = sum(kind != "directory" for kind in sent.values())
        assert progress.files_done == progress.files_total == files
        assert hosts.observer.connections == [hosts.expected_connection]
        again = await hosts.move(hosts.local("/data/tree/", "/archive/elsewhere/"))
        assert again.digest == outcome.digest
        assert list((hosts.state / "hops").iterdir()) == []

    async def test_keeps_times_and_modes_but_no_setuid(self, hosts):
        file, folder = hosts.data / "t/run", hosts.data / "t/d"
        write_random(file, 10)
        folder.mkdir()
        (folder / "inside").touch()
        file.chmod(0o4750)
        folder.chmod(0o1711)
        for path, when in ((file, 10**18 + 7), (folder, 10**18 + 9)):
            os.utime(path, ns=(when, when))

        await hosts.move(hosts.order("/data/t/", "/archive/t/"))

        arrived = (hosts.archive / "t/run").stat(), (hosts.archive / "t/d").stat()
        assert [one.st_mtime_ns for one in arrived] == [10**18 + 7, 10**18 + 9]
        assert [stat.S_IMODE(one.st_mode) for one in arrived] == [0o750, 0o1711]

    async def test_a_sparse_file_stays_sparse(self, hosts):
        with (hosts.data / "disk.img").open("wb") as file:
            file.truncate(3 * RANGE_BYTES)
            file.seek(RANGE_BYTES + 5)
            file.write(b"an island")

        await hosts.move(hosts.order("/data/disk.img", "/archive/copy.img"))

        assert differences(listing(hosts.data), {"disk.img": listing(hosts.archive)["copy.img"]}) == []
        assert (hosts.archive / "copy.img").stat().st_blocks * 512 < 2 * MIB

    @pytest.mark.parametrize("size", [0, 1, MIB, MIB + 1, RANGE_BYTES, RANGE_BYTES + 1])
    async def test_of_one_file_gets_the_given_name(self, hosts, size):
        write_random(hosts.data / "one", size)
        await hosts.move(hosts.order("/data/one", "/archive/deep/er/other name"))
        assert (hosts.archive / "deep/er/other name").read_bytes() == (hosts.data / "one").read_bytes()
        assert partial_files(hosts.archive) == []

    async def test_second_transfer_moves_nothing(self, hosts):
        odd_tree(hosts.data / "tree")
        await hosts.move(hosts.order("/data/tree/", "/archive/"))
        passed = hosts.proxy.passed

        await hosts.move(hosts.order("/data/tree/", "/archive/"))

        assert hosts.proxy.passed - passed < 300_000  # the listing
        assert hosts.progress.files_unchanged == hosts.progress.files_total  # links, too
        assert hosts.progress.bytes_done == hosts.progress.bytes_total == hosts.progress.bytes_unchanged

    async def test_long_listing_spills_to_disk(self, hosts):
        hosts.pull_limits = PullLimits(max_spooled_in_memory=7)
        odd_tree(hosts.data / "tree")
        await hosts.move(hosts.order("/data/tree/", "/archive/"))
        assert differences(listing(hosts.data / "tree"), listing(hosts.archive)) == []

    async def test_leaks_no_descriptor_and_no_thread(self, hosts):
        odd_tree(hosts.data / "tree")
        order = hosts.order("/data/tree/", "/archive/1/")
        await hosts.move(order)
        hosts.release(order)
        hosts.proxy.cut()
        before, threads = descriptors(), threading.active_count()
        for number in range(3):
            order = hosts.order("/data/tree/", f"/archive/2/{number}/")
            await hosts.move(order)
            hosts.release(order)
        await until(lambda: descriptors() <= before + 2 and threading.active_count() <= threads + 2)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


class TestBrokenConnection:
    async def test_repeats_at_most_one_range_per_connection(self, hosts):
        size = 6 * RANGE_BYTES
        write_random(hosts.data / "big", size)
        hosts.proxy.cut_after = 3 * RANGE_BYTES

        await hosts.move(hosts.order("/data/big", "/archive/big", streams=2))

        assert (hosts.archive / "big").read_bytes() == (hosts.data / "big").read_bytes()
        assert hosts.proxy.cut_after is None
        assert hosts.proxy.passed < size * 1.01 + 2 * RANGE_BYTES
        assert hosts.progress.bytes_done == size

    async def test_shrinks_the_request_size(self, hosts):
        size = 3 * RANGE_BYTES
        write_random(hosts.data / "t/big", size)
        for number in range(20):
            write_random(hosts.data / f"t/small{number}", MIB // 2)
        size += 10 * MIB
        hosts.proxy.cut_every = 12 * MIB

        await hosts.move(hosts.order("/data/t/", "/archive/t/", streams=2))

        assert differences(listing(hosts.data / "t"), listing(hosts.archive / "t")) == []
        assert hosts.proxy.passed < 2 * size

    async def test_recovers_after_an_outage(self, hosts):
        write_random(hosts.data / "big", 3 * RANGE_BYTES)
        hosts.proxy.cut_after = RANGE_BYTES
        order = hosts.order("/data/big", "/archive/big")
        moving = asyncio.create_task(hosts.move(order))
        await until(lambda: hosts.proxy.cut_after is None)
        hosts.proxy.down()
        dialed = hosts.proxy.dialed
        await until(lambda: hosts.proxy.dialed >= dialed + 3)
        hosts.proxy.up()

        await moving

        assert (hosts.archive / "big").read_bytes() == (hosts.data / "big").read_bytes()

    @pytest.mark.usefixtures("races_end_when_each_way_failed")
    @with_lane_limits(dial_timeout_s=HANG_TIMEOUT_S)
    async def test_permanent_failure_lists_each_address(self, hosts):
        write_random(hosts.data / "x", 10)
        order = hosts.order("/data/x", "/archive/")
        hosts.server.shut_down()

        error = await hosts.fails(order)

        assert error.problem.code == "source-unreachable"
        assert error.problem.retryable
        assert hosts.proxy.endpoint in error.problem.message

    @pytest.mark.usefixtures("races_end_when_each_way_failed")
    @with_lane_limits(dial_timeout_s=HANG_TIMEOUT_S)
    async def test_other_agent_at_the_address_is_rejected(self, hosts, tmp_path):
        write_random(hosts.data / "x", 10)
        order = hosts.order("/data/x", "/archive/")
        (tmp_path / "mallory").mkdir()
        mallory = lane_certificate.ensure(tmp_path / "mallory")
        peer = order.route.source.model_copy(update={"certificate": mallory.certificate.read_text()})
        order = order.model_copy(update={"route": order.route.model_copy(update={"source": peer})})
        error = await hosts.fails(order)
        assert error.problem.code == "source-unreachable"
        refusal = {"destination": "shows another certificate", "source": "did not connect in time"}
        assert refusal[hosts.dials] in error.problem.message


class TestPause:
    async def test_keeps_written_files(self, hosts):
        size = 6 * RANGE_BYTES
        write_random(hosts.data / "big", size)
        order = hosts.order("/data/big", "/archive/big", streams=1)
        await hosts.moves_until(order, lambda progress: progress.bytes_done > 3 * RANGE_BYTES)
        assert [path.name for path in hosts.archive.iterdir()] != ["big"]
        passed = hosts.proxy.passed

        await hosts.move(order)

        assert (hosts.archive / "big").read_bytes() == (hosts.data / "big").read_bytes()
        assert hosts.proxy.passed - passed < 3.1 * RANGE_BYTES
        assert hosts.progress.bytes_done == size

    async def test_keeps_part_of_a_range(self, hosts):
        write_random(hosts.data / "big", RANGE_BYTES)
        order = hosts.order("/data/big", "/archive/big", streams=1, bandwidth_limit=RANGE_BYTES // 2)
        await hosts.moves_until(order, lambda progress: progress.bytes_done > 0.6 * RANGE_BYTES)
        passed = hosts.proxy.passed

        await hosts.move(order)

        assert (hosts.archive / "big").read_bytes() == (hosts.data / "big").read_bytes()
        assert hosts.proxy.passed - passed < 0.7 * RANGE_BYTES
        assert hosts.progress.bytes_done == RANGE_BYTES

    async def test_verifies_partial_files_on_resume(self, hosts):
        write_random(hosts.data / "big", 4 * RANGE_BYTES)
        order = hosts.order("/data/big", "/archive/big", streams=1)
        await hosts.moves_until(order, lambda progress: progress.bytes_done > 2 * RANGE_BYTES)
        [part] = partial_files(hosts.archive)
        with part.open("r+b") as file:
            file.seek(RANGE_BYTES // 2)
            file.write(b"\0" * 100)

        await hosts.move(order)

        assert (hosts.archive / "big").read_bytes() == (hosts.data / "big").read_bytes()

    async def test_restarts_a_file_that_has_changed(self, hosts):
        write_random(hosts.data / "big", 3 * RANGE_BYTES)
        order = hosts.order("/data/big", "/archive/big", streams=1)
        await hosts.moves_until(order, lambda progress: progress.bytes_done > 2 * RANGE_BYTES)
        write_random(hosts.data / "big", 2 * RANGE_BYTES + 99)

        await hosts.move(order)

        assert (hosts.archive / "big").read_bytes() == (hosts.data / "big").read_bytes()

    async def test_cancel_after_pause_leaves_nothing(self, hosts):
        write_random(hosts.data / "t/big", 3 * RANGE_BYTES)
        order = hosts.order("/data/t/", "/archive/t/", streams=1)
        await hosts.moves_until(order, lambda progress: progress.bytes_done > RANGE_BYTES)
        assert partial_files(hosts.archive)

        await hosts.mover(order).discard(order)

        assert partial_files(hosts.archive) == []
        assert list((hosts.state / "hops").iterdir()) == []

    async def test_abandoned_hop_is_discarded_after_weeks(self, hosts):
        write_random(hosts.data / "t/big", 3 * RANGE_BYTES)
        order = hosts.order("/data/t/", "/archive/t/", streams=1)
        await hosts.moves_until(order, lambda progress: progress.bytes_done > RANGE_BYTES)
        [book] = (hosts.state / "hops").glob("*.db")

        pull.discard_abandoned(hosts.roots, hosts.state, open_hops=set())
        assert partial_files(hosts.archive)
        os.utime(book, (0, 0))
        pull.discard_abandoned(hosts.roots, hosts.state, open_hops={order.hop_id})
        assert partial_files(hosts.archive)
        pull.discard_abandoned(hosts.roots, hosts.state, open_hops=set())

        assert partial_files(hosts.archive) == []
        assert list((hosts.state / "hops").iterdir()) == []

    async def test_interrupts_a_wait_for_bandwidth(self, hosts):
        write_random(hosts.data / "big", RANGE_BYTES)
        order = hosts.order("/data/big", "/archive/big", bandwidth_limit=1024)  # would take hours
        await hosts.moves_until(order, lambda progress: progress.bytes_total is not None)


class TestUnavailableFile:
    async def test_fails_and_the_rest_is_transferred(self, hosts):
        write_random(hosts.data / "t/good", 100)
        os.mkfifo(hosts.data / "t/pipe")

        error = await hosts.fails(hosts.order("/data/t/", "/archive/t/"))

        assert error.problem.code == "files-failed"
        assert [one.code for one in error.failures] == ["special-file"]
        assert "/data/t/pipe" in error.failures[0].message
        assert (hosts.archive / "t/good").exists()

    async def test_missing_source(self, hosts):
        error = await hosts.fails(hosts.order("/data/nothing", "/archive/"))
        assert error.problem.code == "source-missing"
        assert not error.problem.retryable

    @pytest.mark.parametrize("size", [100, 2 * RANGE_BYTES])
    @pytest.mark.parametrize(
        ("replace", "code"),
        [
            (Path.mkdir, "special-file"),
            (os.mkfifo, "special-file"),
            (lambda path: path.symlink_to("/etc/hostname"), None),
        ],
        ids=["a directory", "a pipe", "a link"],
    )
    async def test_file_that_something_else_replaces_is_not_called_forbidden(
        self, hosts, monkeypatch, size, replace, code
    ):
        """A log is rotated away, and a pipe of that name takes its place, before it is read."""
        path = hosts.data / "t/swapped"
        write_random(path, size)
        write_random(hosts.data / "t/good", 100)
        before_first_read(monkeypatch, lambda: (path.unlink(), replace(path)))

        error = await hosts.fails(hosts.order("/data/t/", "/archive/t/"))

        [failure] = error.failures
        assert "swapped" in failure.message
        assert failure.code != "permission-denied"
        assert code in {None, failure.code}
        assert [one.name for one in (hosts.archive / "t").iterdir()] == ["good"]

    @pytest.mark.parametrize("size", [100, 2 * RANGE_BYTES])
    async def test_vanished_file(self, hosts, monkeypatch, size):
        write_random(hosts.data / "t/gone", size)
        write_random(hosts.data / "t/good", 100)
        before_first_read(monkeypatch, (hosts.data / "t/gone").unlink)

        error = await hosts.fails(hosts.order("/data/t/", "/archive/t/"))

        assert "gone" in error.failures[0].message
        assert [path.name for path in (hosts.archive / "t").iterdir()] == ["good"]

    @pytest.mark.parametrize("size", [100, 2 * RANGE_BYTES])
    async def test_changed_file_is_retried(self, hosts, monkeypatch, size):
        write_random(hosts.data / "t/lively", size)
        before_first_read(monkeypatch, lambda: write_random(hosts.data / "t/lively", size + 7))

        await hosts.move(hosts.order("/data/t/", "/archive/t/"))

        assert differences(listing(hosts.data / "t"), listing(hosts.archive / "t")) == []
        assert hosts.progress.bytes_done == hosts.progress.bytes_total == size + 7
        assert partial_files(hosts.archive) == []

    @pytest.mark.parametrize("selection", [None, ("lively", "other")], ids=["all", "selected"])
    async def test_changed_file_is_looked_up_without_listing_the_others(self, hosts, monkeypatch, selection):
        for name in ("lively", "other", "third"):
            write_random(hosts.data / "t" / name, 100)
        before_first_read(monkeypatch, lambda: write_random(hosts.data / "t/lively", 107))
        listings = recorded_listings(monkeypatch)

        await hosts.move(hosts.order("/data/t/", "/archive/t/", selection=selection))

        assert listings[1:] == [["lively"]]
        assert (hosts.archive / "t/lively").read_bytes() == (hosts.data / "t/lively").read_bytes()

    @pytest.mark.parametrize("size", [100, 2 * RANGE_BYTES])
    async def test_file_that_changed_and_was_then_deleted_is_reported(self, hosts, monkeypatch, size):
        write_random(hosts.data / "t/gone", size)
        write_random(hosts.data / "t/good", 100)
        before_first_read(monkeypatch, lambda: write_random(hosts.data / "t/gone", size + 7))
        recorded_listings(monkeypatch, before_second=(hosts.data / "t/gone").unlink)

        error = await hosts.fails(hosts.order("/data/t/", "/archive/t/"))

        assert [(one.code, one.path) for one in error.failures] == [("source-missing", "/data/t/gone")]
        assert [path.name for path in (hosts.archive / "t").iterdir()] == ["good"]


def recorded_listings(monkeypatch, before_second=lambda: None) -> list[list[str]]:
    """Return a list that gets the paths of each listing."""
    really, listings = LaneClient.manifest, []

    def manifest(self, selection):
        if len(listings) == 1:
            before_second()
        listings.append([])
        for entry in really(self, selection):
            listings[-1].append(entry.path)
            yield entry

    monkeypatch.setattr(LaneClient, "manifest", manifest)
    return listings


def before_first_read(monkeypatch, act) -> None:
    """Change the source between its listing and the first request."""
    really, done = worker_context.WorkerConnection.reader, []
    lock = threading.Lock()

    def open_reader(self):
        with lock:
            if not done:
                done.append(act())
        return really(self)

    monkeypatch.setattr(worker_context.WorkerConnection, "reader", open_reader)


class TestDamage:
    async def test_is_repaired_by_a_retry(self, hosts, monkeypatch):
        write_random(hosts.data / "t/big", 2 * RANGE_BYTES)
        write_random(hosts.data / "t/small", 100)
        lying(monkeypatch, times=2)

        await hosts.move(hosts.order("/data/t/", "/archive/t/", streams=1))

        assert differences(listing(hosts.data / "t"), listing(hosts.archive / "t")) == []
        assert hosts.progress.bytes_done == hosts.progress.bytes_total

    async def test_permanent_damage_fails_and_writes_nothing(self, hosts, monkeypatch):
        write_random(hosts.data / "t/big", RANGE_BYTES + 1)
        lying(monkeypatch, times=10**6)

        error = await hosts.fails(hosts.order("/data/t/", "/archive/t/"))

        assert {one.code for one in error.failures} == {"arrived-damaged"}
        assert list((hosts.archive / "t").iterdir()) == []

    async def test_on_disk_is_found_by_reading_back(self, hosts, monkeypatch):
        write_random(hosts.data / "t/a", 5000)
        write_random(hosts.data / "t/b", 2 * MIB)
        order = hosts.order("/data/t/", "/archive/t/", verify="reread")
        really = destination.Destination.finalize

        def rotting(self):
            really(self)
            with (hosts.archive / "t/b").open("r+b") as file:
                file.write(b"rotten")

        with monkeypatch.context() as patch:
            patch.setattr(destination.Destination, "finalize", rotting)
            error = await hosts.fails(order)
        assert hosts.observer.verified
        assert (error.problem.code, error.problem.retryable) == ("written-wrong", True)
        assert [path.name for path in (hosts.archive / "t").iterdir()] == ["a"]

        await hosts.move(order)

        assert differences(listing(hosts.data / "t"), listing(hosts.archive / "t")) == []


def test_workers_wait_for_a_requeued_file():
    """A worker that waits for a job during the last range is not told that all jobs are done."""
    jobs = JobQueue(10, PullLimits())
    jobs.add(FileEntry("f", "a", MIB), tries=1)
    jobs.planning_done()
    last = jobs.take()
    assert isinstance(last, RangeJob)
    assert jobs.range_done(last)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(jobs.take)
        jobs.add(last.file.entry, tries=2, block=False)
        jobs.job_done(progressed=True)
        again = asked.result(timeout=HANG_TIMEOUT_S)
    assert isinstance(again, RangeJob)
    assert again.file.tries == 2


def lying(monkeypatch, times: int) -> None:
    """Make the source send wrong digests, `times` times."""
    from agent.lane import request_handler

    really_send, really_digest = request_handler._send, request_handler.digest_of
    left = [times]

    def wrong(digest: bytes | None) -> bytes | None:
        left[0] -= 1
        return bytes(16) if left[0] >= 0 and digest else digest

    monkeypatch.setattr(request_handler, "_send", lambda *args: wrong(really_send(*args)))
    monkeypatch.setattr(request_handler, "digest_of", lambda data: wrong(really_digest(data)))


class TestExistingFile:
    @pytest.mark.parametrize(
        ("overwrite", "older", "stays"),
        [("always", True, False), ("newer", True, False), ("newer", False, True), ("never", True, True)],
    )
    async def test_is_overwritten_by_option(self, hosts, overwrite, older, stays):
        write_random(hosts.data / "x", 100)
        (hosts.archive / "x").write_text("what was there")
        moment = (hosts.data / "x").stat().st_mtime_ns + (-(10**9) if older else 10**9)
        os.utime(hosts.archive / "x", ns=(moment, moment))

        await hosts.move(hosts.order("/data/x", "/archive/x", overwrite=overwrite))

        assert ((hosts.archive / "x").read_bytes() == b"what was there") is stays

    async def test_can_fail_the_hop(self, hosts):
        write_random(hosts.data / "x", 100)
        (hosts.archive / "x").write_text("what was there")
        error = await hosts.fails(hosts.order("/data/x", "/archive/x", overwrite="fail"))
        assert error.problem.code == "destination-exists"
        assert (hosts.archive / "x").read_text() == "what was there"

    async def test_directory_in_place_of_a_file(self, hosts):
        write_random(hosts.data / "x", 100)
        (hosts.archive / "x").mkdir()
        error = await hosts.fails(hosts.order("/data/x", "/archive/x"))
        assert error.problem.code == "is-a-directory"

    async def test_link_out_of_the_root_is_refused(self, hosts, tmp_path):
        write_random(hosts.data / "t/x", 100)
        (tmp_path / "outside").mkdir()
        (hosts.archive / "t").symlink_to(tmp_path / "outside")
        error = await hosts.fails(hosts.order("/data/t/", "/archive/t/"))
        assert error.problem.code == "outside-roots"
        assert list((tmp_path / "outside").iterdir()) == []

    async def test_link_in_place_of_a_file_is_replaced(self, hosts, tmp_path):
        write_random(hosts.data / "t/x", 100)
        (tmp_path / "precious").write_text("keep me")
        (hosts.archive / "t").mkdir()
        (hosts.archive / "t/x").symlink_to(tmp_path / "precious")
        await hosts.move(hosts.order("/data/t/", "/archive/t/"))
        assert (tmp_path / "precious").read_text() == "keep me"
        assert not (hosts.archive / "t/x").is_symlink()


async def test_path_outside_the_roots_is_refused(hosts):
    write_random(hosts.data / "x", 10)
    error = await hosts.fails(hosts.order("/data/x", "/etc/x"))
    assert error.problem.code == "outside-roots"


async def test_hop_that_is_no_longer_served_fails(hosts):
    write_random(hosts.data / "big", 4 * RANGE_BYTES)
    order = hosts.order("/data/big", "/archive/big")
    async with hosts.held(order, lambda progress: progress.bytes_done, no_progress_timeout_s=0.3) as moving:
        hosts.server.revoke(order.hop_id)
    with pytest.raises(HopError) as caught:
        await moving
    assert caught.value.problem.code == "source-unreachable"


async def test_bandwidth_limit_of_the_hop(hosts):
    write_random(hosts.data / "big", 6 * MIB)
    loop = asyncio.get_running_loop()
    began = loop.time()
    await hosts.move(hosts.order("/data/big", "/archive/big", bandwidth_limit=4 * MIB))
    assert loop.time() - began > 1.0  # 1.5 s less the burst


async def test_local_reader_can_be_interrupted(hosts):
    write_random(hosts.data / "big", 8 * MIB)
    reader = LocalReader(hosts.sources.tree("/data/big", writing=False))
    reader.interrupt()
    about = (hosts.data / "big").stat()
    with pytest.raises(SourceConnectionError):
        reader.range(FileEntry("f", "", about.st_size, about.st_mtime_ns), 0, MIB, lambda _: None)
    reader.close()


numbers = itertools.count()
names = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=12
).filter(lambda name: name not in {".", ".."} and not name.startswith(PARTIAL_PREFIX))
sizes = st.one_of(st.integers(0, 3000), st.sampled_from([MIB - 1, MIB, MIB + 1, 2 * MIB + 3]))
trees = st.dictionaries(
    st.lists(names, min_size=1, max_size=3).map("/".join), st.one_of(sizes, st.none()), max_size=12
)


@given(tree=trees)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_tree_is_transferred(hosts, tree):
    name = f"t{next(numbers)}"
    source, destination = hosts.data / name, hosts.archive / name
    source.mkdir()
    for path, size in tree.items():
        with contextlib.suppress(OSError):  # a file where a directory should be, or a name too long
            create(source / path, size)
    asyncio.run(hosts.move(hosts.order(f"/data/{name}/", f"/archive/{name}/")))
    assert differences(listing(source), listing(destination)) == []
    assert partial_files(destination) == []


def create(place: Path, size: int | None) -> None:
    """Create a file of `size` bytes, or a directory."""
    if size is None:
        place.mkdir(parents=True)
    else:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(os.urandom(size))


def test_ledger_of_another_destination_is_cleared(tmp_path):
    book = ledger.Ledger(tmp_path / "hop.db")
    book.begin("/a")
    book.complete(FileEntry("f", "x", 1, 2), bytes(16))
    book.begin("/a")
    assert book.known(FileEntry("f", "x", 1, 2)) == "done"
    book.begin("/b")
    assert book.known(FileEntry("f", "x", 1, 2)) is None
    book.forget()
    assert list(tmp_path.iterdir()) == []


async def test_bandwidth_limit_of_the_source_agent(hosts):
    size = 3 * MIB
    write_random(hosts.data / "t/big", size)
    write_random(hosts.data / "t/small", MIB // 2)
    hosts.server.grants._bandwidth = SharedBandwidth(BandwidthSchedule(2 * MIB))
    loop = asyncio.get_running_loop()
    began = loop.time()
    await hosts.move(hosts.order("/data/t/", "/archive/t/"))
    assert loop.time() - began > 1.0  # 1.75 s, less the burst and the last piece
    assert differences(listing(hosts.data / "t"), listing(hosts.archive / "t")) == []
