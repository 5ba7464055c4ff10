"""Run a hop on a disk that is small, full or read-only.

    unshare -rm python -m tests.support.small_disk STORY mounted FOLDER

in a mount namespace of its own, so that nothing of it is visible or left outside.

Where mount namespaces are not allowed (as in many containers), the disk is simulated: it reports
that size and is full beyond it.
"""

import asyncio
import errno
import os
import stat
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.files import disk
from agent.files.roots import Tree
from agent.pull import destination, file_writer
from agent.pull.ledger_database import LedgerDatabase
from agent.pull.limits import PullLimits
from infra.local.demo_files import MIB, differences, listing, write_random
from tests.support.hosts import Hosts
from tests.support.waiting import until

SIZE = 64 * MIB


class Mounted:
    """A separate file system mounted at a directory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._mount(f"size={SIZE}")

    def _mount(self, options: str) -> None:
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", self._folder], check=True)

    def read_only(self) -> None:
        self._mount("remount,ro")

    def limit_inodes(self, *, to_those_in_use: bool) -> None:
        found = os.statvfs(self._folder)
        used = found.f_files - found.f_ffree
        self._mount(f"remount,nr_inodes={used if to_those_in_use else used + 1000}")


class Pretended:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lacks_inodes = False
        self._really = destination.write
        disk.free_bytes = lambda _: self._left()
        disk.preallocate = self._reserve
        destination.write = file_writer.write = self._write

    def _left(self) -> int:
        return SIZE - sum(map(_held, self._folder.rglob("*")))

    def _reserve(self, descriptor: int, size: int) -> None:
        held = os.fstat(descriptor).st_blocks * 512
        self._must_fit(size - held)
        os.posix_fallocate(descriptor, 0, size)

    def _write(self, descriptor: int, data: memoryview, start: int) -> None:
        if os.fstat(descriptor).st_size < start + len(data):
            self._must_fit(len(data))
        self._really(descriptor, data, start)

    def _must_fit(self, size: int) -> None:
        if size > self._left() or self._lacks_inodes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def limit_inodes(self, *, to_those_in_use: bool) -> None:
        self._lacks_inodes = to_those_in_use
        disk.lacks_inodes = lambda _: self._lacks_inodes

    def read_only(self) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))

        Tree.open_parent = Tree.make_directory = refuse  # type: ignore[assignment]


def _held(path: Path) -> int:
    """Return the bytes in use, ignoring files that vanish during the walk."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return 0
    return found.st_blocks * 512 if stat.S_ISREG(found.st_mode) else 0


Disk = Mounted | Pretended


async def full(hosts: Hosts, _: Disk) -> None:
    """Check that a hop warns early, pauses when the disk is full, and resumes when there is space."""
    hosts.pull_limits = PullLimits(space_poll_interval_s=0.05)
    write_random(hosts.data / "t/big", 30 * MIB)
    for number in range(12):
        write_random(hosts.data / f"t/small{number}", MIB - 1)
    ballast = hosts.archive / "ballast"
    ballast.write_bytes(bytes(50 * MIB))
    rehearsed = await hosts.move(hosts.order("/data/t/", "/archive/t/", dry_run=True))
    moving = hosts.begin(hosts.order("/data/t/", "/archive/t/"))

    await until(lambda: hosts.observer.wait_problems)

    told, found_before = (
        hosts.progress.space_shortage,
        rehearsed.preview.space_shortage if rehearsed.preview else None,
    )
    assert told
    assert found_before
    assert found_before.wanted == 42 * MIB - 12
    assert max(told.free, found_before.free) <= SIZE - 50 * MIB < told.wanted <= found_before.wanted
    assert hosts.observer.wait_problems[0].code == "destination-full"
    assert not moving.done()
    ballast.unlink()
    await moving
    assert differences(listing(hosts.data / "t"), listing(hosts.archive / "t")) == []
    assert hosts.progress.space_shortage is None


async def tight(hosts: Hosts, _: Disk) -> None:
    """Check that replaced and partial files are counted as free space: no false alarm."""
    write_random(hosts.data / "t/replaced", 20 * MIB)
    (hosts.archive / "t").mkdir()
    (hosts.archive / "t/replaced").write_bytes(bytes(20 * MIB))
    write_random(hosts.data / "t/half", 36 * MIB)
    order = hosts.order("/data/t/", "/archive/t/", streams=1, selection=("half",))
    await hosts.moves_until(order, lambda progress: progress.bytes_done > 0)
    hosts.release(order)

    everything = order.model_copy(update={"selection": None, "attempt": 2})
    hosts.serve(order.hop_id, "/data/t/")
    outcome = everything.model_copy(update={"options": order.options.model_copy(update={"dry_run": True})})
    rehearsed = await hosts.move(outcome)

    assert rehearsed.preview
    assert rehearsed.preview.space_shortage is None


