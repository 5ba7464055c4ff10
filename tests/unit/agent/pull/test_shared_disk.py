"""Source and destination are one directory under two names: the only copy is never removed."""

import asyncio
import os
from functools import partial
from pathlib import Path

import pytest

from agent.config import RootConfig
from agent.files import same_place
from agent.files.same_place import identity_of
from agent.lane import requests
from agent.lane.request_handler import HopRequestHandler
from tests.support.hosts import Hosts, ways
from tests.unit.agent.pull.test_pull_options import BIG, OLD, fill, tree


def share(hosts: Hosts, archive: Path) -> None:
    """Make this directory, which server-b has too, the /archive of server-c; both agents may write."""
    hosts.open_source()
    hosts.roots.reload([RootConfig(path="/archive", access="rw", directory=archive)])


@pytest.fixture
def shared(hosts) -> Hosts:
    share(hosts, hosts.data)
    return hosts


def marks(folder: Path) -> list[Path]:
    return list(folder.rglob(".crosshaul-*"))


class TestOnePlace:
    """Two agents, or two roots of one agent, share a directory."""

    @ways
    @pytest.mark.parametrize("compare", ["time", "checksum"])
    async def test_move_onto_itself_is_refused(self, shared, way, compare):
        fill(shared.data, a="a", sub__b=os.urandom(BIG))
        (shared.data / "link").symlink_to("a")
        before = tree(shared.data)
        order = getattr(shared, way)("/data/", "/archive/", move=True, compare=compare)
        error = await shared.fails(order)
        assert (error.problem.code, error.problem.retryable) == ("same-place", False)
        assert tree(shared.data) == before
        assert not marks(shared.data)

    @ways
    @pytest.mark.parametrize(
        ("source", "destination"),
        [("/data/sub/", "/archive/sub/"), ("/data/sub", "/archive/sub"), ("/data/a", "/archive/a")],
    )
    async def test_is_found_at_any_depth(self, shared, way, source, destination):
        fill(shared.data, a="a", sub__b="b")
        before = tree(shared.data)
        error = await shared.fails(getattr(shared, way)(source, destination, move=True))
        assert error.problem.code == "same-place"
        assert tree(shared.data) == before

    @ways
    @pytest.mark.parametrize(
        ("source", "destination"),
        [
            ("/data/", "/archive/"),
            ("/data/sub", "/archive/sub"),
            ("/data/a", "/archive/a"),
            ("/data/", "/archive/sub/"),
            ("/data/", "/archive/new/deeper/"),
            ("/data/sub/", "/archive/"),
        ],
    )
    async def test_dry_run_of_a_move_notices_it_and_writes_nothing(self, shared, way, source, destination):
        fill(shared.data, a="a", sub__b="b")
        directories = shared.data, shared.data / "sub"
        before = [one.stat().st_ctime_ns for one in directories], tree(shared.data)
        error = await shared.fails(getattr(shared, way)(source, destination, move=True, dry_run=True))
        assert error.problem.code == "same-place"
        assert ([one.stat().st_ctime_ns for one in directories], tree(shared.data)) == before

    @ways
    async def test_dry_run_beside_the_source_is_not_refused(self, shared, way):
        fill(shared.data, sub__b="b", other__c="c")
        for destination in ("/archive/other/", "/archive/subs/", "/archive/other/sub/"):
            await shared.move(getattr(shared, way)("/data/sub/", destination, move=True, dry_run=True))

    @ways
    @pytest.mark.parametrize("options", [{}, {"move": True}, {"delete_extra": True}])
    async def test_destination_inside_its_source_is_refused(self, shared, way, options):
        fill(shared.data, a="a", sub__a="other", sub__c="c")
        before = tree(shared.data)
        for destination in ("/archive/sub/", "/archive/sub/new/", "/archive/new/"):
            error = await shared.fails(getattr(shared, way)("/data/", destination, **options))
            assert error.problem.code == "same-place"
        assert tree(shared.data) == before

    @ways
    @pytest.mark.parametrize("options", [{}, {"move": True}, {"delete_extra": True}])
    async def test_source_inside_its_destination_is_refused(self, shared, way, options):
        fill(shared.data, a="a", sub__deep__a="other")
        before = tree(shared.data)
        error = await shared.fails(getattr(shared, way)("/data/sub/", "/archive/", **options))
        assert error.problem.code == "same-place"
        assert tree(shared.data) == before

    @ways
    async def test_siblings_are_allowed(self, shared, way):
        fill(shared.data, sub__a="a")
        await shared.move(getattr(shared, way)("/data/sub/", "/archive/other/", move=True))
        assert tree(shared.data) == {"sub": None, "other": None, "other/a": b"a"}
        await shared.move(getattr(shared, way)("/data/other/a", "/archive/other/b", move=True))
        assert tree(shared.data) == {"sub": None, "other": None, "other/b": b"a"}

    async def test_link_in_the_root_is_detected(self, hosts):
        fill(hosts.data, real__a="a")
        hosts.sources.reload([RootConfig(path="/data", access="rw", directory=hosts.data, links=True)])
        (hosts.data / "alias").symlink_to("real")
        hosts.roots.reload([RootConfig(path="/archive", access="rw", directory=hosts.data, links=True)])
        for source, destination in [("/data/real/", "/archive/alias/"), ("/data/alias/", "/archive/real/")]:
            error = await hosts.fails(hosts.local(source, destination, move=True))
            assert error.problem.code == "same-place"
        assert tree(hosts.data / "real") == {"a": b"a"}


