"""No path leaves its root, whatever is on the disk."""

import errno
import inspect
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.config import RootConfig
from agent.errors import HopError, InTheWayError
from agent.files import directory_cache
from agent.files import roots as roots_module
from agent.files.boundary import CHECK_TTL_S
from agent.files.paths import is_below
from agent.files.roots import Roots, Tree


@pytest.fixture
def root(tmp_path):
    (tmp_path / "root/sub").mkdir(parents=True)
    (tmp_path / "root/sub/file").write_text("inside")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/file").write_text("outside")
    return tmp_path / "root"


def tree(
    root: Path,
    path: str = "/data",
    access: str = "rw",
    *,
    writing: bool = False,
    check_ttl_s: float = CHECK_TTL_S,
):
    roots = Roots([RootConfig(path="/data", access=access, directory=root)], check_ttl_s=check_ttl_s)
    return roots.tree(path, writing=writing)


def following(root: Path, path: str = "/data", *, links: bool = False, writing: bool = False):
    roots = Roots([RootConfig(path="/data", access="rw", directory=root, links=links)])
    return roots.tree(path, writing=writing, following=True)


def code(call) -> str:
    with pytest.raises(HopError) as caught:
        call()
    return caught.value.problem.code


@pytest.mark.parametrize("path", ["/etc", "/dat", "/data2/x", "/", "/data/../etc", "/data/\0"])
def test_a_path_in_no_root_is_refused(root, path):
    assert code(lambda: tree(root, path)) == "outside-roots"


def test_a_read_only_root_is_not_written_to(root):
    assert code(lambda: tree(root, access="ro", writing=True)) == "read-only-root"
    tree(root, access="ro").close()


def test_the_innermost_root_decides(root):
    roots = Roots(
        [
            RootConfig(path="/data", access="rw", directory=root),
            RootConfig(path="/data/sub", access="ro", directory=root / "sub"),
        ]
    )
    assert code(lambda: roots.tree("/data/sub/x", writing=True)) == "read-only-root"
    roots.tree("/data/subway", writing=True).close()


def test_files_inside_the_root_are_read(root):
    with tree(root) as opened:
        assert os.read(opened.open("sub/file", os.O_RDONLY), 10) == b"inside"
        assert opened.stat("sub/file").st_size == 6
        assert opened.name("sub/file") == "/data/sub/file"


def test_a_root_may_itself_be_reached_by_a_link(root, tmp_path):
    (tmp_path / "door").symlink_to(root)
    with tree(tmp_path / "door") as opened:
        os.close(opened.open("sub/file", os.O_RDONLY))


def refused(call) -> int:
    with pytest.raises(OSError) as caught:  # noqa: PT011 - which is looked at
        call()
    return caught.value.errno


def test_a_link_out_of_the_root_leads_nowhere(root, tmp_path):
    (root / "out").symlink_to(tmp_path / "secret")
    (root / "leak").symlink_to(tmp_path / "secret/file")
    with following(root, writing=True) as opened:
        assert refused(lambda: opened.open_directory("out")) == errno.EXDEV
        assert refused(lambda: opened.open("out/file", os.O_RDONLY)) == errno.EXDEV
        assert refused(lambda: opened.open("leak", os.O_RDONLY)) == errno.ELOOP
        assert refused(lambda: opened.open_followed("leak", os.O_RDONLY)) == errno.EXDEV
        assert refused(lambda: opened.make_directory("out/new")) == errno.EXDEV
        assert refused(lambda: opened.open_beside("out/x", ".part", os.O_WRONLY | os.O_CREAT)) == errno.EXDEV
        assert refused(lambda: opened.unlink("out/file")) == errno.EXDEV
    assert [path.name for path in (tmp_path / "secret").iterdir()] == ["file"]


