"""The options of a hop on real trees: filters, mirror, move, checksum, dry run, and a full disk."""

import asyncio
import errno
import os
from pathlib import Path

import pytest

from agent.files.listing import FileEntry
from agent.pull import destination
from agent.pull.job_queue import JobQueue
from agent.pull.limits import PullLimits
from tests.support.hosts import ways
from tests.support.waiting import until

BIG = 3 * 1024 * 1024
OLD = 1_600_000_000 * 10**9


def fill(folder: Path, **files: bytes | str) -> None:
    for name, content in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def tree(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): None if path.is_dir() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
    }


class TestFilters:
    @ways
    async def test_only_selected_files_are_transferred(self, hosts, way):
        fill(hosts.data, a="a", raw__b="b", raw__c="c", proxies__raw__d="d", empty__e="e")
        order = getattr(hosts, way)("/data/", "/archive/", include=["raw/"], exclude=["c"])
        await hosts.move(order)
        assert tree(hosts.archive) == {
            "proxies": None,
            "proxies/raw": None,
            "proxies/raw/d": b"d",
            "raw": None,
            "raw/b": b"b",
        }
        assert hosts.progress.files_total == 2

    async def test_listing_of_a_source_without_filters_is_filtered(self, hosts):
        fill(hosts.data, a="a", b="b")
        order = hosts.order("/data/", "/archive/", exclude=["b"])
        hosts.serve(order.hop_id, "/data/")
        await hosts.move(order)
        assert tree(hosts.archive) == {"a": b"a"}


class TestMirror:
    @ways
    async def test_extra_files_are_removed(self, hosts, way):
        fill(hosts.data, keep="new", sub__a="a")
        fill(hosts.archive, keep="old", extra="x", sub__extra="x", gone__deep__er="x", gone__ü="x")
        (hosts.archive / "link").symlink_to("extra")
        await hosts.move(getattr(hosts, way)("/data/", "/archive/", delete_extra=True))
        assert tree(hosts.archive) == {"keep": b"new", "sub": None, "sub/a": b"a"}
        assert hosts.progress.files_removed == 5

    async def test_excluded_files_stay(self, hosts):
        fill(hosts.data, a="a", b__tmp="t")
        fill(hosts.archive, b__tmp="mine", b__x="x", c__tmp="mine")
        await hosts.move(hosts.order("/data/", "/archive/", delete_extra=True, exclude=["tmp"]))
        assert tree(hosts.archive) == {"a": b"a", "b": None, "b/tmp": b"mine", "c": None, "c/tmp": b"mine"}

    @pytest.mark.parametrize("folder", ["nothing", "folders"])
    async def test_empty_source_removes_nothing(self, hosts, folder):
        (hosts.data / "folders/in").mkdir(parents=True)
        (hosts.data / "nothing").mkdir()
        fill(hosts.archive, all_i_have="x")
        error = await hosts.fails(hosts.order(f"/data/{folder}/", "/archive/", delete_extra=True))
        assert (error.problem.code, error.problem.retryable) == ("source-empty", False)
        assert (hosts.archive / "all_i_have").read_text() == "x"

    async def test_unreadable_source_removes_nothing(self, hosts):
        fill(hosts.data, a="a")
        os.mkfifo(hosts.data / "fifo")
        fill(hosts.archive, extra="x")
        error = await hosts.fails(hosts.order("/data/", "/archive/", delete_extra=True))
        assert error.failures[0].code == "special-file"
        assert tree(hosts.archive) == {"a": b"a", "extra": b"x"}

    async def test_link_out_of_the_root_is_removed_not_followed(self, hosts, tmp_path):
        fill(tmp_path / "outside", precious="p")
        fill(hosts.data, a="a")
        (hosts.archive / "out").symlink_to(tmp_path / "outside")
        await hosts.move(hosts.order("/data/", "/archive/", delete_extra=True))
        assert tree(hosts.archive) == {"a": b"a"}
        assert tree(tmp_path / "outside") == {"precious": b"p"}

    async def test_unselected_files_are_not_extra(self, hosts):
        fill(hosts.data, a="a", b="b")
        fill(hosts.archive, b="mine")
        await hosts.move(hosts.order("/data/", "/archive/", delete_extra=True, selection=("a",)))
        assert tree(hosts.archive) == {"a": b"a", "b": b"mine"}

    async def test_single_file_removes_nothing_beside_it(self, hosts):
        fill(hosts.data, a="a")
        fill(hosts.archive, beside="b")
        await hosts.move(hosts.order("/data/a", "/archive/a", delete_extra=True))
        assert tree(hosts.archive) == {"a": b"a", "beside": b"b"}


