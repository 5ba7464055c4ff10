"""One directory or file mounted in two places, in a namespace of its own: the only copy is never removed."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.namespaces import run_module


async def whole(hosts, way, bind, fill):
    fill(hosts.data, a="a", sub__b="b")
    bind(hosts.data, hosts.archive)
    return await hosts.fails(way("/data/", "/archive/", move=True))


async def one_directory(hosts, way, bind, fill):
    """Only a subdirectory is shared; other files are moved."""
    fill(hosts.data, a="a", sub__b="b")
    (hosts.archive / "sub").mkdir()
    bind(hosts.data / "sub", hosts.archive / "sub")
    return await hosts.fails(way("/data/", "/archive/", move=True))


async def one_file(hosts, way, bind, fill):
    """Mount a single file, as into a container."""
    fill(hosts.data, a="a", b="b")
    fill(hosts.archive, b="")
    bind(hosts.data / "b", hosts.archive / "b")
    return await hosts.fails(way("/data/", "/archive/", move=True))


async def mirrored_around(hosts, way, bind, fill):
    """Mount a subdirectory of what is mounted completely elsewhere, as in two containers."""
    fill(hosts.archive, sub__b="b", sub__deep__c="c", extra="x")
    bind(hosts.archive / "sub", hosts.data)
    return await hosts.fails(way("/data/", "/archive/", delete_extra=True))


async def moved_inside(hosts, way, bind, fill):
    """Move into the source itself: detected only when the listing reaches it."""
    fill(hosts.data, a="a", sub__b="b")
    bind(hosts.data / "sub", hosts.archive)
    return await hosts.fails(way("/data/", "/archive/", move=True))


SCENARIOS = {
    "whole": (whole, {"a": b"a", "sub": None, "sub/b": b"b"}, {"a": b"a", "sub": None, "sub/b": b"b"}),
    "one_directory": (one_directory, {"sub": None, "sub/b": b"b"}, {"a": b"a", "sub": None, "sub/b": b"b"}),
    "one_file": (one_file, {"b": b"b"}, {"a": b"a", "b": b"b"}),
    "mirrored_around": (mirrored_around, {"b": b"b", "deep": None, "deep/c": b"c"}, None),
    "moved_inside": (moved_inside, {"a": b"a", "sub": None, "sub/b": b"b"}, None),
}
CODES = {"one_file": "source-kept"}


@pytest.mark.parametrize("way", ["order", "local"])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_files_mounted_in_two_places_are_kept(tmp_path, scenario, way):
    run_module("tests.unit.agent.pull.test_mounted", tmp_path, scenario, way)


async def run_scenario(folder: Path, scenario: str, way: str) -> None:
    from agent.config import RootConfig
    from tests.support.hosts import Hosts
    from tests.unit.agent.pull.test_pull_options import fill, tree
    from tests.unit.agent.pull.test_shared_disk import marks

    hosts = Hosts(folder)
    hosts.open_source()

    def bind(source: Path, target: Path) -> None:
        subprocess.run(["mount", "--bind", source, target], check=True)
        hosts.roots.reload([RootConfig(path="/archive", access="rw", directory=hosts.archive)])

    play, data, archive = SCENARIOS[scenario]
    try:
        error = await play(hosts, getattr(hosts, way), bind, fill)
        codes = {one.code for one in error.failures} or {error.problem.code}
        assert codes, "nothing was refused"
        assert codes <= {CODES.get(scenario, "same-place"), "in-the-way"}, codes
        found = {path: content for path, content in tree(hosts.data).items() if path in data}
        assert found == data, tree(hosts.data)
        assert archive in (None, tree(hosts.archive)), tree(hosts.archive)
        assert not marks(folder)
    finally:
        hosts.close()


if __name__ == "__main__":
    asyncio.run(run_scenario(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
