"""No path leaves its root, whatever lies on the disk."""

import errno
import inspect
import os
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.config import RootConfig
from agent.errors import HopError, InTheWayError
from agent.files import roots as roots_module
from agent.files.roots import Roots, is_below


@pytest.fixture
def root(tmp_path):
    (tmp_path / "root/sub").mkdir(parents=True)
    (tmp_path / "root/sub/file").write_text("inside")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/file").write_text("outside")
    return tmp_path / "root"


def tree(root: Path, path: str = "/data", access: str = "rw", *, writing: bool = False):
    return Roots([RootConfig(path="/data", access=access, directory=root)]).tree(path, writing=writing)


def code(call) -> str:
    with pytest.raises(HopError) as caught:
        call()
    return caught.value.problem.code


@pytest.mark.parametrize("path", ["/etc", "/dat", "/data2/x", "/", "/data/../etc", "/data/\0"])
def test_a_path_in_no_root_is_refused(root, path):
    assert code(lambda: tree(root, path)) == "outside-roots"


def test_a_root_to_read_is_not_written_to(root):
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


def test_what_is_inside_is_read(root):
    with tree(root) as inside:
        assert os.read(inside.open("sub/file", os.O_RDONLY), 10) == b"inside"
        assert inside.stat("sub/file").st_size == 6
        assert inside.name("sub/file") == "/data/sub/file"


def test_a_root_may_itself_be_reached_by_a_link(root, tmp_path):
    (tmp_path / "door").symlink_to(root)
    with tree(tmp_path / "door") as inside:
        os.close(inside.open("sub/file", os.O_RDONLY))


def refused(call) -> int:
    with pytest.raises(OSError) as caught:  # noqa: PT011 - which is looked at
        call()
    return caught.value.errno


def test_a_link_out_of_the_root_leads_nowhere(root, tmp_path):
    (root / "out").symlink_to(tmp_path / "secret")
    (root / "leak").symlink_to(tmp_path / "secret/file")
    with tree(root, writing=True) as inside:
        assert refused(lambda: inside.open_directory("out")) == errno.EXDEV
        assert refused(lambda: inside.open("out/file", os.O_RDONLY)) == errno.EXDEV
        assert refused(lambda: inside.open("leak", os.O_RDONLY)) == errno.ELOOP
        assert refused(lambda: inside.open_followed("leak", os.O_RDONLY)) == errno.EXDEV
        assert refused(lambda: inside.make_directory("out/new")) == errno.EXDEV
        assert refused(lambda: inside.open_beside("out/x", ".part", os.O_WRONLY | os.O_CREAT)) == errno.EXDEV
        assert refused(lambda: inside.unlink("out/file")) == errno.EXDEV
    assert [path.name for path in (tmp_path / "secret").iterdir()] == ["file"]


def test_a_link_inside_the_root_is_followed_where_it_may_be(root):
    (root / "in").symlink_to("sub")
    (root / "alias").symlink_to("sub/file")
    with tree(root) as inside:
        os.close(inside.open("in/file", os.O_RDONLY))
        os.close(inside.open_followed("alias", os.O_RDONLY))
        assert refused(lambda: inside.open("alias", os.O_RDONLY)) == errno.ELOOP


def test_a_directory_swapped_for_a_link_after_it_was_looked_at_leads_nowhere(root, tmp_path, monkeypatch):
    """Between the resolving and the opening somebody puts a link there."""
    really = os.path.realpath

    def resolved_then_swapped(path):
        found = really(path)
        if found == str(root / "sub") and not (root / "sub").is_symlink():
            (root / "sub").rename(root / "was")
            (root / "sub").symlink_to(tmp_path / "secret")
        return found

    with tree(root) as inside:
        monkeypatch.setattr(roots_module.os.path, "realpath", resolved_then_swapped)
        assert refused(lambda: inside.open("sub/file", os.O_RDONLY)) in {errno.ELOOP, errno.ENOTDIR}


def test_a_directory_moved_out_of_the_root_is_not_followed_there(root, tmp_path, monkeypatch):
    """It is found again under the name of its place, not by the descriptor that was kept."""
    monkeypatch.setattr(roots_module, "DIRECTORY_CHECK_TTL_S", 0)
    with tree(root) as inside:
        inside.open_directory("sub")
        (root / "sub").rename(tmp_path / "moved")
        (tmp_path / "moved/late").write_text("outside by now")
        assert refused(lambda: inside.open("sub/late", os.O_RDONLY)) in {errno.EXDEV, errno.ENOENT}