class TestSharedSubdirectory:
    """Only a subdirectory of source and destination is shared."""

    @ways
    async def test_shared_files_stay_and_are_reported(self, hosts, way):
        share(hosts, hosts.archive)
        fill(hosts.data, a="a")
        fill(hosts.archive, sub__b="b", sub__c="c")
        (hosts.data / "sub").symlink_to(hosts.archive / "sub")
        both = hosts.data.parent
        hosts.sources.reload([RootConfig(path="/data", access="rw", directory=both, links=True)])
        order = getattr(hosts, way)("/data/data/", "/archive/", move=True, symlinks="follow")
        error = await hosts.fails(order)
        assert {one.code for one in error.failures} == {"same-place"}
        assert error.failures_total >= 2
        assert tree(hosts.archive) == {"a": b"a", "sub": None, "sub/b": b"b", "sub/c": b"c"}
        assert not (hosts.data / "a").exists()
        assert not marks(hosts.archive)


class TestMarks:
    @ways
    async def test_leave_no_trace(self, hosts, way):
        hosts.open_source()
        fill(hosts.data, sub__deep__a="a", b="b")
        fill(hosts.archive, other="x")
        for folder in (hosts.data / "sub/deep", hosts.data / "sub", hosts.data, hosts.archive):
            os.utime(folder, ns=(OLD, OLD))
        await hosts.move(getattr(hosts, way)("/data/", "/archive/in/", move=True))
        assert hosts.archive.stat().st_mtime_ns != OLD  # a directory was made in it
        for folder in ("in/sub/deep", "in/sub", "in"):
            assert (hosts.archive / folder).stat().st_mtime_ns == OLD
        assert not marks(hosts.archive)

    async def test_restore_the_time_of_an_unchanged_directory(self, hosts):
        fill(hosts.data, a="a")
        await hosts.move(hosts.order("/data/", "/archive/"))
        os.utime(hosts.archive, ns=(OLD, OLD))
        os.utime(hosts.data, ns=(OLD, OLD))
        await hosts.move(hosts.order("/data/a", "/archive/a"))
        assert hosts.archive.stat().st_mtime_ns == OLD

    @ways
    @pytest.mark.parametrize("end", ["goes on", "is cancelled"])
    async def test_left_by_a_kill_are_removed(self, hosts, way, end, monkeypatch):
        hosts.open_source()
        fill(hosts.data, sub__a="a")
        order = getattr(hosts, way)("/data/", "/archive/new/", move=True)
        with monkeypatch.context() as killed:

            def kill(marks):
                raise asyncio.CancelledError

            killed.setattr("agent.pull.marks.Marks.remove_all", kill)
            killed.setattr(
                "agent.pull.pull_attempt.PullAttempt._clear_old_marks", lambda attempt, ledger: None
            )
            with pytest.raises(asyncio.CancelledError):
                await hosts.move(order)
        assert marks(hosts.archive)
        if end == "goes on":
            await hosts.move(order.model_copy(update={"attempt": 2}))
            assert tree(hosts.archive) == {"new": None, "new/sub": None, "new/sub/a": b"a"}
        else:
            await hosts.mover(order).discard(order)
        assert not marks(hosts.archive)

    @ways
    async def test_that_cannot_be_created_keep_the_source(self, hosts, way, monkeypatch):
        hosts.open_source()
        fill(hosts.data, a="a", sub__b="b")
        make = os.mknod

        def refuse(name, mode, *, dir_fd):
            if os.fstat(dir_fd).st_ino == (hosts.archive / "sub").stat().st_ino:
                raise PermissionError(13, "no")
            make(name, mode, dir_fd=dir_fd)

        monkeypatch.setattr("os.mknod", refuse)
        error = await hosts.fails(getattr(hosts, way)("/data/", "/archive/", move=True))
        assert {one.code for one in error.failures} == {"source-kept"}
        assert tree(hosts.data) == {"sub": None, "sub/b": b"b"}

    async def test_older_source_without_marks_deletes_nothing(self, hosts, monkeypatch):
        hosts.open_source()
        fill(hosts.data, a="a")
        verb = HopRequestHandler._verb

        def older(answering):
            if answering.path.endswith("/delete"):
                raise requests.malformed("there is no such path", 404)
            return verb(answering)

        monkeypatch.setattr(HopRequestHandler, "_verb", older)
        error = await hosts.fails(hosts.order("/data/", "/archive/", move=True))
        assert error.problem.code == "source-too-old"
        assert (tree(hosts.data), tree(hosts.archive)) == ({"a": b"a"}, {"a": b"a"})

    @pytest.mark.parametrize(
        "name", ["etc", "../etc", "", None, ".crosshaul-mark-", f".crosshaul-mark-{'0' * 33}"]
    )
    async def test_only_mark_names_can_be_probed(self, hosts, name):
        fill(hosts.data, etc="x")
        for verb in ("has-mark", "delete", "manifest"):
            body = {"mark": name, "directories": [""], "entries": [], "name": "", "above": "", "below": ""}
            if verb == "manifest" and name is None:
                continue
            with pytest.raises(requests.LaneRequestError):
                {
                    "has-mark": requests.parse_mark,
                    "delete": requests.parse_deletions,
                    "manifest": requests.parse_marked_place,
                }[verb](body)

    @pytest.mark.parametrize(
        "identity", ["../etc", "7", "7-", "-7-8", 7, ["7-8"], f"{'1' * 21}-8", "7-8-", "7-8-9"]
    )
    def test_only_identities_are_compared(self, identity):
        with pytest.raises(requests.LaneRequestError):
            requests.parse_marked_place({"mark": "", "above": "", "below": "", "identity": identity})


