"""How a small file comes to stand: without a name before it is whole, where the file system can."""

import ctypes
import errno
import os
import struct
from contextlib import contextmanager

import pytest

from agent import disk
from agent.digests import digest_of
from agent.movers.landing import PREFIX
from infra.local.material import differences, listing, write_random
from tests.unit.agent.hosts import Hosts

LIBC = ctypes.CDLL(None)
MADE, CLOSED_AFTER_WRITING, MOVED_HERE = 0x100, 0x8, 0x80
EVENT = struct.Struct("iIII")
USER, GROUP, OTHERS = 0x1, 0x4, 0x20
ONLY_MINE = struct.pack("<I" + 3 * "HHI", 2, USER, 7, 2**32 - 1, GROUP, 0, 2**32 - 1, OTHERS, 0, 2**32 - 1)
"""What is made in a directory with this list is nobody's business: acl(5), as Linux keeps it."""


@pytest.fixture
def hosts(tmp_path):
    hosts = Hosts(tmp_path)
    yield hosts
    hosts.close()


@contextmanager
def watched(folder):
    """Told of each name: what was heard of it, by inotify(7)."""
    heard: dict[str, list[int]] = {}
    watch = LIBC.inotify_init1(os.O_NONBLOCK)
    LIBC.inotify_add_watch(watch, os.fsencode(folder), MADE | CLOSED_AFTER_WRITING | MOVED_HERE)
    try:
        yield heard
        told = os.read(watch, 65536)
    finally:
        os.close(watch)
    while told:
        _, mask, _, length = EVENT.unpack_from(told)
        name = told[EVENT.size : EVENT.size + length].rstrip(b"\0").decode()
        heard.setdefault(name, []).append(mask)
        told = told[EVENT.size + length :]


def modes(folder):
    return {path.relative_to(folder): oct(path.stat().st_mode) for path in folder.rglob("*")}


def no_unnamed(_folder, _mode):
    return None


def no_link(*_):
    """What Linux says before 6.10 to all but root."""
    ctypes.set_errno(errno.ENOENT)
    return -1


class TestOnAnyFileSystem:
    @pytest.fixture(params=["unnamed", "unnamed, an older kernel", "without unnamed files"], autouse=True)
    def file_system(self, request, monkeypatch):
        match request.param:
            case "unnamed, an older kernel":
                monkeypatch.setattr(
                    disk, "_libc", type("Libc", (), {"linkat": no_link, "syncfs": LIBC.syncfs})
                )
            case "without unnamed files":
                monkeypatch.setattr(disk, "open_unnamed", no_unnamed)

    async def test_new_ones_replaced_ones_and_modes_that_forbid_to_write_arrive(self, hosts):
        for number in range(60):
            write_random(hosts.data / f"in/{number}", 100 * number)
            (hosts.data / f"in/{number}").chmod([0o644, 0o444, 0o777, 0o600, 0o000][number % 5])
        for number in range(0, 60, 2):
            write_random(hosts.archive / f"in/{number}", 50)
        before = (hosts.archive / "in/0").stat().st_ino

        await hosts.move(hosts.order("/data/in/", "/archive/in/"))

        assert differences(listing(hosts.data / "in"), listing(hosts.archive / "in")) == []
        assert modes(hosts.archive / "in") == modes(hosts.data / "in")
        assert (hosts.archive / "in/0").stat().st_ino != before

    async def test_modes_arrive_where_directories_lend_others(self, hosts):
        for path, mode in {"a": 0o644, "in/b": 0o640, "in/c": 0o600}.items():
            write_random(hosts.data / "in" / path, 100)
            (hosts.data / "in" / path).chmod(mode)
        (hosts.archive / "in").mkdir()
        os.setxattr(hosts.archive / "in", "system.posix_acl_default", ONLY_MINE)

        await hosts.move(hosts.order("/data/in/", "/archive/in/"))

        assert modes(hosts.archive / "in") == modes(hosts.data / "in")

    async def test_what_an_earlier_attempt_left_beside_is_replaced(self, hosts):
        write_random(hosts.data / "in/a", 100)
        write_random(hosts.archive / "in/a", 50)
        order = hosts.order("/data/in/", "/archive/in/")
        mark = digest_of(b"a")[:8].hex()
        (hosts.archive / f"in/{PREFIX}{order.hop_id}-{mark}").write_text("half of something")

        await hosts.move(order)

        assert differences(listing(hosts.data / "in"), listing(hosts.archive / "in")) == []

    async def test_whoever_watches_the_directory_hears_when_a_file_is_whole(self, hosts):
        write_random(hosts.data / "in/new", 100)
        write_random(hosts.data / "in/replaced", 100)
        write_random(hosts.archive / "in/replaced", 50)

        with watched(hosts.archive / "in") as heard:
            await hosts.move(hosts.order("/data/in/", "/archive/in/"))

        assert heard["new"] in ([MADE, CLOSED_AFTER_WRITING], [MOVED_HERE])
        assert heard["replaced"] == [MOVED_HERE]


class TestAFileWithoutAName:
    @pytest.fixture
    def folder(self, tmp_path):
        descriptor = os.open(tmp_path, os.O_RDONLY)
        yield descriptor
        os.close(descriptor)

    def test_is_gone_when_it_is_closed(self, tmp_path, folder):
        os.close(disk.open_unnamed(folder, 0o600))
        assert list(tmp_path.iterdir()) == []

    def test_does_not_take_a_name_that_is_taken(self, tmp_path, folder):
        (tmp_path / "taken").symlink_to("nowhere")
        descriptor = disk.open_unnamed(folder, 0o600)
        assert not disk.name_new(descriptor, "taken", folder)
        assert disk.name_new(descriptor, "free", folder)
        os.close(descriptor)
        assert (tmp_path / "taken").is_symlink()
        assert (tmp_path / "free").stat().st_nlink == 1

    def test_cannot_be_had_where_the_file_system_has_none(self):
        descriptor = os.open("/sys", os.O_RDONLY)
        assert disk.open_unnamed(descriptor, 0o600) is None
        os.close(descriptor)
