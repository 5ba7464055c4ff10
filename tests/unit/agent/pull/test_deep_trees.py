"""Trees that are deeper than Python's stack and than the kernel's longest path."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.files.listing import Selection, entries
from events.filters import Filters
from tests.support.hosts import Hosts, ways

DEPTH = 1050
"""Levels: more than Python's stack has frames, in a path that still fits into PATH_MAX."""


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Hosts]:
    assert sys.getrecursionlimit() < DEPTH
    folder = Path(os.path.realpath(tmp_path)) / "h"
    folder.mkdir()
    hosts = Hosts(folder)
    yield hosts
    hosts.close()
    subprocess.run(["rm", "-rf", folder], check=True)  # shutil and pytest would recurse


def make_deep(top: Path, depth: int = DEPTH, name: str = "d") -> None:
    """Create `depth` directories in each other, and a file in the last one."""
    directory = os.open(top, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=directory)
        below = os.open(name, os.O_RDONLY, dir_fd=directory)
        os.close(directory)
        directory = below
    os.close(os.open("treasure", os.O_WRONLY | os.O_CREAT, dir_fd=directory))
    os.close(directory)


def bottom(top: Path) -> Path:
    return top / "/".join(["d"] * DEPTH)


@ways
async def test_a_very_deep_tree_arrives_and_is_mirrored(hosts, way):
    make_deep(hosts.data)
    await hosts.move(getattr(hosts, way)("/data/", "/archive/"))
    assert (bottom(hosts.archive) / "treasure").exists()
    (bottom(hosts.archive) / "extra").touch()
    (hosts.data / "top").touch()
    await hosts.move(getattr(hosts, way)("/data/", "/archive/", delete_extra=True))
    assert sorted(path.name for path in bottom(hosts.archive).iterdir()) == ["treasure"]


async def test_a_very_deep_extra_tree_is_removed_by_a_mirror(hosts):
    make_deep(hosts.archive)
    (hosts.data / "only").touch()
    await hosts.move(hosts.order("/data/", "/archive/", delete_extra=True))
    assert [path.name for path in hosts.archive.iterdir()] == ["only"]


async def test_a_very_deep_tree_is_moved(hosts):
    hosts.open_source()
    make_deep(hosts.data)
    await hosts.move(hosts.order("/data/", "/archive/", move=True))
    assert (bottom(hosts.archive) / "treasure").exists()
    assert list(hosts.data.iterdir()) == []


def test_a_very_deep_tree_is_listed_with_filters_and_links(hosts):
    make_deep(hosts.data)
    (hosts.data / "d/loop").symlink_to("../d")
    with hosts.sources.tree("/data", writing=False) as tree:
        found = list(entries(tree, Selection("follow", filters=Filters(include=["treasure"]))))
    assert [entry.kind for entry in found].count("d") == DEPTH + 1
    assert found[-1].path.endswith("/treasure") or found[-1].kind == "!"


async def test_what_is_deeper_than_a_path_can_be_is_named_and_the_rest_arrives(hosts):
    make_deep(hosts.data, depth=60, name="d" * 100)
    (hosts.data / "shallow").write_text("here")
    error = await hosts.fails(hosts.order("/data/", "/archive/"))
    assert {failure.code for failure in error.failures} == {"name-too-long"}
    assert (hosts.archive / "shallow").read_text() == "here"
