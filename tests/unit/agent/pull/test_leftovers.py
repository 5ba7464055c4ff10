"""An interrupted hop leaves nothing half-done behind, whatever became of its source in the meantime."""

import asyncio
import os
import shutil
import signal
import sys
from contextlib import closing
from pathlib import Path

import pytest

from agent.files.paths import PARTIAL_PREFIX
from agent.pull.ledger import Ledger, ledger_path
from agent.pull.manifest_outbox import ManifestOutbox
from agent.pull.pull import ABANDONED_AFTER_S, discard_abandoned
from infra.local.demo_files import MIB, differences, listing
from tests.support.hosts import Hosts

BIG = 40 * MIB


def left_behind(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.name.startswith(PARTIAL_PREFIX))


def records(hosts: Hosts) -> list[str]:
    return sorted(path.name for path in (hosts.state / "hops").iterdir())


def second(order):
    return order.model_copy(update={"attempt": 2})


async def pause_with_a_big_file(hosts: Hosts, **options):
    """Pause a hop in the middle of `t/d/big`, for which its whole size is reserved at the destination."""
    (hosts.data / "t/d").mkdir(parents=True)
    (hosts.data / "t/d/big").write_bytes(os.urandom(BIG))
    (hosts.data / "t/small").write_bytes(b"small")
    order = hosts.order("/data/t/", "/archive/t/", streams=1, **options)
    await hosts.moves_until(order, lambda progress: progress.bytes_done > MIB)
    [partial] = left_behind(hosts.archive)
    assert (hosts.archive / "t/d" / partial).stat().st_size == BIG
    return order


def to_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("../small")


def to_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "inside").write_bytes(b"inside")