def test_a_link_inside_the_root_is_followed_where_it_may_be(root):
    (root / "in").symlink_to("sub")
    (root / "alias").symlink_to("sub/file")
    with following(root) as opened:
        os.close(opened.open("in/file", os.O_RDONLY))
        os.close(opened.open_followed("alias", os.O_RDONLY))
        assert refused(lambda: opened.open("alias", os.O_RDONLY)) == errno.ELOOP
    with tree(root) as opened:
        assert refused(lambda: opened.open("in/file", os.O_RDONLY)) == errno.ELOOP
        assert refused(lambda: opened.stat("in/file")) == errno.ELOOP
        assert refused(lambda: opened.open_followed("alias", os.O_RDONLY)) == errno.ELOOP


@pytest.mark.parametrize("path", ["in", "in/deep", "alias"])
def test_a_location_s_own_path_passes_a_link_only_if_the_root_allows_it(root, path):
    """To read, to delete from, or to write to."""
    (root / "sub/deep").mkdir()
    (root / "in").symlink_to("sub")
    (root / "alias").symlink_to("sub/file")
    roots = Roots([RootConfig(path="/data", access="rw", directory=root)])
    for open_tree in (
        lambda: roots.tree(f"/data/{path}", writing=False),
        lambda: roots.tree(f"/data/{path}", writing=True, following=True),
        lambda: roots.destination(f"/data/{path}"),
    ):
        with open_tree() as opened:
            for call in (
                lambda opened: opened.open_directory(""),
                lambda opened: opened.make_directory("new"),
                lambda opened: opened.open_parent("x/y"),
                lambda opened: opened.nearest_place(),
                lambda opened: opened.open_followed("", os.O_RDONLY),
                lambda opened: opened.stat("file"),
            ):
                assert refused(lambda call=call, opened=opened: call(opened)) == errno.ELOOP
    assert sorted(one.name for one in (root / "sub").iterdir()) == ["deep", "file"]
    roots.reload([RootConfig(path="/data", access="rw", directory=root, links=True)])
    with roots.tree(f"/data/{path}", writing=False) as opened:
        os.close(opened.open_followed("", os.O_RDONLY))


def test_a_link_beside_the_location_is_followed_only_if_the_root_allows_it(root):
    (root / "place").mkdir()
    (root / "place/beside").symlink_to("../sub")
    (root / "place/leak").symlink_to("../sub/file")
    with following(root, "/data/place") as opened:
        assert refused(lambda: opened.open("beside/file", os.O_RDONLY)) == errno.EXDEV
        assert refused(lambda: opened.open_directory("beside")) == errno.EXDEV
        assert refused(lambda: opened.open_followed("leak", os.O_RDONLY)) == errno.EXDEV
    with following(root, "/data/place", links=True) as opened:
        os.close(opened.open("beside/file", os.O_RDONLY))
        os.close(opened.open_followed("leak", os.O_RDONLY))


def test_a_directory_moved_out_of_the_location_is_not_followed_there(root):
    (root / "place/deep").mkdir(parents=True)
    with tree(root, "/data/place", check_ttl_s=0) as opened:
        opened.open_directory("deep")
        (root / "place/deep").rename(root / "moved")
        (root / "moved/late").touch()
        assert refused(lambda: opened.open("deep/late", os.O_RDONLY)) == errno.ENOENT


def test_a_directory_swapped_for_a_link_after_the_check_leads_nowhere(root, tmp_path, monkeypatch):
    """Swap the directory between resolving and opening."""
    original = os.path.realpath

    def resolve_then_swap(path):
        found = original(path)
        if found == str(root / "sub") and not (root / "sub").is_symlink():
            (root / "sub").rename(root / "was")
            (root / "sub").symlink_to(tmp_path / "secret")
        return found

    with following(root) as opened:
        monkeypatch.setattr(roots_module.os.path, "realpath", resolve_then_swap)
        assert refused(lambda: opened.open("sub/file", os.O_RDONLY)) in {errno.ELOOP, errno.ENOTDIR}


def test_a_directory_moved_out_of_the_root_is_not_followed_there(root, tmp_path):
    """The path is resolved again; the descriptor that was kept open is not used."""
    with tree(root, check_ttl_s=0) as opened:
        opened.open_directory("sub")
        (root / "sub").rename(tmp_path / "moved")
        (tmp_path / "moved/late").write_text("outside now")
        assert refused(lambda: opened.open("sub/late", os.O_RDONLY)) in {errno.EXDEV, errno.ENOENT}


