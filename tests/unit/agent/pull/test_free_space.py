"""A destination with little or no free space: real file systems, each in a mount namespace of its own."""

import asyncio
import ctypes
import errno
import os
import subprocess
from contextlib import nullcontext

import pytest

from agent.files import disk
from agent.pull import destination
from agent.pull.free_space import SLACK_BYTES, SpaceCheck
from events.progress import SpaceShortage
from infra.local.demo_files import MIB, write_random
from tests.support.hosts import Hosts
from tests.support.namespaces import IN_NAMESPACES, run_module
from tests.support.small_disk import SCENARIOS
from tests.support.waiting import HANG_TIMEOUT_S


def is_allowed() -> bool:
    try:
        return (
            subprocess.run([*IN_NAMESPACES, "mount", "-t", "tmpfs", "none", "/mnt"], check=False).returncode
            == 0
        )
    except FileNotFoundError:
        return False


@pytest.fixture(scope="module", params=["mounted", "pretended"])
def kind(request):
    return request.param if is_allowed() else "pretended"


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_on_a_small_disk(tmp_path, scenario, kind):
    run_module("tests.support.small_disk", scenario, kind, tmp_path, apart=kind == "mounted")


def test_shortage_is_reported_at_once_and_withdrawn():
    told: list[SpaceShortage | None] = []
    space = SpaceCheck(100, told.append)
    space.reserve(90)
    space.reserve(10 + SLACK_BYTES)
    assert told == [None]
    space.reserve(1)
    assert told[-1] == SpaceShortage(wanted=101 + SLACK_BYTES, free=100)
    space.reserve(-50)
    assert told[-1] is None


async def test_space_is_reserved_before_the_first_byte(tmp_path, monkeypatch):
    """Space is reserved for a dense file, not for a sparse one, which may need none."""
    hosts = Hosts(tmp_path)
    reserved = []

    def full(descriptor: int, size: int) -> None:
        reserved.append(size)
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setattr(destination.disk, "preallocate", full)
    try:
        write_random(hosts.data / "dense", 2 * MIB)
        with (hosts.data / "sparse").open("wb") as file:
            file.truncate(3 * MIB)
        await hosts.move(hosts.order("/data/sparse", "/archive/sparse"))
        assert reserved == []
        passed = hosts.proxy.passed
        await hosts.moves_until(hosts.order("/data/dense", "/archive/dense"), lambda _: bool(reserved))
        assert reserved[0] == 2 * MIB
        assert hosts.proxy.passed - passed < MIB
    finally:
        hosts.close()


def test_start_writeback_changes_nothing_and_never_fails(tmp_path):
    with (tmp_path / "film.mov").open("w+b") as film:
        film.write(b"x" * MIB)
        film.flush()
        disk.start_writeback(film.fileno(), 0, MIB)
        disk.start_writeback(film.fileno(), 5 * MIB, MIB)
        assert (tmp_path / "film.mov").read_bytes() == b"x" * MIB
    reading, writing = os.pipe()
    disk.start_writeback(writing, 0, 1)
    for descriptor in (reading, writing):
        os.close(descriptor)


async def test_disk_that_does_not_tell_its_size_is_not_taken_for_a_full_one(tmp_path, monkeypatch):
    """Many FUSE file systems answer statfs with zeros: a hop waited for space there for ever."""
    known = os.fstatvfs

    def unknown(descriptor: int) -> os.statvfs_result:
        found = known(descriptor)
        return os.statvfs_result([found.f_bsize, found.f_frsize, 0, 0, 0, 0, 0, 0, 0, found.f_namemax])

    def refuse(*_: object) -> int:
        ctypes.set_errno(errno.EOPNOTSUPP)
        return -1

    monkeypatch.setattr(disk._libc, "fallocate", refuse)
    monkeypatch.setattr(os, "fstatvfs", unknown)
    hosts = Hosts(tmp_path)
    try:
        write_random(hosts.data / "big", 2 * MIB)
        async with asyncio.timeout(HANG_TIMEOUT_S):
            await hosts.move(hosts.order("/data/", "/archive/"))
        assert (hosts.archive / "big").read_bytes() == (hosts.data / "big").read_bytes()
        assert hosts.observer.wait_problems == []
        assert hosts.progress.space_shortage is None
    finally:
        hosts.close()


def test_preallocate_reserves_blocks(tmp_path):
    with (tmp_path / "file").open("wb") as file:
        disk.preallocate(file.fileno(), 8 * MIB)
        found = os.fstat(file.fileno())
    assert (found.st_size, found.st_blocks * 512) >= (8 * MIB, 8 * MIB)


@pytest.mark.parametrize(("free", "fits"), [(MIB, True), (MIB - 1, False)])
def test_preallocate_fallback_counts_existing_bytes(tmp_path, monkeypatch, free, fits):
    """A partial file can be completed although its whole length would not fit a second time."""

    def unsupported(*_: object) -> int:
        ctypes.set_errno(errno.EOPNOTSUPP)
        return -1

    monkeypatch.setattr(disk._libc, "fallocate", unsupported)
    monkeypatch.setattr(disk, "free_bytes", lambda _: free)
    with (tmp_path / "half-done").open("wb") as file:
        file.write(b"x" * (3 * MIB))
        file.flush()
        os.fsync(file.fileno())
        with nullcontext() if fits else pytest.raises(OSError, match="No space"):
            disk.preallocate(file.fileno(), 4 * MIB)
