"""A disk is unplugged or mounted during a hop, in a namespace of its own: no file goes to the wrong one."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.config import RootConfig
from agent.errors import HopError
from agent.files.listing import Selection, entries
from agent.files.roots import Roots
from agent.pull.mover import HopResult
from events.progress import Progress
from infra.local.demo_files import write_random
from tests.support.hosts import Hosts
from tests.support.namespaces import run_module

DIRECTORIES = 12
FILES = 10 * DIRECTORIES


def fill(folder: Path) -> None:
    for number in range(FILES):
        write_random(folder / f"dir{number % DIRECTORIES}/file{number}", 100)


def mount(folder: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "none", folder], check=True)


def unplug(folder: Path) -> None:
    subprocess.run(["umount", "--lazy", folder], check=True)


def has_moved_a_third(progress: Progress) -> bool:
    return progress.files_done > FILES // 3


async def ends_remounted(moving: "asyncio.Task[HopResult]") -> None:
    with pytest.raises(HopError) as caught:
        await moving
    error = caught.value
    assert "remounted" in {error.problem.code, *(one.code for one in error.failures)}, error.problem
    assert not error.problem.retryable, "the next attempt would write to the wrong disk"


async def interrupt(hosts: Hosts, way: str, change: Callable[[Path], None]) -> None:
    """Change what is mounted in the middle of a hop; then retry it, as a person who finds that right."""
    fill(hosts.data / "t")
    order = getattr(hosts, way)("/data/t/", "/archive/t/")
    async with hosts.held(order, has_moved_a_third) as moving:
        change(hosts.archive)
    await ends_remounted(moving)
    assert list(hosts.archive.rglob("file*")) == []
    await hosts.move(order)
    assert len(list(hosts.archive.rglob("file*"))) == FILES


async def unplugged(hosts: Hosts, way: str) -> None:
    mount(hosts.archive)
    await interrupt(hosts, way, unplug)


async def mounted_over(hosts: Hosts, way: str) -> None:
    await interrupt(hosts, way, mount)


async def unplugged_above(hosts: Hosts, way: str) -> None:
    """Unplug a disk that is mounted inside the root, above the hop's place."""
    (hosts.archive / "usb").mkdir()
    mount(hosts.archive / "usb")
    fill(hosts.data / "t")
    order = getattr(hosts, way)("/data/t/", "/archive/usb/deep/t/")
    async with hosts.held(order, has_moved_a_third) as moving:
        unplug(hosts.archive / "usb")
    await ends_remounted(moving)
    assert list((hosts.archive / "usb").iterdir()) == []


async def source_unplugged_while_listed(hosts: Hosts, way: str) -> None:
    """What is not found any more is not taken for deleted: a mirror would delete it at the destination."""
    mount(hosts.data)
    fill(hosts.data / "t")
    roots = Roots([RootConfig(path="/data", access="ro", directory=hosts.data)], check_ttl_s=0)
    with roots.tree("/data/t" if way == "order" else "/data", writing=False) as tree:
        listing = entries(tree, Selection())
        seen = [next(listing) for _ in range(3)]
        unplug(hosts.data)
        seen += listing
    assert any(entry.problem and entry.problem.code == "remounted" for entry in seen), seen


SCENARIOS = {
    each.__name__: each for each in (unplugged, mounted_over, unplugged_above, source_unplugged_while_listed)
}


@pytest.mark.parametrize("way", ["order", "local"])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_disk_that_goes_or_comes_ends_the_hop(tmp_path, scenario, way):
    run_module("tests.unit.agent.pull.test_unplugged", tmp_path, scenario, way)


async def run_scenario(folder: Path, scenario: str, way: str) -> None:
    hosts = Hosts(folder)
    try:
        await SCENARIOS[scenario](hosts, way)
    finally:
        hosts.close()


if __name__ == "__main__":
    asyncio.run(run_scenario(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