def test_many_directories_do_not_use_up_the_descriptors(root):
    for number in range(directory_cache.MAX_OPEN_DIRECTORIES + 50):
        (root / f"d{number}").mkdir()
    with tree(root) as opened:
        before = len(list(Path("/proc/self/fd").iterdir()))
        for number in range(directory_cache.MAX_OPEN_DIRECTORIES + 50):
            opened.open_directory(f"d{number}")
        assert len(list(Path("/proc/self/fd").iterdir())) - before <= directory_cache.MAX_OPEN_DIRECTORIES
    assert len(list(Path("/proc/self/fd").iterdir())) <= before


def test_names_that_are_not_utf8_and_long_ones_work(root):
    odd = os.fsdecode(b"latin-\xfc")
    with tree(root, writing=True) as opened:
        opened.make_directory(f"{odd}/{'n' * 255}")
        opened.link(f"{odd}/link", "target", ".crosshaul-x")
        assert opened.readlink(f"{odd}/link") == "target"
        assert refused(lambda: opened.make_directory("n" * 256)) == errno.ENAMETOOLONG


def test_a_file_where_a_directory_belongs(root):
    with tree(root, writing=True) as opened:
        assert refused(lambda: opened.make_directory("sub/file/deeper")) == errno.EEXIST
        assert refused(lambda: opened.make_directory("sub/file")) == errno.EEXIST
        assert refused(lambda: opened.open_directory("sub/file")) == errno.ENOTDIR


def test_a_dangling_link_is_in_the_way_of_a_directory(root):
    (root / "dangling").symlink_to("nowhere")
    with following(root, writing=True) as opened:
        assert refused(lambda: opened.make_directory("dangling")) == errno.EEXIST
        assert refused(lambda: opened.open_parent("dangling/x/y")) == errno.EEXIST
    with tree(root, writing=True) as opened:
        assert refused(lambda: opened.make_directory("dangling")) == errno.ELOOP
    assert not (root / "nowhere").exists()