class TestDryRun:
    @pytest.mark.parametrize("size", [1, BIG])
    async def test_a_destination_that_pretends_to_copy_gets_no_contents(self, hosts, size):
        (hosts.data / "secret").write_bytes(os.urandom(size))
        order = hosts.order("/data/", "/archive/", dry_run=True)
        hop = order.model_copy(update={"options": order.options.model_copy(update={"dry_run": False})})
        error = await hosts.fails(hop)
        assert error.problem.code == "only-compared"
        assert tree(hosts.archive) == {}

    @ways
    async def test_reports_what_would_happen_and_writes_nothing(self, hosts, way):
        fill(hosts.data, new="1234", other__differs="longer", same="s")
        fill(hosts.archive, other__differs="old", same="s", extra="xx")
        os.utime(hosts.data / "same", ns=(OLD, OLD))
        os.utime(hosts.archive / "same", ns=(OLD, OLD))
        before = tree(hosts.archive)
        order = getattr(hosts, way)("/data/", "/archive/", delete_extra=True, dry_run=True)
        outcome = await hosts.move(order)
        assert tree(hosts.archive) == before
        preview = outcome.preview
        assert preview is not None
        assert (preview.sent.files, preview.sent.bytes) == (1, 4)
        assert (preview.replaced.files, preview.replaced.bytes) == (1, 6)
        assert (preview.removed.files, preview.removed.bytes) == (1, 2)
        assert preview.unchanged.files == 1
        assert preview.examples == {"sent": ("new",), "replaced": ("other/differs",), "removed": ("extra",)}
        assert not list((hosts.state / "hops").glob("*"))

    async def test_restarted_pass_counts_from_zero(self, hosts):
        fill(hosts.data, **{f"file-{number:04}": "x" * 9 for number in range(3000)})
        hosts.proxy.cut_after = 60_000  # amid the listing
        outcome = await hosts.move(hosts.order("/data/", "/archive/", dry_run=True))
        assert hosts.proxy.cut_after is None
        assert (outcome.preview.sent.files, outcome.preview.sent.bytes) == (3000, 27_000)

    async def test_names_what_would_fail(self, hosts):
        fill(hosts.data, good="good", taken="new")
        fill(hosts.archive, taken="old one")
        outcome = await hosts.move(hosts.order("/data/", "/archive/", dry_run=True, overwrite="fail"))
        assert (outcome.preview.sent.files, outcome.preview.failed.files) == (1, 1)
        assert "/archive/taken" in outcome.preview.examples["failed"][0]

    async def test_missing_destination(self, hosts):
        fill(hosts.data, a="a")
        order = hosts.order("/data/", "/archive/to/come/", dry_run=True, delete_extra=True, move=True)
        outcome = await hosts.move(order)
        assert outcome.preview is not None
        assert outcome.preview.sent.files == 1
        assert tree(hosts.archive) == {}
        assert tree(hosts.data) == {"a": b"a"}


