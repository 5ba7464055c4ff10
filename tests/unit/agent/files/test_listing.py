"""What a listing reports about the files on a disk."""

import contextlib
import json
import os
import socket
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.config import RootConfig
from agent.errors import problem_of
from agent.files import listing
from agent.files import roots as roots_module
from agent.files.directory_cache import MAX_OPEN_DIRECTORIES
from agent.files.listing import Selection, entries, entry_at, open_source
from agent.files.roots import Roots
from agent.rclone import lsjson


@pytest.fixture
def root(tmp_path):
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


def listed(
    root: Path,
    symlinks: str = "keep",
    selection: tuple[str, ...] | None = None,
    path: str = "/data",
    *,
    links: bool = False,
):
    roots = Roots([RootConfig(path="/data", access="ro", directory=root, links=links)])
    with roots.tree(path, writing=False, following=symlinks == "follow") as tree:
        return {entry.path: entry for entry in entries(tree, Selection(symlinks, selection))}


def entries_of(root: Path, symlinks: str = "keep", selection: tuple[str, ...] | None = None):
    roots = Roots([RootConfig(path="/data", access="ro", directory=root)])
    with roots.tree("/data", writing=False) as tree:
        yield from entries(tree, Selection(symlinks, selection))


def test_a_directory_comes_before_what_is_in_it(root):
    for name in ("b/y", "b/x", "a/c/z"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    assert list(listed(root)) == ["", "a", "b", "a/c", "a/c/z", "b/x", "b/y"]
    assert {path: entry.kind for path, entry in listed(root).items()}["a/c"] == "d"


def test_a_single_file_is_the_location_itself(root):
    (root / "one").write_text("12345")
    found = listed(root, path="/data/one")
    assert [(entry.kind, entry.path, entry.size) for entry in found.values()] == [("f", "", 5)]


def test_the_tree_is_read_while_it_is_listed(root):
    for number in range(50):
        (root / f"d{number:02}").mkdir()
        (root / f"d{number:02}/file").touch()
    roots = Roots([RootConfig(path="/data", access="ro", directory=root)])
    with roots.tree("/data", writing=False) as tree:
        walk = entries(tree, Selection())
        seen = [next(walk).path for _ in range(55)]
        (root / "d49/late").touch()
        assert "d49/late" not in seen
        assert "d49/late" in [entry.path for entry in walk]


@pytest.mark.parametrize(
    ("symlinks", "kinds"),
    [("skip", {}), ("keep", {"to file": "l", "to dir": "l", "dangling": "l"})],
)
def test_links_are_kept_or_left_out(root, symlinks, kinds):
    linked(root)
    found = listed(root, symlinks)
    assert {path: found[path].kind for path in ("to file", "to dir", "dangling") if path in found} == kinds
    assert "to dir/inside" not in found


def test_links_are_followed_inside_the_root_and_not_in_a_loop(root):
    linked(root)
    (root / "out").symlink_to("/etc")
    (root / "dir/up").symlink_to("..")

    found = listed(root, "follow")

    assert (found["to file"].kind, found["to file"].size) == ("f", 4)
    assert found["to dir/inside"].kind == "f"
    problems = {path: entry.problem.code for path, entry in found.items() if entry.kind == "!"}
    assert problems["out"] == "outside-roots"
    assert problems["dangling"] == "source-missing"
    assert "link-loop" in problems.values()
    assert len(found) < 20


def test_links_that_lead_back_to_themselves_are_reported_as_that(root):
    for name, target in (("one", "two"), ("two", "three"), ("three", "one"), ("alone", "alone")):
        (root / name).symlink_to(target)
    for name, entry in listed(root, "follow").items():
        if name:
            assert (entry.problem.code, entry.problem.message) == (
                "link-loop",
                f"/data/{name} is a symbolic link that leads back to itself.",
            )


def linked(root: Path) -> None:
    (root / "dir").mkdir()
    (root / "dir/inside").touch()
    (root / "file").write_text("four")
    for name, target in (("to file", "file"), ("to dir", "dir"), ("dangling", "nowhere")):
        (root / name).symlink_to(target)


def test_special_files_are_reported_and_not_opened(root):
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(root / "socket"))
        found = listed(root)
    assert {found[name].problem.code for name in ("pipe", "socket")} == {"special-file"}