class TestDryRunOfHosts:
    """Two hosts were made from one disk image: a directory has the same inode and times at both."""

    @pytest.mark.parametrize(
        ("other", "is_refused"),
        [
            (lambda own: own, True),
            (lambda own: own[:-32] + "0" * 32, False),  # another kernel: another disk with the same content
            (lambda own: own[:-33], True),  # over a network, from which any kernel may have mounted it
        ],
        ids=["one host", "a clone", "a network disk"],
    )
    async def test_only_one_directory_is_the_same_place(self, shared, monkeypatch, other, is_refused):
        fill(shared.data, a="a")
        monkeypatch.setattr(
            "agent.pull.sync_pass.identity_of", lambda directory: other(identity_of(directory))
        )
        order = shared.order("/data/", "/archive/", dry_run=True)
        if is_refused:
            assert (await shared.fails(order)).problem.code == "same-place"
        else:
            assert (await shared.move(order)).preview is not None


class TestDryRunOfContainers:
    """Two containers share a disk and a kernel, and each shows another file as what the kernel has drawn."""

    async def test_the_same_place_is_found_out(self, shared, tmp_path, monkeypatch):
        """The link stands for a mount: what is there is of another file system than its directory."""

        def of_other_container(directory: int) -> str:
            identity = identity_of(directory)
            tells_kernel = identity.count("-") == 2
            return identity[:-32] + "0" * 32 if tells_kernel else identity

        mounted = tmp_path / "boot_id"
        mounted.symlink_to(same_place._BOOT_ID)
        monkeypatch.setattr(same_place, "_kernel", partial(same_place._kernel, mounted))
        monkeypatch.setattr("agent.pull.sync_pass.identity_of", of_other_container)
        fill(shared.data, a="a")
        error = await shared.fails(shared.order("/data/", "/archive/", dry_run=True))
        assert error.problem.code == "same-place"