class TestChecksum:
    @ways
    async def test_identical_bytes_with_another_time_are_not_sent(self, hosts, way):
        content = os.urandom(BIG)
        fill(hosts.data, big=content, small="small", sub__differs="abc")
        fill(hosts.archive, big=content, small="small", sub__differs="abd")
        for name in ("big", "small", "sub/differs"):
            os.utime(hosts.archive / name, ns=(OLD, OLD))
        before = hosts.proxy.passed
        await hosts.move(getattr(hosts, way)("/data/", "/archive/", compare="checksum"))
        assert hosts.proxy.passed - before < 20_000
        assert hosts.progress.files_unchanged == 2
        assert tree(hosts.archive) == tree(hosts.data)
        times = [(folder / "big").stat().st_mtime_ns for folder in (hosts.data, hosts.archive)]
        assert times[0] == times[1]

    async def test_different_bytes_with_the_same_time_are_sent(self, hosts):
        fill(hosts.data, rotten=b"a" * BIG)
        fill(hosts.archive, rotten=b"a" * (BIG - 1) + b"b")
        for folder in (hosts.data, hosts.archive):
            os.utime(folder / "rotten", ns=(OLD, OLD))
        await hosts.move(hosts.order("/data/", "/archive/"))
        assert hosts.progress.files_unchanged == 1
        await hosts.move(hosts.order("/data/", "/archive/", compare="checksum"))
        assert tree(hosts.archive) == tree(hosts.data)

    async def test_many_comparisons_do_not_deadlock(self, hosts):
        hosts.pull_limits = PullLimits(max_queued_packs=1, max_checksum_files=2)
        for number in range(100):
            fill(hosts.data, **{f"f{number}": f"{number:03}"})
            fill(hosts.archive, **{f"f{number}": f"{number % 50:03}"})
        await hosts.move(hosts.order("/data/", "/archive/", compare="checksum"))
        assert tree(hosts.archive) == tree(hosts.data)
        assert hosts.progress.files_unchanged == 50

    async def test_different_file_is_kept_by_option(self, hosts):
        fill(hosts.data, a="abc")
        fill(hosts.archive, a="abd")
        await hosts.move(hosts.order("/data/", "/archive/", compare="checksum", overwrite="never"))
        assert tree(hosts.archive) == {"a": b"abd"}


class TestMove:
    @pytest.fixture(autouse=True)
    def _may_write_at_the_source(self, hosts):
        hosts.open_source()

    @ways
    async def test_source_is_empty_afterwards(self, hosts, way):
        fill(hosts.data, a="a", sub__deep__b=os.urandom(BIG), sub__c="c")
        (hosts.data / "link").symlink_to("a")
        before = tree(hosts.data)
        await hosts.move(getattr(hosts, way)("/data/", "/archive/", move=True))
        assert tree(hosts.archive) == before
        assert tree(hosts.data) == {}

    async def test_unchanged_files_are_deleted_at_the_source(self, hosts):
        fill(hosts.data, a="a", kept="new")
        fill(hosts.archive, a="a", kept="old")
        for folder in (hosts.data, hosts.archive):
            os.utime(folder / "a", ns=(OLD, OLD))
        await hosts.move(hosts.order("/data/", "/archive/", move=True, overwrite="never"))
        assert tree(hosts.data) == {"kept": b"new"}

    async def test_named_directory_itself_is_deleted(self, hosts):
        fill(hosts.data, sub__a="a", beside="b")
        await hosts.move(hosts.order("/data/sub", "/archive/sub", move=True))
        assert tree(hosts.data) == {"beside": b"b"}
        assert tree(hosts.archive) == {"sub": None, "sub/a": b"a"}

    async def test_changed_file_stays_and_is_reported(self, hosts, monkeypatch):
        fill(hosts.data, a="a", b="b")
        finalize = "agent.pull.destination.Destination.finalize"
        monkeypatch.setattr(finalize, lambda destination: fill(hosts.data, a="newer"))
        error = await hosts.fails(hosts.order("/data/", "/archive/", move=True))
        assert [one.code for one in error.failures] == ["source-kept"]
        assert tree(hosts.data) == {"a": b"newer"}
        assert tree(hosts.archive) == {"a": b"a", "b": b"b"}

    async def test_failed_file_stays(self, hosts):
        fill(hosts.data, a="a", b="b")
        (hosts.archive / "b").mkdir()
        error = await hosts.fails(hosts.order("/data/", "/archive/", move=True))
        assert error.failures_total == 1
        assert tree(hosts.data) == {"b": b"b"}

    async def test_excluded_files_stay(self, hosts):
        fill(hosts.data, sub__a="a", sub__b="b")
        await hosts.move(hosts.order("/data/", "/archive/", move=True, exclude=["b"]))
        assert tree(hosts.data) == {"sub": None, "sub/b": b"b"}

    async def test_read_only_grant_deletes_nothing(self, hosts):
        fill(hosts.data, a="a")
        order = hosts.order("/data/", "/archive/")
        hop = order.model_copy(update={"options": order.options.model_copy(update={"move": True})})
        error = await hosts.fails(hop)
        assert error.problem.code == "not-to-remove"
        assert tree(hosts.data) == {"a": b"a"}


