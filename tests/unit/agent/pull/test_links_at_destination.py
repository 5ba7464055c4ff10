"""A symbolic link at the destination in place of a directory of the tree.

Nothing is compared, written, changed or removed through it, whatever the options. The files that cannot be
written are reported, the others are transferred.
"""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.config import RootConfig
from agent.errors import HopError
from agent.files.paths import PARTIAL_PREFIX
from infra.local.demo_files import MIB
from tests.support.hosts import Hosts

OLD = 1_600_000_000 * 10**9
BIG = b"b" * (MIB + 1)

ways = pytest.mark.parametrize("way", ["order", "local"])
"""Routes: over the lane, and on one host."""
options = pytest.mark.parametrize(
    "options",
    [
        {},
        {"overwrite": "newer"},
        {"overwrite": "never"},
        {"overwrite": "fail"},
        {"verify": "reread"},
        {"delete_extra": True},
        {"delete_extra": True, "verify": "reread"},
        {"compare": "checksum"},
        {"move": True},
    ],
    ids=str,
)


def fill(folder: Path, **files: bytes | str) -> None:
    for name, content in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        os.utime(path, ns=(OLD, OLD))


def tree(folder: Path) -> dict[str, object]:
    """Return everything in a directory, with the targets of links, which are not followed."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        about = path.lstat()
        what = path.readlink() if path.is_symlink() else None if path.is_dir() else path.read_bytes()
        found[str(path.relative_to(folder))] = (what, about.st_mode, about.st_mtime_ns, about.st_ino)
    return found


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


async def failures(hosts: Hosts, order) -> dict[str, str]:
    """Return the failed paths with their problem codes."""
    error = await hosts.fails(order)
    return {one.path.removeprefix("/archive/t/"): one.code for one in error.failures}


class TestLinkInPlaceOfADirectory:
    @ways
    @options
    @pytest.mark.parametrize("size", [b"small", BIG], ids=["small", "big"])
    async def test_nothing_is_written_through_it(self, hosts, way, options, size):
        """As in deployments, `current` is a link to one version.

        Both versions of a file have the same length, so that size does not reveal the wrong one.
        """
        hosts.open_source()
        fill(hosts.data, t__current__app=size, t__v1__app=size.upper(), t__other="o")
        fill(hosts.archive, t__v1__app="older", t__v1__mine="precious")
        (hosts.archive / "t/current").symlink_to("v1")
        os.utime(hosts.archive / "t/v1/app", ns=(1, 1))

        failed = await failures(hosts, getattr(hosts, way)("/data/t/", "/archive/t/", **options))

        assert failed.pop("current") == failed.pop("current/app") == "link-in-the-way"
        assert (hosts.archive / "t/current").readlink() == Path("v1")
        assert (hosts.archive / "t/v1/mine").read_bytes() == b"precious"
        assert (hosts.archive / "t/other").read_bytes() == b"o"
        keeps = options.get("overwrite") in {"never", "fail"}
        assert (hosts.archive / "t/v1/app").read_bytes() == (b"older" if keeps else size.upper())
        assert (hosts.data / "t/current/app").read_bytes() == size  # also of a move
        assert not [path for path in hosts.archive.rglob("*") if path.name.startswith(PARTIAL_PREFIX)]

    @ways
    @pytest.mark.parametrize("target", ["../beside", "gone", "here", "."])
    async def test_any_target_is_refused(self, hosts, way, target):
        """Targets: beside the destination, missing, a file, the directory that contains the link."""
        fill(hosts.data, t__a__deep__x="new", t__b="b")
        fill(hosts.archive, t__here="file", beside__deep__x="keep")
        (hosts.archive / "t/a").symlink_to(target)
        before = tree(hosts.archive / "beside")

        failed = await failures(hosts, getattr(hosts, way)("/data/t/", "/archive/t/"))

        assert failed == dict.fromkeys(["a", "a/deep", "a/deep/x"], "link-in-the-way")
        assert tree(hosts.archive / "beside") == before
        assert contents(hosts.archive / "t") == {"here": b"file", "b": b"b"}

    @ways
    @pytest.mark.parametrize("compare", ["time", "checksum"])
    async def test_its_target_does_not_count_as_unchanged(self, hosts, way, compare):
        """With `move`, the only copy would be deleted."""
        hosts.open_source()
        fill(hosts.data, t__a__x="same")
        fill(hosts.archive, beside__x="same")
        (hosts.archive / "t").mkdir()
        (hosts.archive / "t/a").symlink_to("../beside")
        order = getattr(hosts, way)("/data/t/", "/archive/t/", move=True, compare=compare)

        assert set(await failures(hosts, order)) == {"a", "a/x"}

        assert contents(hosts.data) == {"t/a/x": b"same"}

    @ways
    @pytest.mark.parametrize("kind", ["link", "file"])
    async def test_dry_run_predicts_the_failure(self, hosts, way, kind):
        fill(hosts.data, t__a__x="x", t__a__empty__y="y", t__b="b")
        fill(hosts.archive, beside__x="x", t__mine="m")
        if kind == "link":
            (hosts.archive / "t/a").symlink_to("../beside")
        else:
            fill(hosts.archive, t__a="a file")
        before = tree(hosts.archive)
        outcome = await hosts.move(getattr(hosts, way)("/data/t/", "/archive/t/", dry_run=True))
        assert tree(hosts.archive) == before

        failed = await failures(hosts, getattr(hosts, way)("/data/t/", "/archive/t/"))

        assert outcome.preview.failed.files == len(failed) == 4
        assert outcome.preview.sent.files == 1

    async def test_no_hard_links_through_it(self, hosts):
        fill(hosts.data, t__0="one", t__a__x="two")
        (hosts.data / "t/a/second").hardlink_to(hosts.data / "t/0")
        (hosts.data / "t/b").hardlink_to(hosts.data / "t/a/x")
        fill(hosts.archive, beside__x="twx")
        (hosts.archive / "t").mkdir()
        (hosts.archive / "t/a").symlink_to("../beside")
        failed = await failures(hosts, hosts.order("/data/t/", "/archive/t/"))
        assert set(failed) == {"a", "a/x", "a/second"}
        assert contents(hosts.archive) == {"beside/x": b"twx", "t/0": b"one", "t/b": b"two"}

    async def test_selection_without_directories_is_no_bypass(self, hosts):
        fill(hosts.data, t__a__x="new", t__b__x="new")
        fill(hosts.archive, beside__x="old")
        (hosts.archive / "t").mkdir()
        (hosts.archive / "t/a").symlink_to("../beside")
        order = hosts.order("/data/t/", "/archive/t/", selection=("a/x", "b/x"))
        assert await failures(hosts, order) == {"a/x": "link-in-the-way"}
        assert contents(hosts.archive) == {"beside/x": b"old", "t/b/x": b"new"}

    async def test_error_names_the_link_and_what_to_do(self, hosts):
        fill(hosts.data, t__a__deep__x="new")
        fill(hosts.archive, t__a__x="x", beside__x="old")
        (hosts.archive / "t/a/deep").symlink_to("../../beside")
        error = await hosts.fails(hosts.order("/data/t/", "/archive/t/"))
        [_, of_file] = error.failures
        assert of_file.path == "/archive/t/a/deep/x"
        assert "/archive/t/a/deep is a symbolic link" in of_file.message
        assert "the destination" in of_file.advice

    async def test_retry_without_the_link_writes_the_rest(self, hosts):
        fill(hosts.data, t__a__x="new")
        fill(hosts.archive, beside__x="old")
        (hosts.archive / "t").mkdir()
        (hosts.archive / "t/a").symlink_to("../beside")
        order = hosts.order("/data/t/", "/archive/t/")
        await hosts.fails(order)
        (hosts.archive / "t/a").unlink()
        await hosts.move(order)
        assert contents(hosts.archive) == {"beside/x": b"old", "t/a/x": b"new"}


class TestPathToTheDestination:
    @ways
    @pytest.mark.parametrize("path", ["way/", "way/new/", "way/keep", "way/none/deep/"])
    async def test_contains_no_link_unless_the_administrator_allows_it(self, hosts, way, path):
        """A policy about `/archive/way/` would say nothing about `/archive/disk1/`."""
        fill(hosts.data, t__keep="new")
        fill(hosts.archive, disk1__keep="k")
        (hosts.archive / "way").symlink_to("disk1")
        source = "/data/t/" if path.endswith("/") else "/data/t/keep"
        error = await hosts.fails(getattr(hosts, way)(source, f"/archive/{path}"))
        assert (error.problem.code, error.problem.retryable) == ("outside-roots", False)
        assert "links = true" in error.problem.advice
        assert contents(hosts.archive) == {"disk1/keep": b"k"}

    @ways
    async def test_may_contain_links_of_the_administrator(self, hosts, way):
        fill(hosts.data, t__a__x="new")
        fill(hosts.archive, disk1__keep="k")
        (hosts.archive / "way").symlink_to("disk1")
        (hosts.archive / "disk1/t").symlink_to("really")
        fill(hosts.archive, disk1__really__extra="e")
        hosts.roots.reload([RootConfig(path="/archive", access="rw", directory=hosts.archive, links=True)])
        await hosts.move(getattr(hosts, way)("/data/t/", "/archive/way/t/", delete_extra=True))
        assert contents(hosts.archive) == {"disk1/keep": b"k", "disk1/really/a/x": b"new"}
        assert (hosts.archive / "disk1/t").is_symlink()


class TestMirror:
    @ways
    async def test_extra_link_is_removed_and_its_target_kept(self, hosts, way):
        fill(hosts.data, t__a__x="x")
        fill(hosts.archive, t__a__x="x", beside__x="keep")
        (hosts.archive / "t/extra").symlink_to("../beside")
        (hosts.archive / "t/to a").symlink_to("a")
        await hosts.move(getattr(hosts, way)("/data/t/", "/archive/t/", delete_extra=True))
        assert contents(hosts.archive) == {"beside/x": b"keep", "t/a/x": b"x"}
        assert not (hosts.archive / "t/extra").is_symlink()


class TestResume:
    """Older agents followed such links, and a link may appear between two attempts."""

    @pytest.mark.parametrize("options", [{"move": True}, {"verify": "reread"}, {}], ids=str)
    @pytest.mark.parametrize("size", [b"small", BIG], ids=["small", "big"])
    async def test_files_written_before_the_link_do_not_count(self, hosts, options, size):
        hosts.open_source()
        fill(hosts.data, t__a__x=size, t__b__z=b"z" * 16 * MIB)
        order = hosts.order("/data/t/", "/archive/t/", streams=1, **options)
        await hosts.moves_until(order, lambda _: (hosts.archive / "t/a/x").exists())
        (hosts.archive / "t/a").rename(hosts.archive / "aside")
        fill(hosts.archive, beside__x="old")
        (hosts.archive / "t/a").symlink_to("../beside")

        failed = await failures(hosts, order.model_copy(update={"attempt": 2}))

        assert set(failed) == {"a", "a/x"}
        assert contents(hosts.archive / "beside") == {"x": b"old"}
        assert (hosts.data / "t/a/x").read_bytes() == size

    async def test_no_partial_file_is_opened_behind_it(self, hosts):
        fill(hosts.data, t__a__x=b"z" * 8 * MIB)
        order = hosts.order("/data/t/", "/archive/t/", streams=1)
        await hosts.moves_until(order, lambda progress: progress.bytes_done)
        [half_done] = (hosts.archive / "t/a").iterdir()
        (hosts.archive / "t/a").rename(hosts.archive / "aside")
        (hosts.archive / "t/a").symlink_to("../aside")
        assert set(await failures(hosts, order)) == {"a", "a/x"}
        assert [path.name for path in (hosts.archive / "aside").iterdir()] == [half_done.name]


NAMES = ["a", "b", "a/a", "a/b", "b/a", "a/a/x", "b/b", "x"]
things = st.dictionaries(
    st.sampled_from(NAMES),
    st.sampled_from(["dir", "file", ".", "..", "a", "b", "../b", "../../beside", "nowhere", "x"]),
    max_size=6,
)


def make(folder: Path, made: dict[str, str], content: bytes) -> None:
    folder.mkdir()
    for name, kind in sorted(made.items()):
        path = folder / name
        if any(parent.is_symlink() or parent.is_file() for parent in path.parents if parent != folder):
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        if kind == "dir":
            path.mkdir(exist_ok=True)
        elif not path.is_dir():
            if kind == "file":
                path.write_bytes(content)
                os.utime(path, ns=(OLD, OLD))
            else:
                path.symlink_to(kind)


@given(
    sent=things,
    there=things,
    options=st.fixed_dictionaries(
        {
            "overwrite": st.sampled_from(["always", "newer", "never"]),
            "delete_extra": st.booleans(),
            "move": st.booleans(),
            "verify": st.sampled_from(["transfer", "reread"]),
            "symlinks": st.sampled_from(["keep", "skip"]),
        }
    ),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_no_combination_of_links_loses_a_file(tmp_path_factory, sent, there, options):
    """Nothing outside the destination changes.

    Each file is at its path, below directories only, or is reported and still at the source.
    """
    hosts = Hosts(tmp_path_factory.mktemp("links"))
    try:
        hosts.open_source()
        make(hosts.data / "t", sent, b"new")
        fill(hosts.data, t__z="new")  # a mirror of nothing is refused
        make(hosts.archive / "t", there, b"older")
        fill(hosts.archive, beside__a__x="keep", beside__x="keep", x="keep")
        beside, wanted = tree(hosts.archive / "beside"), contents(hosts.data / "t")
        before = tree(hosts.archive / "t")
        failed: set[str] = set()
        try:
            await hosts.move(hosts.local("/data/t/", "/archive/t/", **options))
        except HopError as error:
            failed = {one.path.removeprefix("/archive/t/") for one in error.failures}
        assert tree(hosts.archive / "beside") == beside
        assert (hosts.archive / "x").read_bytes() == b"keep"
        arrived, left = contents(hosts.archive / "t"), contents(hosts.data / "t")
        for path, content in wanted.items():
            kept = left.get(path) == content
            is_named = path in failed or (path in before and options["overwrite"] != "always")
            assert arrived.get(path) == content or (is_named and kept), (path, failed)
            assert kept or arrived.get(path) == content
    finally:
        hosts.close()