def test_an_unreadable_directory_is_reported_and_the_rest_is_listed(root, monkeypatch):
    (root / "a").mkdir()
    (root / "b").mkdir()
    (root / "b/file").touch()
    original, closed = os.listdir, (root / "a").stat().st_ino

    def listdir(descriptor):
        if os.fstat(descriptor).st_ino == closed:
            raise PermissionError(13, "Permission denied")
        return original(descriptor)

    monkeypatch.setattr(listing.os, "listdir", listdir)
    roots = Roots([RootConfig(path="/data", access="ro", directory=root)])
    with roots.tree("/data", writing=False) as tree:
        found = list(entries(tree, Selection()))
    assert [(entry.path, entry.problem.code) for entry in found if entry.problem] == [
        ("a", "permission-denied")
    ]
    assert found[-1].path == "b/file"


def test_temporary_files_are_not_listed(root):
    (root / ".crosshaul-abcdefghij0123456789-0-0123456789abcdef").touch()
    (root / ".crosshaul").touch()
    assert set(listed(root)) == {"", ".crosshaul"}


def test_temporary_files_are_not_listed_in_a_store_or_while_they_arrive(root):
    fields = {"Size": 1, "ModTime": "2026-01-01T00:00:00Z", "IsDir": False}
    own = ".crosshaul-abcdefghij0123456789-0-0123456789abcdef"
    paths = (own, f"{own}/file", f"d/{own}", f"d{own}", ".crosshaul-of-a-user")
    lines = [json.dumps({"Path": path, **fields}).encode() for path in paths]
    found = [(entry.kind, entry.path) for entry in lsjson.parse_listing(lines)]
    assert found == [("f", f"d{own}"), ("!", ".crosshaul-of-a-user")]

    (root / ".crosshaul-d").mkdir()
    (root / ".crosshaul-d/file").touch()
    roots = Roots([RootConfig(path="/data", access="ro", directory=root)])
    with roots.tree("/data", writing=False) as tree:
        assert entry_at(tree, Selection(), ".crosshaul-d/file") is None


def test_only_selected_paths_are_listed(root):
    for name in ("want/this", "want/that", "other"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).touch()
    found = listed(root, selection=("want", "gone"))
    assert set(found) == {"want", "want/this", "want/that", "gone"}
    assert found["gone"].problem.code == "source-missing"