CHANGES = {
    "deleted": Path.unlink,
    "renamed": lambda path: path.rename(path.with_name("another name")),
    "replaced by a small file": lambda path: path.write_bytes(b"now small"),
    "replaced by a big file": lambda path: path.write_bytes(os.urandom(BIG + 1)),
    "replaced by a link": to_link,
    "replaced by a directory": to_directory,
    "removed with its directory": lambda path: (path.unlink(), path.parent.rmdir()),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_a_big_file_whose_source_changed_during_a_pause_leaves_no_partial_file(hosts, change):
    order = await pause_with_a_big_file(hosts)
    CHANGES[change](hosts.data / "t/d/big")
    await hosts.move(second(order))
    found = listing(hosts.archive / "t")
    if "with its directory" in change:
        found.pop("d")  # an empty directory stays: the hop is no mirror
    assert differences(listing(hosts.data / "t"), found) == []
    assert left_behind(hosts.archive) == []
    assert records(hosts) == []


async def test_the_directory_keeps_its_time_although_a_partial_file_is_removed_from_it(hosts):
    order = await pause_with_a_big_file(hosts)
    (hosts.data / "t/d/big").unlink()
    os.utime(hosts.data / "t/d", ns=(10**18, 10**18))
    await hosts.move(second(order))
    assert (hosts.archive / "t/d").stat().st_mtime_ns == 10**18


async def test_a_hop_that_fails_for_good_after_a_pause_leaves_no_partial_file(hosts):
    order = await pause_with_a_big_file(hosts)
    (hosts.data / "t/d/big").unlink()
    os.mkfifo(hosts.data / "t/pipe")
    error = await hosts.fails(second(order))
    assert not error.problem.retryable
    assert left_behind(hosts.archive) == []


@pytest.mark.parametrize("damage", [b"noise" * 999, None])
async def test_partial_files_are_removed_although_the_ledger_is_damaged_or_lost(hosts, damage):
    order = await pause_with_a_big_file(hosts)
    path = ledger_path(hosts.state, order.hop_id)
    path.unlink() if damage is None else path.write_bytes(damage)
    (hosts.data / "t/d/big").unlink()
    await hosts.move(second(order))
    assert left_behind(hosts.archive) == []
    assert records(hosts) == []


@pytest.mark.parametrize("damage", [b"noise" * 999, None])
async def test_a_canceled_hop_with_a_damaged_or_lost_ledger_leaves_no_partial_file(hosts, damage):
    order = await pause_with_a_big_file(hosts)
    path = ledger_path(hosts.state, order.hop_id)
    path.unlink() if damage is None else path.write_bytes(damage)
    await hosts.mover(order).discard(order)
    assert left_behind(hosts.archive) == []
    assert records(hosts) == []


async def test_a_start_removes_what_a_hop_without_a_ledger_has_left(hosts):
    order = await pause_with_a_big_file(hosts)
    ledger_path(hosts.state, order.hop_id).unlink()
    discard_abandoned(hosts.roots, hosts.state, {order.hop_id})
    assert left_behind(hosts.archive) != []  # the hop is open and will resume
    discard_abandoned(hosts.roots, hosts.state, ())
    assert left_behind(hosts.archive) == []
    assert records(hosts) == []


async def test_a_directory_that_cannot_be_reached_now_is_searched_at_a_later_start(hosts, tmp_path):
    order = await pause_with_a_big_file(hosts)
    ledger_path(hosts.state, order.hop_id).unlink()
    roots = list(hosts.roots._roots)
    hosts.roots._roots = []  # the administrator has taken the root out of agent.toml
    discard_abandoned(hosts.roots, hosts.state, ())
    [record] = records(hosts)
    hosts.roots._roots = roots
    discard_abandoned(hosts.roots, hosts.state, ())
    assert left_behind(hosts.archive) == []
    (hosts.state / "hops" / record).write_bytes(b"/elsewhere/unknown\0")
    old = (hosts.state / "hops" / record).stat().st_mtime - ABANDONED_AFTER_S - 60
    os.utime(hosts.state / "hops" / record, (old, old))
    discard_abandoned(hosts.roots, hosts.state, ())
    assert records(hosts) == []


@pytest.mark.parametrize("is_lost", [True, False])
async def test_a_hop_that_succeeds_remembers_a_directory_that_it_could_not_search(
    hosts, monkeypatch, is_lost
):
    """A later start removes what was left in a directory that answered with an error."""
    order = await pause_with_a_big_file(hosts)
    [partial] = left_behind(hosts.archive)
    (hosts.data / "t/d/big").unlink()
    (hosts.data / "t/d").rmdir()
    if is_lost:
        ledger_path(hosts.state, order.hop_id).unlink()
    else:  # a second partial file, which the ledger does not know: its record was not synced
        (hosts.archive / "t/d" / f"{partial}0").touch()
    really = os.scandir

    def scan(directory):
        if isinstance(directory, int) and os.fstat(directory).st_ino == (hosts.archive / "t/d").stat().st_ino:
            raise OSError(5, "Input/output error")
        return really(directory)

    with monkeypatch.context() as broken:
        broken.setattr("agent.pull.partial_directories.os.scandir", scan)
        await hosts.move(second(order))
    assert left_behind(hosts.archive) != []
    assert records(hosts) == [f"{order.hop_id}.places"]
    discard_abandoned(hosts.roots, hosts.state, ())
    assert left_behind(hosts.archive) == []
    assert records(hosts) == []


@pytest.mark.parametrize(
    "content", [b"", b"\xff" * 5000, b"/\0/archive/../..\0relative\0/archive/nothing", None]
)
async def test_a_damaged_record_of_the_directories_does_not_stop_the_hop(hosts, content):
    order = await pause_with_a_big_file(hosts)
    record = ledger_path(hosts.state, order.hop_id).with_suffix(".places")
    record.unlink()
    record.mkdir() if content is None else record.write_bytes(content)
    await hosts.move(second(order))
    assert differences(listing(hosts.data / "t"), listing(hosts.archive / "t")) == []
    assert left_behind(hosts.archive) == []


_KILLED_IN = """
import os, signal, sys, runpy
from pkgutil import resolve_name
opened = os.open
def open_named(path, flags, *args, **options):
    if flags & os.O_TMPFILE == os.O_TMPFILE:
        raise OSError(95, "Operation not supported")
    return opened(path, flags, *args, **options)
os.open = open_named
owner, _, name = sys.argv[1].rpartition(".")
setattr(resolve_name(owner), name, lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
del sys.argv[1]
runpy.run_module("tests.support.mover_process", run_name="__main__")
"""
"""A mover that is killed when it calls the method that its first argument names, on a disk where each file
has a name."""


async def kill_in(method: str, folder: Path, order) -> None:
    """Run the destination in a process of its own until it calls `method`."""
    pipe = asyncio.subprocess.PIPE
    command = sys.executable, "-c", _KILLED_IN, method, str(folder)
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe)
    await process.communicate(order.model_dump_json().encode())
    assert process.returncode == -signal.SIGKILL