async def without_inodes(hosts: Hosts, there: Disk) -> None:
    """Check that a disk with free space that can hold no further file is reported as that."""
    hosts.pull_limits = PullLimits(space_poll_interval_s=0.05, full_disk_retry_s=0.05)
    for number in range(20):
        write_random(hosts.data / f"t/small{number}", 1000)
    there.limit_inodes(to_those_in_use=True)
    moving = hosts.begin(hosts.order("/data/t/", "/archive/t/"))

    await until(lambda: hosts.observer.wait_problems)

    problem = hosts.observer.wait_problems[0]
    assert problem.code == "destination-full"
    assert "no inodes left" in problem.message
    assert not moving.done()
    there.limit_inodes(to_those_in_use=False)
    await moving
    assert differences(listing(hosts.data / "t"), listing(hosts.archive / "t")) == []


async def read_only(hosts: Hosts, there: Disk) -> None:
    write_random(hosts.data / "t/x", 100)
    (hosts.archive / "there").write_text("stays")
    there.read_only()

    error = await hosts.fails(hosts.order("/data/t/", "/archive/t/"))

    assert error.problem.code == "destination-read-only"
    assert not error.problem.retryable
    assert error.problem.advice
    assert [path.name for path in hosts.archive.iterdir()] == ["there"]


async def full_state(hosts: Hosts, _: Disk) -> None:
    """Check that a hop pauses while the disk of the state directory is full."""
    hosts.pull_limits = PullLimits(space_poll_interval_s=0.05, full_disk_retry_s=0.3)
    for number in range(6_000):
        (hosts.data / f"t/{number % 50}").mkdir(parents=True, exist_ok=True)
        (hosts.data / f"t/{number % 50}/{number}").touch()
    with _full_state_disk(hosts.state, mounted=_is_mounted(hosts.state)) as free:
        moving = hosts.begin(hosts.order("/data/t/", "/archive/t/"))
        await until(lambda: moving.done() or hosts.observer.wait_problems)
        assert not moving.done(), await moving
        problem = hosts.observer.wait_problems[0]
        assert (problem.code, problem.retryable) == ("state-disk-full", True)
        assert str(hosts.state) in problem.message
        free()
        await moving
    assert differences(listing(hosts.data / "t"), listing(hosts.archive / "t")) == []


@contextmanager
def _full_state_disk(state: Path, *, mounted: bool) -> Iterator[Callable[[], None]]:
    """Let the state directory take hardly anything until the function that is yielded is called."""
    if mounted:
        ballast = state / "ballast"
        ballast.write_bytes(bytes(SIZE - MIB // 2))
        yield ballast.unlink
        return
    really, limit = LedgerDatabase._open, [45]

    def open_small(database: LedgerDatabase) -> None:
        really(database)
        if limit:
            database._db.execute(f"PRAGMA max_page_count={limit[0]}")
            opened.append(database)

    def grow() -> None:
        limit.clear()
        for database in opened:
            database._db.execute("PRAGMA max_page_count=1000000")

    opened: list[LedgerDatabase] = []
    LedgerDatabase._open = open_small  # type: ignore[method-assign]
    yield grow


def _is_mounted(folder: Path) -> bool:
    return os.path.ismount(folder)


SCENARIOS: dict[str, Callable[[Hosts, Disk], Awaitable[None]]] = {
    "full": full,
    "tight": tight,
    "without_inodes": without_inodes,
    "read_only": read_only,
    "full_state": full_state,
}


async def run_scenario(scenario: str, kind: str, folder: Path) -> None:
    disks: dict[str, type[Disk]] = {"mounted": Mounted, "pretended": Pretended}
    hosts = Hosts(folder)
    try:
        if scenario == "full_state" and kind == "mounted":
            Mounted(hosts.state)
        await SCENARIOS[scenario](hosts, disks[kind](hosts.archive))
    finally:
        hosts.close()


if __name__ == "__main__":
    asyncio.run(run_scenario(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