def test_paths_selected_twice_are_listed_once(root):
    for name in ("a/b/c", "ab"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    selection = ("a/b", "a", "ab", "a/b/c", "ab")
    assert [entry.path for entry in entries_of(root, selection=selection)] == ["a", "a/b", "a/b/c", "ab"]


def test_selected_paths_that_no_file_system_can_have_do_not_stop_the_rest(root):
    (root / "x").mkdir()
    for name in ("x/y", "good"):
        (root / name).touch()
    (root.parent / "up").touch()
    impossible = ("x//y", "../up", "x/./y", "/lead", "marker/", "n\0ul", "")
    found = listed(root, selection=(*impossible, "good"))
    assert set(found) == {"good"}
    assert found["good"].kind == "f"


def test_a_selected_name_that_is_reserved_is_reported(root):
    (root / ".crosshaul-notes").touch()
    (root / "good").touch()
    found = listed(root, selection=(".crosshaul-notes", "good"))
    assert found[".crosshaul-notes"].problem.code == "reserved-name"
    assert found["good"].kind == "f"


def test_a_selected_dangling_link_is_reported_and_the_rest_is_listed(root):
    linked(root)
    (root / "loop").symlink_to("loop")
    found = listed(root, "follow", selection=("dangling", "loop", "file"))
    problems = {path: entry.problem.code for path, entry in found.items() if entry.problem}
    assert problems == {"dangling": "source-missing", "loop": "outside-roots"}
    assert found["file"].size == 4


def test_the_location_itself_may_be_a_link_if_the_root_allows_it_and_may_be_missing(root):
    linked(root)
    assert "inside" in listed(root, "skip", path="/data/to dir", links=True)
    assert listed(root, "keep", path="/data/to file", links=True)[""].size == 4
    for missing in ("dangling", "nothing"):
        with pytest.raises(FileNotFoundError):
            listed(root, path=f"/data/{missing}", links=True)


@pytest.mark.parametrize("symlinks", ["keep", "skip", "follow"])
@pytest.mark.parametrize("location", ["to dir", "to file", "dangling", "to dir/inside"])
def test_the_way_to_a_location_passes_no_link(root, location, symlinks):
    """A policy about `/data/to dir/` would say nothing about `/data/dir/`."""
    linked(root)
    with pytest.raises(OSError, match="symbolic links"):
        listed(root, symlinks, path=f"/data/{location}")


@pytest.mark.parametrize(("links", "code"), [(False, "outside-roots"), (True, None)])
def test_links_leave_the_location_only_if_the_root_allows_it(root, links, code):
    """`/data/shared/` is what a policy permits; `/data/private/` is next to it."""
    for name in ("shared", "private"):
        (root / name).mkdir()
        (root / name / "file").write_text(name)
    (root / "shared/to file").symlink_to("../private/file")
    (root / "shared/to dir").symlink_to("../private")
    (root / "shared/absolute").symlink_to(root / "shared/file")
    found = listed(root, "follow", path="/data/shared", links=links)
    assert found["absolute"].kind == "f"
    for name in ("to file", "to dir"):
        assert getattr(found[name].problem, "code", None) == code
    assert ("to dir/file" in found) is links


def test_a_selected_path_leads_through_no_link(root):
    linked(root)
    assert listed(root, "keep", ("to dir/inside",))["to dir/inside"].problem.code == "outside-roots"
    assert listed(root, "follow", ("to dir/inside",))["to dir/inside"].kind == "f"


def test_entries_deleted_during_the_listing_are_left_out(root):
    for name in ("a/1", "b/2", "c/3"):
        (root / name).parent.mkdir()
        (root / name).touch()
    found = []
    for entry in entries_of(root):
        found.append(entry.path)
        if entry.path == "a":
            (root / "c/3").unlink()
            (root / "c").rmdir()  # its name has been read already
        if entry.path == "a/1":
            (root / "b/2").unlink()
            (root / "b").rmdir()  # it was yielded already
    assert found == ["", "a", "b", "a/1"]


def test_a_fifo_behind_a_link_is_not_opened(root, monkeypatch):
    """A process that waits to write to it would take us for the reader."""
    os.mkfifo(root / "pipe")
    (root / "link").symlink_to("pipe")
    original, opened = os.open, []

    def recording_open(path, flags, *rest, **more):
        opened.append((path, flags))
        return original(path, flags, *rest, **more)

    monkeypatch.setattr(roots_module.os, "open", recording_open)
    assert listed(root, "follow")["link"].problem.code == "special-file"
    assert all(flags & os.O_PATH for path, flags in opened if str(path).endswith("pipe"))


def test_a_file_that_became_something_else_is_not_opened_to_read(root):
    os.mkfifo(root / "pipe")
    (root / "link").symlink_to("pipe")
    (root / "dir").mkdir()
    before = len(list(Path("/proc/self/fd").iterdir()))
    roots = Roots([RootConfig(path="/data", access="ro", directory=root)])
    with roots.tree("/data", writing=False, following=True) as tree:
        for name in ("pipe", "link", "dir"):
            with pytest.raises(OSError, match="regular file") as caught:
                open_source(tree, name)
            problem = problem_of(caught.value, f"server-b:/data/{name}")
            assert problem.code == "special-file"
            assert "has since been replaced by a directory, a device, a socket or a FIFO" in problem.message
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_tree_with_more_directories_than_are_kept_open(root):
    """Descriptors are closed and opened again while the listing is in the middle of the tree."""
    count = 0
    for first in range(MAX_OPEN_DIRECTORIES + 5):
        (root / f"{first:03}" / "/".join("d" * 5)).mkdir(parents=True)
        (root / f"{first:03}" / "/".join("d" * 5) / "file").touch()
        count += 7
    assert len(listed(root)) == count + 1


@given(names=st.sets(st.lists(st.sampled_from(["a", "b", "a b", "ü"]), min_size=1, max_size=4).map("/".join)))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_everything_is_listed_once_and_after_its_directory(tmp_path_factory, names):
    root = tmp_path_factory.mktemp("any")
    created = {""}
    for name in sorted(names):
        with contextlib.suppress(OSError):  # a file may be in the way
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).touch()
    created |= {str(path.relative_to(root)) for path in root.rglob("*")}
    found = [entry.path for entry in entries_of(root)]
    assert sorted(found) == sorted(created)
    for index, path in enumerate(found[1:], 1):
        assert path.rpartition("/")[0] in found[:index]


def test_a_sparse_file_is_marked(root):
    with (root / "sparse").open("wb") as file:
        file.truncate(10_000_000)
    (root / "full").write_bytes(os.urandom(10_000))
    found = listed(root)
    assert (found["sparse"].sparse, found["full"].sparse) == (True, False)


def test_names_that_are_not_utf8_are_kept(root):
    name = os.fsdecode(b"latin-\xfc")
    (root / name).touch()
    assert name in listed(root)