class TestKilled:
    """The destination is killed between two system calls."""

    @pytest.fixture
    def tree(self, hosts) -> Path:
        folder = hosts.data / "t"
        folder.mkdir()
        return folder

    async def test_a_link_between_its_creation_and_its_name(self, hosts, tmp_path, tree):
        (tree / "link").symlink_to("target")
        order = hosts.order("/data/t/", "/archive/t/")
        await kill_in("agent.files.roots.Tree.rename_new", tmp_path, order)
        assert left_behind(hosts.archive) != []
        (tree / "link").unlink()
        (tree / "file").write_bytes(b"file")
        await hosts.move(second(order))
        assert left_behind(hosts.archive) == []
        assert (hosts.archive / "t/file").read_bytes() == b"file"

    async def test_a_link_that_is_still_there_is_created_again(self, hosts, tmp_path, tree):
        (tree / "link").symlink_to("target")
        order = hosts.order("/data/t/", "/archive/t/")
        await kill_in("agent.files.roots.Tree.rename_new", tmp_path, order)
        await hosts.move(second(order))
        assert (hosts.archive / "t/link").readlink() == Path("target")
        assert left_behind(hosts.archive) == []

    @pytest.mark.parametrize("stays", [True, False])
    async def test_a_hard_link_between_its_creation_and_its_name(self, hosts, tmp_path, tree, stays):
        (tree / "one").write_bytes(b"one")
        (tree / "two").hardlink_to(tree / "one")
        order = hosts.order("/data/t/", "/archive/t/")
        await kill_in("agent.files.roots.Tree.rename_new", tmp_path, order)
        assert left_behind(hosts.archive) != []
        if not stays:
            (tree / "two").unlink()
        await hosts.move(second(order))
        assert differences(listing(tree), listing(hosts.archive / "t")) == []
        assert left_behind(hosts.archive) == []

    async def test_a_probe_of_the_disks_clock(self, hosts, tmp_path, tree):
        for folder, mtime in ((tree, 10**18), (hosts.archive / "t", 10**18 + 10**9)):
            folder.mkdir(exist_ok=True)
            (folder / "file").write_bytes(b"file")
            os.utime(folder / "file", ns=(mtime, mtime))
        order = hosts.order("/data/t/", "/archive/t/")
        await kill_in("agent.files.roots.Tree.unlink_beside", tmp_path, order)
        assert left_behind(hosts.archive) != []
        await hosts.move(second(order))
        assert left_behind(hosts.archive) == []
        assert records(hosts) == []

    @pytest.mark.parametrize("is_canceled", [True, False])
    async def test_a_marker_file_is_removed_although_the_ledger_is_lost(
        self, hosts, tmp_path, tree, is_canceled
    ):
        (tree / "file").write_bytes(b"file")
        order = hosts.order("/data/t/", "/archive/t/")
        await kill_in("agent.pull.sync_pass.SyncPass._list", tmp_path, order)
        assert left_behind(hosts.archive) != []
        for path in (hosts.state / "hops").glob("*.db*"):
            path.unlink()
        if is_canceled:
            await hosts.mover(order).discard(order)
        else:
            await hosts.move(second(order))
        assert left_behind(hosts.archive) == []
        assert records(hosts) == []