def test_many_directories_do_not_use_up_the_descriptors(root):
    for number in range(roots_module.MAX_OPEN_DIRECTORIES + 50):
        (root / f"d{number}").mkdir()
    with tree(root) as inside:
        before = len(list(Path("/proc/self/fd").iterdir()))
        for number in range(roots_module.MAX_OPEN_DIRECTORIES + 50):
            inside.open_directory(f"d{number}")
        assert len(list(Path("/proc/self/fd").iterdir())) - before <= roots_module.MAX_OPEN_DIRECTORIES
    assert len(list(Path("/proc/self/fd").iterdir())) <= before


def test_names_that_are_not_utf8_and_long_ones_work(root):
    odd = os.fsdecode(b"latin-\xfc")
    with tree(root, writing=True) as inside:
        inside.make_directory(f"{odd}/{'n' * 255}")
        inside.link(f"{odd}/link", "target")
        assert inside.readlink(f"{odd}/link") == "target"
        assert refused(lambda: inside.make_directory("n" * 256)) == errno.ENAMETOOLONG


def test_a_file_where_a_directory_should_be(root):
    with tree(root, writing=True) as inside:
        assert refused(lambda: inside.make_directory("sub/file/deeper")) == errno.EEXIST
        assert refused(lambda: inside.make_directory("sub/file")) == errno.EEXIST
        assert refused(lambda: inside.open_directory("sub/file")) == errno.ENOTDIR


def test_a_link_that_leads_to_nothing_is_in_the_way_of_a_directory(root):
    (root / "dangling").symlink_to("nowhere")
    with tree(root, writing=True) as inside:
        assert refused(lambda: inside.make_directory("dangling")) == errno.EEXIST
        assert refused(lambda: inside.open_parent("dangling/x/y")) == errno.EEXIST
    assert not (root / "nowhere").exists()