class TestEqualSizeAndTime:
    """The destination has another file with the same size and time."""

    @pytest.fixture(autouse=True)
    def _may_write_at_the_source(self, hosts):
        hosts.open_source()

    def write_different_files(self, hosts: Hosts, size: int = 4) -> tuple[bytes, bytes]:
        ours, theirs = os.urandom(size), os.urandom(size)
        fill(hosts.data, a=ours)
        fill(hosts.archive, a=theirs)
        for folder in (hosts.data, hosts.archive):
            os.utime(folder / "a", ns=(OLD, OLD))
        return ours, theirs

    @ways
    @pytest.mark.parametrize("size", [4, BIG])
    async def test_different_bytes_are_sent_before_deletion(self, hosts, way, size):
        ours, _ = self.write_different_files(hosts, size)
        await hosts.move(getattr(hosts, way)("/data/", "/archive/", move=True))
        assert tree(hosts.archive) == {"a": ours}
        assert tree(hosts.data) == {}

    @ways
    @pytest.mark.parametrize("overwrite", ["never", "newer"])
    async def test_kept_different_bytes_keep_the_source(self, hosts, way, overwrite):
        ours, theirs = self.write_different_files(hosts)
        await hosts.move(getattr(hosts, way)("/data/", "/archive/", move=True, overwrite=overwrite))
        assert (tree(hosts.data), tree(hosts.archive)) == ({"a": ours}, {"a": theirs})

    @ways
    async def test_hard_link_stays_with_its_target(self, hosts, way):
        ours, theirs = self.write_different_files(hosts)
        (hosts.data / "b").hardlink_to(hosts.data / "a")
        error = await hosts.fails(getattr(hosts, way)("/data/", "/archive/", move=True, overwrite="never"))
        assert [one.code for one in error.failures] == ["link-without-file"]
        assert (tree(hosts.data), tree(hosts.archive)) == ({"a": ours, "b": ours}, {"a": theirs})

    @ways
    async def test_hard_link_at_both_ends_keeps_the_other_name(self, hosts, way):
        fill(hosts.data, a="a")
        (hosts.archive / "a").hardlink_to(hosts.data / "a")
        await hosts.move(getattr(hosts, way)("/data/", "/archive/", move=True))
        assert (tree(hosts.data), tree(hosts.archive)) == ({}, {"a": b"a"})

    @ways
    async def test_changed_destination_keeps_the_source(self, hosts, way, monkeypatch):
        fill(hosts.data, a="a", b="b", c="c")
        (hosts.data / "link").symlink_to("a")

        def finalize(destination):
            (hosts.archive / "a").write_text("another")
            (hosts.archive / "b").unlink()
            (hosts.archive / "link").unlink()
            (hosts.archive / "link").symlink_to("elsewhere")

        monkeypatch.setattr("agent.pull.destination.Destination.finalize", finalize)
        error = await hosts.fails(getattr(hosts, way)("/data/", "/archive/", move=True))
        assert [one.code for one in error.failures] == ["source-kept"] * 3
        assert tree(hosts.data) == {"a": b"a", "b": b"b", "link": b"a"}

    @ways
    async def test_changed_link_stays(self, hosts, way, monkeypatch):
        fill(hosts.data, a="a")
        (hosts.data / "link").symlink_to("a")

        def finalize(destination):
            (hosts.data / "link").unlink()
            (hosts.data / "link").symlink_to("b")

        monkeypatch.setattr("agent.pull.destination.Destination.finalize", finalize)
        error = await hosts.fails(getattr(hosts, way)("/data/", "/archive/", move=True))
        assert [one.code for one in error.failures] == ["source-kept"]
        assert (hosts.data / "link").readlink() == Path("b")