class TestHardLinks:
    async def test_file_with_several_names_is_sent_once(self, hosts):
        content = os.urandom(BIG)
        fill(hosts.data, sub__z=content, small="s")
        (hosts.data / "a").hardlink_to(hosts.data / "sub/z")
        (hosts.data / "sub/m").hardlink_to(hosts.data / "small")
        before = hosts.proxy.passed
        await hosts.move(hosts.order("/data/", "/archive/", verify="reread"))
        assert hosts.proxy.passed - before < 1.2 * BIG
        assert tree(hosts.archive) == tree(hosts.data)
        assert (hosts.archive / "a").samefile(hosts.archive / "sub/z")
        assert (hosts.archive / "small").samefile(hosts.archive / "sub/m")
        assert (hosts.progress.bytes_done, hosts.progress.files_done) == (2 * BIG + 2, 4)
        assert not list(hosts.archive.rglob(".crosshaul-*"))

    async def test_name_added_later_sends_no_bytes(self, hosts):
        fill(hosts.data, b=os.urandom(BIG))
        await hosts.move(hosts.order("/data/", "/archive/"))
        (hosts.data / "c").hardlink_to(hosts.data / "b")
        before = hosts.proxy.passed
        await hosts.move(hosts.order("/data/", "/archive/"))
        assert hosts.proxy.passed - before < 20_000
        assert (hosts.archive / "c").samefile(hosts.archive / "b")
        before = hosts.proxy.passed
        await hosts.move(hosts.order("/data/", "/archive/"))
        assert hosts.progress.files_unchanged == 2

    @pytest.mark.parametrize("number", [errno.EPERM, errno.EMLINK])
    async def test_copies_without_hard_link_support(self, hosts, monkeypatch, number):
        def refuse(*names, **folders):
            raise OSError(number, os.strerror(number))

        fill(hosts.data, a=os.urandom(BIG))
        (hosts.data / "b").hardlink_to(hosts.data / "a")
        monkeypatch.setattr(os, "link", refuse)
        await hosts.move(hosts.order("/data/", "/archive/"))
        assert tree(hosts.archive) == tree(hosts.data)
        assert not (hosts.archive / "a").samefile(hosts.archive / "b")

    async def test_hard_link_to_a_failed_file_fails(self, hosts):
        fill(hosts.data, a="a")
        (hosts.data / "b").hardlink_to(hosts.data / "a")
        (hosts.archive / "a").mkdir()
        error = await hosts.fails(hosts.order("/data/", "/archive/"))
        assert {one.code for one in error.failures} == {"is-a-directory", "link-without-file"}

    async def test_all_names_are_moved(self, hosts):
        hosts.open_source()
        fill(hosts.data, a="a")
        (hosts.data / "b").hardlink_to(hosts.data / "a")
        await hosts.move(hosts.order("/data/", "/archive/", move=True))
        assert tree(hosts.data) == {}
        assert tree(hosts.archive) == {"a": b"a", "b": b"a"}


def full(descriptor: int, size: int) -> None:
    raise OSError(28, "No space left on device")


class TestFullDisk:
    async def test_hop_waits_for_space_and_resumes(self, hosts, monkeypatch):
        hosts.pull_limits = PullLimits(space_poll_interval_s=0.01, full_disk_retry_s=0.2)
        fill(hosts.data, a=b"a" * BIG, b=b"b" * BIG)
        with monkeypatch.context() as patch:
            patch.setattr(destination.disk, "preallocate", full)
            moving = hosts.begin(hosts.order("/data/", "/archive/"))
            await until(lambda: len(hosts.observer.wait_problems) > 1)
            assert hosts.observer.wait_problems[0].code == "destination-full"
            assert not moving.done()
        await moving
        assert tree(hosts.archive) == tree(hosts.data)

    async def test_can_be_paused_while_waiting(self, hosts, monkeypatch):
        monkeypatch.setattr(destination.disk, "preallocate", full)
        fill(hosts.data, a=b"a" * BIG)
        moving = hosts.begin(hosts.order("/data/", "/archive/"))
        await until(lambda: hosts.observer.wait_problems)
        moving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await moving


def test_finished_big_files_are_released():
    jobs = JobQueue(512, PullLimits())
    jobs.add(FileEntry("f", "big", BIG))
    jobs.planning_done()
    job = jobs.take()
    assert job is not None
    assert jobs.range_done(job)
    assert not jobs._started
