"""A hop that is killed, cut and paused at random ends with the right content; `SEEDS` sets how many runs."""

import asyncio
import os
import random
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from agent.backoff import Backoff
from agent.files.paths import PARTIAL_PREFIX
from agent.lane.limits import LaneLimits
from agent.pull.limits import PullLimits
from infra.local.demo_files import MIB, differences, listing
from tests.support.hosts import Hosts
from tests.support.waiting import until

SEEDS = int(os.environ.get("SEEDS", "100"))
SEEDS_PER_TEST = 10
"""Seeds per test, so that a failure names few."""
KILLS = 4


@pytest.fixture
def hosts(tmp_path) -> Iterator[Hosts]:
    hosts = Hosts(tmp_path)
    hosts.pull_limits = PullLimits(pass_backoff=Backoff(0.01, 0.01), request_backoff=Backoff(0.01, 0.02))
    yield hosts
    hosts.close()


def random_tree(folder: Path, dice: random.Random) -> None:
    """Create a tree of a few MiB: big, sparse and small files, links and hard links."""
    folder.mkdir(parents=True)
    for number in range(dice.randrange(1, 3)):
        (folder / f"big{number}").write_bytes(dice.randbytes(dice.randrange(MIB, 3 * MIB)))
    with (folder / "sparse").open("wb") as file:
        file.truncate(dice.randrange(2 * MIB, 40 * MIB))
        for _ in range(dice.randrange(4)):
            file.seek(dice.randrange(2 * MIB))
            file.write(dice.randbytes(dice.randrange(1, MIB // 4)))
    for number in range(dice.randrange(5, 40)):
        inner = folder / f"d{number % 4}"
        inner.mkdir(exist_ok=True)
        (inner / f"f{number}").write_bytes(dice.randbytes(dice.randrange(20_000)))
    os.link(folder / "big0", folder / "d0/another name")
    (folder / "link").symlink_to("big0")


async def one(hosts: Hosts, seed: int) -> None:
    dice = random.Random(seed)
    random_tree(hosts.data / str(seed), dice)
    size = sum(path.stat().st_size for path in (hosts.data / str(seed)).rglob("*") if is_final_file(path))
    hosts.destination_server.limits = LaneLimits(long_round_trip_s=dice.choice([0.0, 1.0]))
    order = hosts.order(f"/data/{seed}/", f"/archive/{seed}/", streams=dice.choice([1, 2, 4]))
    for _ in range(dice.randrange(1, 4)):
        hosts.proxy.cut_after = hosts.proxy.passed + dice.randrange(3 * MIB)
        if dice.random() < 0.5:
            await paused(hosts, order, dice.randrange(size))
        order = order.model_copy(update={"attempt": order.attempt + 1})
    await hosts.move(order)
    assert differences(listing(hosts.data / str(seed)), listing(hosts.archive / str(seed))) == []
    assert not [path for path in hosts.archive.rglob("*") if path.name.startswith(PARTIAL_PREFIX)]
    assert hosts.progress.bytes_done == hosts.progress.bytes_total == size
    hosts.release(order)


def is_final_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


async def paused(hosts: Hosts, order, at: int) -> None:
    """Pause the hop once `at` bytes are written, or return at its end if that comes first."""
    moving = hosts.begin(order)
    await until(lambda: moving.done() or hosts.progress.bytes_done >= at)
    moving.cancel()
    with suppress(asyncio.CancelledError):
        await moving


@pytest.mark.parametrize("first", range(0, SEEDS, SEEDS_PER_TEST))
async def test_cut_and_paused_at_random(hosts, first):
    for seed in range(first, min(first + SEEDS_PER_TEST, SEEDS)):
        try:
            await one(hosts, seed)
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise


async def test_killed_at_random(hosts, tmp_path):
    """Kill the destination repeatedly with SIGKILL, so that it knows only what is on its disk."""
    dice = random.Random(SEEDS)
    for number in range(60):
        (hosts.data / f"t/d{number % 5}").mkdir(parents=True, exist_ok=True)
        (hosts.data / f"t/d{number % 5}/{number}").write_bytes(dice.randbytes(dice.randrange(100_000)))
    for number in range(3):
        (hosts.data / f"t/big{number}").write_bytes(dice.randbytes(40 * MIB))
    order = hosts.order("/data/t/", "/archive/t/")
    for kill in range(KILLS):
        with hosts.proxy.held_after(dice.randrange(1, 30 * MIB)):
            process = await start_process(tmp_path, order.model_copy(update={"attempt": kill + 1}))
            await until(lambda: hosts.proxy.is_held)
            process.send_signal(signal.SIGKILL)
            assert await process.wait() == -signal.SIGKILL
    process = await start_process(tmp_path, order.model_copy(update={"attempt": KILLS + 1}))
    assert await process.wait() == 0
    assert differences(listing(hosts.data / "t"), listing(hosts.archive / "t")) == []
    assert not [path for path in hosts.archive.rglob("*") if path.name.startswith(PARTIAL_PREFIX)]
    # each kill costs what was under way: a range for each connection, and a pack
    assert hosts.proxy.passed < 123 * MIB + (KILLS + 1) * 3 * 33 * MIB


async def start_process(folder: Path, order) -> asyncio.subprocess.Process:
    command = sys.executable, "-m", "tests.support.mover_process", str(folder)
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
    process.stdin.write(order.model_dump_json().encode())
    process.stdin.close()
    assert await process.stdout.readline() == b"moves\n"
    return process