class TestMoveKilled:
    """The destination of a `move` is killed while or after it deletes what it moved at the source."""

    @pytest.fixture(autouse=True)
    def _may_write_at_the_source(self, hosts):
        hosts.open_source()
        (hosts.data / "t/sub").mkdir(parents=True)
        (hosts.data / "t/sub/a").write_bytes(b"a")
        (hosts.data / "t/b").write_bytes(os.urandom(2 * MIB))

    @pytest.mark.parametrize(
        "method",
        [
            "agent.pull.source_deletion.SourceDeletion._delete_source_root",
            "agent.pull.finalizer._digest",
            "agent.pull.mover.HostResources.keep_manifest",
        ],
    )
    @pytest.mark.parametrize("source", ["/data/t", "/data/t/", "/data/t/b"])
    async def test_the_next_attempt_succeeds(self, hosts, tmp_path, method, source):
        sent = {path.name: path.read_bytes() for path in hosts.data.rglob("*") if path.is_file()}
        order = hosts.order(source, "/archive/t", move=True)
        await kill_in(method, tmp_path, order)
        await hosts.move(second(order))
        if source == "/data/t/b":
            assert (hosts.archive / "t").read_bytes() == sent["b"]
            assert not (hosts.data / "t/b").exists()
        else:
            assert {
                path.name: path.read_bytes() for path in hosts.archive.rglob("?") if path.is_file()
            } == sent
            assert (hosts.data / "t").exists() == source.endswith("/")
        assert hosts.progress.files_done == (1 if source.endswith("b") else 2)
        assert left_behind(hosts.archive) == []
        assert records(hosts) == []


class TestMirror:
    """Mirrors, also those that resume after the source has lost what an earlier attempt sent."""

    @pytest.fixture
    def tree(self, hosts) -> Path:
        for name in ("a", "d/b", "e/c"):
            (hosts.data / "t" / name).parent.mkdir(parents=True, exist_ok=True)
            (hosts.data / "t" / name).write_bytes(name.encode())
        return hosts.data / "t"

    async def test_directories_keep_the_source_s_times_after_a_removal(self, hosts, tree):
        for folder in (tree, tree / "d"):
            os.utime(folder, ns=(10**18, 10**18))
        (hosts.archive / "t/d/extra/deep").mkdir(parents=True)
        (hosts.archive / "t/d/old").write_bytes(b"old")
        (hosts.archive / "t/old").write_bytes(b"old")
        await hosts.move(hosts.order("/data/t/", "/archive/t/", delete_extra=True))
        assert {path.name for path in (hosts.archive / "t/d").iterdir()} == {"b"}
        times = [(hosts.archive / "t" / name).stat().st_mtime_ns for name in ("", "d")]
        assert times == [10**18, 10**18]

    async def test_what_an_earlier_attempt_sent_and_this_one_removed_counts_as_removed(
        self, hosts, tree, tmp_path
    ):
        hosts.manifests = ManifestOutbox(tmp_path / "manifests")
        order = hosts.order("/data/t/", "/archive/t/", delete_extra=True)
        await kill_in("agent.pull.finalizer.Finalizer.finalize", tmp_path, order)
        (tree / "d/b").unlink()
        (tree / "d").rmdir()
        await hosts.move(second(order))
        assert differences(listing(tree), listing(hosts.archive / "t")) == []
        [ledger] = hosts.manifests.waiting()
        with closing(Ledger(ledger)) as opened:
            outcomes = {one.path: one.outcome for one in opened.outcomes}
        assert outcomes == {"": "sent", "a": "sent", "e": "sent", "e/c": "sent", "d/b": "removed"}

    async def test_a_directory_that_went_away_between_two_attempts_is_no_failure(self, hosts, tree, tmp_path):
        order = hosts.order("/data/t/", "/archive/t/")
        await kill_in("agent.pull.finalizer.Finalizer.finalize", tmp_path, order)
        shutil.rmtree(tree / "d")
        shutil.rmtree(hosts.archive / "t/d")
        await hosts.move(second(order))
        assert differences(listing(tree), listing(hosts.archive / "t")) == []