class TestADestination:
    """Below a destination, only directories may be on the way to anything."""

    @pytest.fixture
    def place(self, root):
        (root / "place/real").mkdir(parents=True)
        (root / "place/in").symlink_to("real")
        (root / "place/beside").symlink_to("../sub")
        (root / "place/out").symlink_to(root.parent / "secret")
        (root / "place/dangling").symlink_to("nowhere")
        (root / "place/loop").symlink_to("loop")
        (root / "place/file").write_text("a file")
        (root / "way").symlink_to("place")
        return Roots([RootConfig(path="/data", access="rw", directory=root, links=True)])

    @pytest.mark.parametrize("path", ["/data/place", "/data/way"])
    @pytest.mark.parametrize("name", ["in", "beside", "out", "dangling", "loop", "file"])
    def test_nothing_is_reached_through_a_link_or_a_file(self, place, root, path, name):
        before = sorted(str(one) for one in root.parent.rglob("*"))
        with place.destination(path) as opened:
            calls = [
                lambda rel: opened.open_directory(f"{rel}/deeper"),
                lambda rel: opened.stat(f"{rel}/file"),
                lambda rel: opened.stat_exact(f"{rel}/file"),
                lambda rel: opened.stat_beside(f"{rel}/file", "file"),
                lambda rel: opened.open(f"{rel}/file", os.O_RDONLY),
                lambda rel: opened.open_followed(f"{rel}/file", os.O_RDONLY),
                lambda rel: opened.open_beside(f"{rel}/x", "file", os.O_WRONLY | os.O_CREAT),
                lambda rel: opened.make_directory(f"{rel}/new"),
                lambda rel: opened.make_writable(f"{rel}/x", "file"),
                lambda rel: opened.open_parent(f"{rel}/x"),
                lambda rel: opened.link(f"{rel}/x", "target", ".crosshaul-x"),
                lambda rel: opened.hard_link("new", f"{rel}/file", ".crosshaul-x"),
                lambda rel: opened.hard_link(f"{rel}/x", "file", ".crosshaul-x"),
                lambda rel: opened.rename_new("file", f"{rel}/x"),
                lambda rel: opened.unlink(f"{rel}/file"),
                lambda rel: opened.unlink_beside(f"{rel}/x", "file"),
                lambda rel: opened.remove_directory(f"{rel}/x"),
                lambda rel: opened.change_owner(f"{rel}/file", 0, 0),
                opened.open_directory,
                opened.make_directory,
            ]
            for call in calls:
                with pytest.raises(InTheWayError) as caught:
                    call(name)
                assert caught.value.path == f"{path}/{name}"
                assert caught.value.is_link is (name != "file")
        assert sorted(str(one) for one in root.parent.rglob("*")) == before
        assert (root / "sub/file").read_text() == "inside"

    def test_a_link_in_a_file_s_place_is_not_followed_either(self, place, root):
        (root / "place/alias").symlink_to("file")
        with place.destination("/data/place") as opened:
            assert refused(lambda: opened.open("alias", os.O_RDONLY)) == errno.ELOOP
            assert refused(lambda: opened.open_followed("alias", os.O_RDONLY)) == errno.ELOOP

    def test_a_directory_may_be_traversed_without_being_readable(self, place, root, monkeypatch):
        """A drop box is such a directory. Root may read everything, so the test injects the refusal."""
        (root / "place/real/deep").mkdir()
        original = os.open

        def refuse_to_read(path, flags, *more, **named):
            if path == "real" and not flags & os.O_PATH:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            return original(path, flags, *more, **named)

        with place.destination("/data/place") as opened:
            monkeypatch.setattr(roots_module.os, "open", refuse_to_read)
            opened.link("real/deep/x", "target", ".crosshaul-x")
            assert refused(lambda: opened.open_directory("real")) == errno.EACCES
        assert (root / "place/real/deep/x").is_symlink()

    def test_a_directory_swapped_for_a_link_is_not_used_after_the_next_check(self, place, root):
        roots = Roots([RootConfig(path="/data", access="rw", directory=root, links=True)], check_ttl_s=0)
        with roots.destination("/data/place") as opened:
            opened.make_directory("real/deep")
            (root / "place/real").rename(root / "aside")
            (root / "place/real").symlink_to("../aside")
            assert refused(lambda: opened.open_parent("real/deep/x")) == errno.ENOTDIR
            assert refused(lambda: opened.unlink("real/deep")) == errno.ENOTDIR
        assert (root / "aside/deep").is_dir()

    def test_no_descriptor_is_left(self, place, root):
        (root / "place/real/a/b/c").mkdir(parents=True)
        (root / "place/real/a/b/c/link").symlink_to("x")
        before = len(list(Path("/proc/self/fd").iterdir()))
        with place.destination("/data/place") as opened:
            for name in ("real/a/b/c/link/x", "real/a/gone/x/y", "real/a/b/c/x"):
                with suppress(OSError):
                    opened.stat(name)
        assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_deep_path_is_made_without_deep_recursion(root, request):
    """A source may name one of two thousand nested directories."""
    limit = sys.getrecursionlimit()
    request.addfinalizer(lambda: sys.setrecursionlimit(limit))
    deep = "/".join("d" * 150)
    with tree(root, writing=True) as opened:
        sys.setrecursionlimit(len(inspect.stack()) + 60)
        opened.open_parent(f"{deep}/file")
        sys.setrecursionlimit(limit)
        os.close(opened.open_beside(f"{deep}/file", "part", os.O_WRONLY | os.O_CREAT))
        opened.rename_new("part", f"{deep}/file")
        assert opened.stat(f"{deep}/file").st_size == 0


