"""A user who may write in a root swaps files for links out of it, between the check and the open.

Nothing outside the root is read or written.
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from agent.errors import HopError
from agent.files import disk
from infra.local.demo_files import MIB, write_random
from tests.support.hosts import Hosts

SECRET = b"a secret of somebody else's"
ROUNDS = 10
AT_CWD, EXCHANGE = -100, 2
"""renameat2(2)."""


@contextmanager
def swapping(act: Callable[[], None]) -> Iterator[None]:
    """Swap repeatedly while the context runs."""
    over = threading.Event()

    def swap() -> None:
        while not over.is_set():
            act()

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def exchange(place: Path, other: Path) -> Callable[[], None]:
    """Exchange two names atomically."""
    one, two = os.fsencode(place), os.fsencode(other)

    def act() -> None:
        assert disk._renameat2(AT_CWD, one, AT_CWD, two, EXCHANGE) == 0

    return act


def everything_in(folder: Path) -> bytes:
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return b"".join(path.read_bytes() for path in files)


@pytest.mark.parametrize("size", [len(SECRET), MIB + len(SECRET)])
@pytest.mark.parametrize("symlinks", ["keep", "follow"])
async def test_swapped_source_file_leaks_nothing(hosts, tmp_path, size, symlinks):
    """The target has the same size and time, so that these do not reveal the swap."""
    file, secret = hosts.data / "t/file", tmp_path / "outside"
    write_random(file, size)
    secret.write_bytes((SECRET * (size // len(SECRET) + 1))[:size])
    about = file.stat()
    os.utime(secret, ns=(about.st_atime_ns, about.st_mtime_ns))
    (hosts.data / "link").symlink_to(secret)
    with swapping(exchange(file, hosts.data / "link")):
        for number in range(ROUNDS):
            await moves_or_not(hosts, f"/archive/{number}/", symlinks=symlinks)
    assert SECRET not in everything_in(hosts.archive)


async def test_swapped_source_directory_leaks_nothing(hosts, tmp_path):
    write_random(hosts.data / "t/d/file", len(SECRET))
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/file").write_bytes(SECRET)
    about = (hosts.data / "t/d/file").stat()
    os.utime(tmp_path / "outside/file", ns=(about.st_atime_ns, about.st_mtime_ns))
    (hosts.data / "link").symlink_to(tmp_path / "outside")
    with swapping(exchange(hosts.data / "t/d", hosts.data / "link")):
        for number in range(ROUNDS):
            await moves_or_not(hosts, f"/archive/{number}/")
    assert SECRET not in everything_in(hosts.archive)


@pytest.mark.parametrize("size", [1000, MIB + 1])
@pytest.mark.parametrize("outside", ["outside", "archive/beside"])
async def test_swapped_destination_directory_writes_nothing_outside(hosts, tmp_path, size, outside):
    """Targets: outside the root, and beside the destination."""
    write_random(hosts.data / "t/d/file", size)
    (tmp_path / outside).mkdir()
    (hosts.archive / "t/d").mkdir(parents=True)
    (hosts.archive / "link").symlink_to(tmp_path / outside)
    with swapping(exchange(hosts.archive / "t/d", hosts.archive / "link")):
        for _ in range(ROUNDS):
            await moves_or_not(hosts, "/archive/t/")
            assert list((tmp_path / outside).iterdir()) == []
            for path in hosts.archive.rglob("file"):
                path.unlink(missing_ok=True)


async def moves_or_not(hosts: Hosts, destination: str, **options: str) -> None:
    """Let the hop fail with a reason, since the file is swapped all the time."""
    order = hosts.order("/data/t/", destination, **options)
    with suppress(HopError):
        await hosts.move(order, no_progress_timeout_s=0.5)
    hosts.release(order)