class TestMirror:
    @ways
    async def test_files_of_the_source_are_not_extra(self, hosts, way):
        """The source is mounted inside the destination, with no hint in the directory above it."""
        share(hosts, hosts.archive)
        fill(hosts.archive, sub__a="a", extra="x")
        (hosts.data / "in").symlink_to(hosts.archive / "sub")
        hosts.sources.reload([RootConfig(path="/data", access="rw", directory=hosts.data.parent, links=True)])
        (hosts.archive / "sub/deep").mkdir()
        fill(hosts.archive, sub__deep__b="b")
        before = tree(hosts.archive)
        order = getattr(hosts, way)("/data/data/", "/archive/", delete_extra=True, symlinks="follow")
        error = await hosts.fails(order)
        assert error.problem.code == "same-place"
        assert before.items() <= tree(hosts.archive).items()
        assert not marks(hosts.archive)


class TestRetry:
    @pytest.fixture(autouse=True)
    def _may_write_at_the_source(self, hosts):
        hosts.open_source()

    @ways
    @pytest.mark.parametrize("place", ["sub", "a"])
    async def test_kill_after_deletion_succeeds_on_retry(self, hosts, way, place, monkeypatch):
        fill(hosts.data, sub__b="b", sub__in__c="c", a="a")
        order = getattr(hosts, way)(f"/data/{place}", f"/archive/{place}", move=True)
        with monkeypatch.context() as killed:

            def kill(*_: object, **__: object) -> None:
                raise asyncio.CancelledError

            killed.setattr("agent.pull.mover.HostResources.keep_manifest", kill)
            with pytest.raises(asyncio.CancelledError):
                await hosts.move(order)
        assert not (hosts.data / place).exists()
        await hosts.move(order.model_copy(update={"attempt": 2}))
        assert (hosts.archive / place).exists()
        assert hosts.progress.files_done == (2 if place == "sub" else 1)

    async def test_missing_source_fails(self, hosts):
        error = await hosts.fails(hosts.order("/data/sub", "/archive/sub", move=True))
        assert error.problem.code == "source-missing"

    @ways
    async def test_file_damaged_by_a_power_cut_is_sent_again(self, hosts, way, monkeypatch):
        fill(hosts.data, a="abcd")
        order = getattr(hosts, way)("/data/", "/archive/", move=True)
        with monkeypatch.context() as cut:

            def finalize(destination):
                raise asyncio.CancelledError

            cut.setattr("agent.pull.destination.Destination.finalize", finalize)
            with pytest.raises(asyncio.CancelledError):
                await hosts.move(order)
        found = (hosts.archive / "a").stat()
        (hosts.archive / "a").write_bytes(bytes(4))
        os.utime(hosts.archive / "a", ns=(found.st_mtime_ns, found.st_mtime_ns))
        await hosts.move(order.model_copy(update={"attempt": 2}))
        assert (tree(hosts.data), tree(hosts.archive)) == ({}, {"a": b"abcd"})