@pytest.mark.parametrize("path", ["..", "sub/..", "../secret", "sub/../../secret/file"])
def test_dot_dot_is_refused_even_inside_the_root(root, path):
    with tree(root, "/data/sub", writing=True) as opened:
        for call in (
            opened.stat,
            opened.open_directory,
            opened.readlink,
            opened.unlink,
            opened.make_directory,
        ):
            assert refused(lambda call=call: call(path)) == errno.EXDEV
        assert refused(lambda: opened.open(path, os.O_RDONLY)) == errno.EXDEV
        assert refused(lambda: opened.open_followed(path, os.O_RDONLY)) == errno.EXDEV
        assert opened.name("..") == "/data/sub/.."


def test_the_whole_host_may_be_a_root(root):
    with tree(Path("/"), f"/data{root}/sub") as opened:
        assert opened.stat("file").st_size == 6
    slash = Roots([RootConfig(path="/", access="rw", directory=root)])
    with slash.tree("/sub", writing=True) as opened:
        assert opened.stat("file").st_size == 6
        assert opened.name("file") == "/sub/file"
    with slash.tree("/", writing=True) as opened:
        assert opened.stat("sub/file").st_size == 6


class TestRootsInRoots:
    """On every path, the innermost root's access applies to its directory."""

    @pytest.fixture
    def roots(self, root):
        (root / "sub/drop").mkdir()
        (root / "way in").symlink_to("sub")
        return Roots(
            [
                RootConfig(path="/data", access="rw", directory=root),
                RootConfig(path="/kept", access="ro", directory=root / "sub"),
                RootConfig(path="/data/sub/drop", access="rw", directory=root / "sub/drop"),
                RootConfig(path="/later", access="ro", directory=root / "later"),
            ]
        )

    @pytest.mark.parametrize("directory", ["sub", "sub/made", "way in", "later", "later/made"])
    def test_a_read_only_root_is_not_written_through_another(self, roots, root, directory):
        flags = os.O_WRONLY | os.O_CREAT
        for opened in (
            roots.destination("/data"),
            roots.tree("/data", writing=True, following=True),
            roots.tree("/data", writing=True),
        ):
            refusals = (
                {errno.EXDEV} if "way in" not in directory else {errno.EXDEV, errno.ENOTDIR, errno.ELOOP}
            )
            with opened:
                assert refused(lambda opened=opened: opened.make_directory(directory)) in refusals
                opening = refused(lambda opened=opened: opened.open(f"{directory}/x", flags))
                assert opening in {errno.ENOENT, *refusals}
        assert sorted(path.name for path in (root / "sub").iterdir()) == ["drop", "file"]
        assert not (root / "later").exists()

    def test_a_writable_root_inside_a_read_only_one_is_written_to(self, roots, root):
        with roots.tree("/data", writing=True) as opened:
            opened.make_directory("sub/drop/new")
            opened.make_directory("subway")
        assert (root / "sub/drop/new").is_dir()

    def test_all_of_it_may_be_read(self, roots):
        with roots.tree("/data", writing=False) as opened:
            assert opened.stat("sub/file").st_size == 6


def test_a_directory_that_was_replaced_is_not_written_to(root):
    """After a directory was replaced, files go to the new one."""
    with tree(root, writing=True, check_ttl_s=0) as opened:
        opened.open_parent("sub/new")
        (root / "sub").rename(root / "aside")
        opened.open_parent("sub/new")
        opened.link("sub/new", "target", ".crosshaul-x")
    assert (root / "sub/new").is_symlink()
    assert not (root / "aside/new").is_symlink()


def test_a_directory_that_was_removed_is_made_again(root):
    with tree(root, writing=True, check_ttl_s=0) as opened:
        opened.make_directory("gone/deep")
        (root / "gone/deep").rmdir()
        opened.open_parent("gone/deep/file")
    assert (root / "gone/deep").is_dir()


def test_an_open_directory_is_not_checked_each_time(root, monkeypatch):
    links_read = []
    original = os.readlink
    monkeypatch.setattr(roots_module.os, "readlink", lambda path: links_read.append(path) or original(path))
    with tree(root) as opened:
        for _ in range(100):
            opened.stat("sub/file")
    assert len(links_read) <= 2


