"""What a listing says of the things on a disk."""

import os
import socket
from pathlib import Path

import pytest

from agent import listing
from agent.config import RootConfig
from agent.listing import entries
from agent.roots import Roots


@pytest.fixture
def root(tmp_path):
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


def listed(root: Path, symlinks: str = "keep", selection: tuple[str, ...] | None = None, path: str = "/data"):
    roots = Roots([RootConfig(path="/data", access="ro", directory=root)])
    with roots.tree(path, writing=False) as tree:
        return {entry.path: entry for entry in entries(tree, symlinks, selection)}


def test_a_directory_comes_before_what_is_in_it(root):
    for name in ("b/y", "b/x", "a/c/z"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    assert list(listed(root)) == ["", "a", "b", "a/c", "a/c/z", "b/x", "b/y"]
    assert {path: entry.kind for path, entry in listed(root).items()}["a/c"] == "d"


def test_a_file_alone_is_the_place_itself(root):
    (root / "one").write_text("12345")
    found = listed(root, path="/data/one")
    assert [(entry.kind, entry.path, entry.size) for entry in found.values()] == [("f", "", 5)]


def test_it_is_read_as_it_goes(root):
    for number in range(50):
        (root / f"d{number:02}").mkdir()
        (root / f"d{number:02}/file").touch()
    roots = Roots([RootConfig(path="/data", access="ro", directory=root)])
    with roots.tree("/data", writing=False) as tree:
        walk = entries(tree, "keep", None)
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


def test_links_are_followed_as_long_as_they_stay_and_end(root):
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


def linked(root: Path) -> None:
    (root / "dir").mkdir()
    (root / "dir/inside").touch()
    (root / "file").write_text("four")
    for name, target in (("to file", "file"), ("to dir", "dir"), ("dangling", "nowhere")):
        (root / name).symlink_to(target)


def test_what_is_no_file_is_told_and_waited_for_by_nobody(root):
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(root / "socket"))
        found = listed(root)
    assert {found[name].problem.code for name in ("pipe", "socket")} == {"special-file"}


def test_a_directory_that_cannot_be_read_is_told_and_the_rest_goes_on(root, monkeypatch):
    (root / "a").mkdir()
    (root / "b").mkdir()
    (root / "b/file").touch()
    really, closed = os.listdir, (root / "a").stat().st_ino

    def listdir(descriptor):
        if os.fstat(descriptor).st_ino == closed:
            raise PermissionError(13, "Permission denied")
        return really(descriptor)

    monkeypatch.setattr(listing.os, "listdir", listdir)
    roots = Roots([RootConfig(path="/data", access="ro", directory=root)])
    with roots.tree("/data", writing=False) as tree:
        found = list(entries(tree, "keep", None))
    assert [(entry.path, entry.problem.code) for entry in found if entry.problem] == [
        ("a", "permission-denied")
    ]
    assert found[-1].path == "b/file"


def test_our_own_half_done_files_are_no_business_of_others(root):
    (root / ".crosshaul-abc").touch()
    (root / ".crosshaul").touch()
    assert set(listed(root)) == {"", ".crosshaul"}


def test_a_selection_is_looked_up_and_nothing_else(root):
    for name in ("want/this", "want/that", "other"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).touch()
    found = listed(root, selection=("want", "gone"))
    assert set(found) == {"want", "want/this", "want/that", "gone"}
    assert found["gone"].problem.code == "source-missing"


def test_a_sparse_file_is_called_so(root):
    with (root / "sparse").open("wb") as file:
        file.truncate(10_000_000)
    (root / "full").write_bytes(os.urandom(10_000))
    found = listed(root)
    assert (found["sparse"].sparse, found["full"].sparse) == (True, False)


def test_names_that_are_not_utf8_are_as_they_are(root):
    name = os.fsdecode(b"latin-\xfc")
    (root / name).touch()
    assert name in listed(root)