class TestADestination:
    """Below its place there are directories and nothing else on the way to anything."""

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
        return Roots([RootConfig(path="/data", access="rw", directory=root)])

    @pytest.mark.parametrize("path", ["/data/place", "/data/way"])
    @pytest.mark.parametrize("name", ["in", "beside", "out", "dangling", "loop", "file"])
    def test_nothing_is_reached_through_anything_else(self, place, root, path, name):
        before = sorted(str(one) for one in root.parent.rglob("*"))
        with place.destination(path) as inside:
            calls = [
                lambda rel: inside.folder(f"{rel}/deeper"),
                lambda rel: inside.stat(f"{rel}/file"),
                lambda rel: inside.stat_so_called(f"{rel}/file"),
                lambda rel: inside.stat_beside(f"{rel}/file", "file"),
                lambda rel: inside.open(f"{rel}/file", os.O_RDONLY),
                lambda rel: inside.open_followed(f"{rel}/file", os.O_RDONLY),
                lambda rel: inside.open_beside(f"{rel}/x", "file", os.O_WRONLY | os.O_CREAT),
                lambda rel: inside.make_folder(f"{rel}/new"),
                lambda rel: inside.make_writable(f"{rel}/x", "file"),
                lambda rel: inside.room(f"{rel}/x"),
                lambda rel: inside.link(f"{rel}/x", "target"),
                lambda rel: inside.hard_link("new", f"{rel}/file"),
                lambda rel: inside.hard_link(f"{rel}/x", "file"),
                lambda rel: inside.put("file", f"{rel}/x"),
                lambda rel: inside.unlink(f"{rel}/file"),
                lambda rel: inside.unlink_beside(f"{rel}/x", "file"),
                lambda rel: inside.remove_folder(f"{rel}/x"),
                lambda rel: inside.give(f"{rel}/file", 0, 0),
                inside.folder,
                inside.make_folder,
                lambda rel: inside.set_times(rel, 0, 0o700),
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
        with place.destination("/data/place") as inside:
            assert refused(lambda: inside.open("alias", os.O_RDONLY)) == errno.ELOOP
            assert refused(lambda: inside.open_followed("alias", os.O_RDONLY)) == errno.ELOOP

    def test_a_directory_that_may_be_passed_and_not_read_is_passed(self, place, root, monkeypatch):
        """As a drop box is; root may read everything, so its refusal is one of ours."""
        (root / "place/real/deep").mkdir()
        really = os.open

        def refuse_to_read(path, flags, *more, **named):
            if path == "real" and not flags & os.O_PATH:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            return really(path, flags, *more, **named)

        with place.destination("/data/place") as inside:
            monkeypatch.setattr(roots_module.os, "open", refuse_to_read)
            inside.link("real/deep/x", "target")
            assert refused(lambda: inside.folder("real")) == errno.EACCES
        assert (root / "place/real/deep/x").is_symlink()

    def test_a_directory_swapped_for_a_link_is_not_used_once_it_was_looked_at_again(
        self, place, root, monkeypatch
    ):
        monkeypatch.setattr(roots_module, "DIRECTORY_CHECK_TTL_S", 0)
        with place.destination("/data/place") as inside:
            inside.make_folder("real/deep")
            (root / "place/real").rename(root / "aside")
            (root / "place/real").symlink_to("../aside")
            assert refused(lambda: inside.room("real/deep/x")) == errno.ENOTDIR
            assert refused(lambda: inside.unlink("real/deep")) == errno.ENOTDIR
        assert (root / "aside/deep").is_dir()

    def test_no_descriptor_is_left(self, place, root):
        (root / "place/real/a/b/c").mkdir(parents=True)
        (root / "place/real/a/b/c/link").symlink_to("x")
        before = len(list(Path("/proc/self/fd").iterdir()))
        with place.destination("/data/place") as inside:
            for name in ("real/a/b/c/link/x", "real/a/gone/x/y", "real/a/b/c/x"):
                with suppress(OSError):
                    inside.stat(name)
        assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_deep_path_is_made_without_a_stack_as_deep(root, request):
    """A source may name one of two thousand directories, one in the other."""
    limit = sys.getrecursionlimit()
    request.addfinalizer(lambda: sys.setrecursionlimit(limit))
    deep = "/".join("d" * 150)
    with tree(root, writing=True) as inside:
        sys.setrecursionlimit(len(inspect.stack()) + 60)
        inside.open_parent(f"{deep}/file")
        sys.setrecursionlimit(limit)
        os.close(inside.open_beside(f"{deep}/file", "part", os.O_WRONLY | os.O_CREAT))
        inside.rename_new("part", f"{deep}/file")
        assert inside.stat(f"{deep}/file").st_size == 0


@pytest.mark.parametrize("path", ["..", "sub/..", "../secret", "sub/../../secret/file"])
def test_nothing_goes_upwards_not_even_inside(root, path):
    with tree(root, "/data/sub", writing=True) as inside:
        for call in (
            inside.stat,
            inside.open_directory,
            inside.readlink,
            inside.unlink,
            inside.make_directory,
        ):
            assert refused(lambda call=call: call(path)) == errno.EXDEV
        assert refused(lambda: inside.open(path, os.O_RDONLY)) == errno.EXDEV
        assert refused(lambda: inside.open_followed(path, os.O_RDONLY)) == errno.EXDEV
        assert inside.name("..") == "/data/sub/.."


def test_the_whole_host_may_be_a_root(root):
    with tree(Path("/"), f"/data{root}/sub") as inside:
        assert inside.stat("file").st_size == 6
    slash = Roots([RootConfig(path="/", access="rw", directory=root)])
    with slash.tree("/sub", writing=True) as inside:
        assert inside.stat("file").st_size == 6
        assert inside.name("file") == "/sub/file"
    with slash.tree("/", writing=True) as inside:
        assert inside.stat("sub/file").st_size == 6


class TestRootsInRoots:
    """Whichever way one comes, the innermost says whether its directory may be written."""

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

    @pytest.mark.parametrize("folder", ["sub", "sub/made", "way in", "later", "later/made"])
    def test_one_to_read_is_not_written_through_another(self, roots, root, folder):
        with roots.tree("/data", writing=True) as inside:
            assert refused(lambda: inside.make_folder(folder)) == errno.EXDEV
            flags = os.O_WRONLY | os.O_CREAT
            assert refused(lambda: inside.open(f"{folder}/x", flags)) in {errno.EXDEV, errno.ENOENT}
        assert sorted(path.name for path in (root / "sub").iterdir()) == ["drop", "file"]
        assert not (root / "later").exists()

    def test_one_to_write_inside_that_one_is(self, roots, root):
        with roots.tree("/data", writing=True) as inside:
            inside.make_folder("sub/drop/new")
            inside.make_folder("subway")
        assert (root / "sub/drop/new").is_dir()

    def test_all_of_it_may_be_read(self, roots):
        with roots.tree("/data", writing=False) as inside:
            assert inside.stat("sub/file").st_size == 6


def test_a_directory_that_was_replaced_is_not_written_to(root, monkeypatch):
    """Whoever moves it aside and makes another in its place gets the files in the new one."""
    monkeypatch.setattr(roots_module, "DIRECTORY_CHECK_TTL_S", 0)
    with tree(root, writing=True) as inside:
        inside.open_parent("sub/new")
        (root / "sub").rename(root / "aside")
        inside.open_parent("sub/new")
        inside.link("sub/new", "target")
    assert (root / "sub/new").is_symlink()
    assert not (root / "aside/new").is_symlink()


def test_a_directory_that_was_removed_is_made_again(root, monkeypatch):
    monkeypatch.setattr(roots_module, "DIRECTORY_CHECK_TTL_S", 0)
    with tree(root, writing=True) as inside:
        inside.make_directory("gone/deep")
        (root / "gone/deep").rmdir()
        inside.open_parent("gone/deep/file")
    assert (root / "gone/deep").is_dir()


def test_a_kept_directory_is_not_looked_at_each_time(root, monkeypatch):
    asked = []
    really = os.readlink
    monkeypatch.setattr(roots_module.os, "readlink", lambda path: asked.append(path) or really(path))
    with tree(root) as inside:
        for _ in range(100):
            inside.stat("sub/file")
    assert len(asked) <= 2


def test_a_directory_swapped_on_the_way_is_seen_once_it_is_open(root, tmp_path, monkeypatch):
    """Further up the path, where no flag of `open` minds a link."""
    (root / "sub/deep").mkdir()
    (tmp_path / "secret/deep").mkdir()
    really = os.path.realpath

    def resolved_then_swapped(path):
        found = really(path)
        if found == str(root / "sub/deep"):
            (root / "sub").rename(root / "was")
            (root / "sub").symlink_to(tmp_path / "secret")
        return found

    before = len(list(Path("/proc/self/fd").iterdir()))
    with tree(root, writing=True) as inside:
        monkeypatch.setattr(roots_module.os.path, "realpath", resolved_then_swapped)
        assert refused(lambda: inside.make_directory("sub/deep")) == errno.EXDEV
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_what_a_link_replaces_is_gone_and_nothing_half_done_stays(root):
    with tree(root, writing=True) as inside:
        inside.link("sub/file", "elsewhere")
        assert refused(lambda: inside.link("sub", "elsewhere")) == errno.EISDIR
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
def test_whatever_links_there_are_what_opens_is_inside(tmp_path_factory, steps, path):
    """By the kernel's own word."""
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
    with tree(root) as inside:
        for opening in (inside.open, inside.open_followed, lambda rel, _: os.dup(inside.open_directory(rel))):
            try:
                descriptor = opening(path, os.O_RDONLY)
            except OSError:
                continue
            found = os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115
            os.close(descriptor)
            assert found == str(root) or found.startswith(f"{root}/")


def test_the_agent_s_own_directory_is_in_no_root(root):
    """Its keys would otherwise be a transfer away."""
    (root / "state").mkdir()
    (root / "state/device.key").write_text("secret")
    (root / "way in").symlink_to("state")
    roots = Roots([RootConfig(path="/data", access="rw", directory=root)], private=root / "state")
    with roots.tree("/data", writing=True) as inside:
        assert refused(lambda: inside.open("state/device.key", os.O_RDONLY)) == errno.EXDEV
        assert refused(lambda: inside.open("way in/device.key", os.O_RDONLY)) == errno.EXDEV
        assert refused(lambda: inside.open_directory("state")) == errno.EXDEV
        assert refused(lambda: inside.make_directory("state/new")) == errno.EXDEV
    with roots.tree("/data/state/device.key", writing=False) as inside:
        assert refused(lambda: inside.open("", os.O_RDONLY)) == errno.EXDEV