@pytest.mark.parametrize(
    ("name", "use"),
    [
        pytest.param("sub/deep", lambda opened: opened.make_directory("sub/deep"), id="directory"),
        pytest.param(
            "sub/deep/file", lambda opened: opened.open_followed("sub/deep/file", os.O_RDONLY), id="file"
        ),
    ],
)
def test_a_parent_directory_swapped_for_a_link_is_detected_after_opening(
    root, tmp_path, monkeypatch, name, use
):
    """Swap a parent further up the path, where no flag of `open` rejects a link."""
    for place in (root / "sub/deep", tmp_path / "secret/deep"):
        place.mkdir()
        (place / "file").write_text("secret")
    original = os.path.realpath

    def resolve_then_swap(path):
        found = original(path)
        if found == str(root / name):
            (root / "sub").rename(root / "was")
            (root / "sub").symlink_to(tmp_path / "secret")
        return found

    before = len(list(Path("/proc/self/fd").iterdir()))
    with following(root, writing=True) as opened:
        monkeypatch.setattr(roots_module.os.path, "realpath", resolve_then_swap)
        assert refused(lambda: use(opened)) == errno.EXDEV
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_link_replaces_a_file_and_leaves_no_temporary_file(root):
    with tree(root, writing=True) as opened:
        opened.link("sub/file", "elsewhere", ".crosshaul-x")
        assert refused(lambda: opened.link("sub", "elsewhere", ".crosshaul-x")) == errno.EISDIR
    assert (root / "sub/file").readlink() == Path("elsewhere")
    assert sorted(path.name for path in root.rglob("*")) == ["file", "sub"]


steps = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "a/a", "a/b", "b/a"]),
        st.sampled_from(["dir", "file", "..", "../..", "../secret", "/etc", "a", "b", "../b", "."]),
    ),
    max_size=8,
)


@given(steps=steps, path=st.lists(st.sampled_from(["a", "b", "file"]), min_size=1, max_size=4).map("/".join))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_with_any_links_only_paths_inside_the_root_open(tmp_path_factory, steps, path):
    """Compare with the path that the kernel reports."""
    base = tmp_path_factory.mktemp("links")
    root = base / "root"
    root.mkdir()
    (base / "secret").mkdir()
    for name, kind in steps:
        if not is_below(os.path.realpath((root / name).parent), str(base)):
            continue  # a link made before leads out: nothing is to be made there
        try:
            if kind == "dir":
                (root / name).mkdir()
            elif kind == "file":
                (root / name).open("x").close()
            else:
                (root / name).symlink_to(kind)
        except OSError:
            continue
    for opened in (following(root), following(root, links=True), tree(root), tree(root, "/data/a")):
        within = root / "a" if opened.path == "/data/a" else root
        with opened:
            for found in opened_paths(opened, path):
                assert is_below(found, str(within))


def opened_paths(opened: Tree, path: str) -> Iterator[str]:
    """Yield the path of what is opened in each way, as the kernel reports it."""
    for opening in (opened.open, opened.open_followed, lambda rel, _: os.dup(opened.open_directory(rel))):
        with suppress(OSError):
            descriptor = opening(path, os.O_RDONLY)
            yield os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115
            os.close(descriptor)


def test_the_agent_s_state_directory_is_excluded_from_all_roots(root):
    """Otherwise a transfer could copy its keys."""
    (root / "state").mkdir()
    (root / "state/device.key").write_text("secret")
    (root / "way in").symlink_to("state")
    roots = Roots([RootConfig(path="/data", access="rw", directory=root)], private=root / "state")
    with roots.tree("/data", writing=True, following=True) as opened:
        assert refused(lambda: opened.open("state/device.key", os.O_RDONLY)) == errno.EXDEV
        assert refused(lambda: opened.open("way in/device.key", os.O_RDONLY)) == errno.EXDEV
        assert refused(lambda: opened.open_directory("state")) == errno.EXDEV
        assert refused(lambda: opened.make_directory("state/new")) == errno.EXDEV
    with roots.tree("/data/state/device.key", writing=False) as opened:
        assert refused(lambda: opened.open("", os.O_RDONLY)) == errno.EXDEV
