"""Small files are written to unnamed temporary files where that is fast and allowed."""

import asyncio
import ctypes
import errno
import os
import struct
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from agent.files import tmpfile
from agent.files.digests import digest_of
from agent.files.listing import FileEntry
from agent.files.paths import PARTIAL_PREFIX
from agent.pull.destination import Destination
from agent.pull.job_queue import BigFile
from agent.pull.ledger import Ledger, ledger_path
from infra.local.demo_files import MIB, differences, listing, write_random

LIBC = ctypes.CDLL(None)
MADE, CLOSED_AFTER_WRITING, MOVED_HERE = 0x100, 0x8, 0x80
EVENT = struct.Struct("iIII")
USER, GROUP, OTHERS = 0x1, 0x4, 0x20
ONLY_MINE = struct.pack("<I" + 3 * "HHI", 2, USER, 7, 2**32 - 1, GROUP, 0, 2**32 - 1, OTHERS, 0, 2**32 - 1)
"""A default ACL that gives new files no access for others: acl(5), in the format of Linux."""
OVERRIDE, SEARCH = 1 << 1, 1 << 2
"""Bits of capabilities(7) that permit reading and writing against file modes."""


@contextmanager
def watched(folder):
    """Yield the inotify(7) events by file name."""
    events: dict[str, list[int]] = {}
    watch = LIBC.inotify_init1(os.O_NONBLOCK)
    LIBC.inotify_add_watch(watch, os.fsencode(folder), MADE | CLOSED_AFTER_WRITING | MOVED_HERE)
    try:
        yield events
        told = os.read(watch, 65536)
    finally:
        os.close(watch)
    while told:
        _, mask, _, length = EVENT.unpack_from(told)
        name = told[EVENT.size : EVENT.size + length].rstrip(b"\0").decode()
        events.setdefault(name, []).append(mask)
        told = told[EVENT.size + length :]


def partial_name(order, name):
    """Return the name of the partial file of this file."""
    return f"{PARTIAL_PREFIX}{order.hop_id}-{digest_of(os.fsencode(name))[:8].hex()}"


def modes(folder):
    return {path.relative_to(folder): oct(path.stat().st_mode) for path in folder.rglob("*")}


def drop_capabilities():
    """Make this thread obey file modes, even if it runs as root."""
    header, sets = struct.pack("Ii", 0x20080522, 0), ctypes.create_string_buffer(24)
    assert LIBC.capget(header, sets) == 0
    effective, *others = struct.unpack("6I", sets.raw)
    assert LIBC.capset(header, struct.pack("6I", effective & ~(OVERRIDE | SEARCH), *others)) == 0


class Libc:
    """libc whose `linkat` fails with a given errno."""

    def __init__(self, number):
        self._number = number

    def __getattr__(self, name):
        return getattr(LIBC, name)

    def linkat(self, *_):
        ctypes.set_errno(self._number)
        return -1


class TestEveryFileSystem:
    @pytest.fixture(
        params=["a disk", "an older kernel", "a security module", "another file system"], autouse=True
    )
    def file_system(self, request, monkeypatch):
        match request.param:
            case "an older kernel":  # before 6.10, to all but root
                monkeypatch.setattr(tmpfile, "_libc", Libc(errno.ENOENT))
            case "a security module":
                monkeypatch.setattr(tmpfile, "_libc", Libc(errno.EACCES))
            case "another file system":
                monkeypatch.setattr(tmpfile, "is_faster", lambda _: False)

    async def test_new_replaced_and_read_only_files(self, hosts):
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

    async def test_modes_with_a_default_acl(self, hosts):
        for path, mode in {"a": 0o644, "in/b": 0o640, "in/c": 0o600}.items():
            write_random(hosts.data / "in" / path, 100)
            (hosts.data / "in" / path).chmod(mode)
        (hosts.archive / "in").mkdir()
        os.setxattr(hosts.archive / "in", "system.posix_acl_default", ONLY_MINE)

        await hosts.move(hosts.order("/data/in/", "/archive/in/"))

        assert modes(hosts.archive / "in") == modes(hosts.data / "in")

    async def test_partial_file_of_an_earlier_attempt_is_replaced(self, hosts):
        write_random(hosts.data / "in/a", 100)
        write_random(hosts.archive / "in/a", 50)
        order = hosts.order("/data/in/", "/archive/in/")
        (hosts.archive / "in" / partial_name(order, "a")).write_text("half of something")

        await hosts.move(order)

        assert listing(hosts.archive / "in") == listing(hosts.data / "in")

    async def test_watchers_get_an_event_for_each_complete_file(self, hosts):
        for name in ("new", "replaced", "read-only"):
            write_random(hosts.data / "in" / name, 100)
        (hosts.data / "in/read-only").chmod(0o444)
        write_random(hosts.archive / "in/replaced", 50)

        with watched(hosts.archive / "in") as events:
            await hosts.move(hosts.order("/data/in/", "/archive/in/"))

        assert events["new"] in ([MADE, CLOSED_AFTER_WRITING], [MOVED_HERE])
        assert events["replaced"] == events["read-only"] == [MOVED_HERE]


class TestUnnamedTemporaryFile:
    @pytest.fixture
    def folder(self, tmp_path):
        descriptor = os.open(tmp_path, os.O_RDONLY)
        yield descriptor
        os.close(descriptor)

    def test_disappears_if_it_is_not_completed(self, tmp_path, folder):
        def fill(_):
            raise OSError(errno.ENOSPC, "full")

        with pytest.raises(OSError, match="full"):
            tmpfile.write(folder, "new", lambda: "other", 0o600, fill)
        assert list(tmp_path.iterdir()) == []

    def test_does_not_replace_an_existing_name(self, tmp_path, folder):
        (tmp_path / "taken").symlink_to("nowhere")
        written = [
            tmpfile.write(
                folder, "taken", lambda: "free", 0o600, lambda descriptor: os.write(descriptor, b"a")
            )
            for _ in range(2)
        ]
        assert written == ["free", None]
        assert (tmp_path / "taken").is_symlink()
        assert (tmp_path / "free").read_bytes() == b"a"
        assert (tmp_path / "free").stat().st_nlink == 1

    def test_is_refused_without_file_system_support(self):
        descriptor = os.open("/sys", os.O_RDONLY)
        assert not tmpfile.is_faster(descriptor)
        assert tmpfile.write(descriptor, "new", lambda: "other", 0o600, lambda _: None) is None
        os.close(descriptor)


async def test_partial_file_of_a_file_that_became_small_is_removed(hosts):
    """The agent was killed in the middle of a long log, which was rotated since."""
    write_random(hosts.data / "in/log", 100)
    order = hosts.order("/data/in/", "/archive/in/")
    write_random(hosts.archive / "in" / partial_name(order, "log"), MIB)
    with closing(Ledger(ledger_path(hosts.state, order.hop_id))) as ledger:
        ledger.begin("/archive/in/")
        ledger.begin_files([FileEntry("f", "log", 5 * MIB, 1)])

    await hosts.move(order)

    assert listing(hosts.archive / "in") == listing(hosts.data / "in")


@pytest.mark.parametrize("size", [100, 2 * MIB])
async def test_kill_after_a_file_became_read_only(hosts, size):
    order, entry = hosts.order("/data/in/", "/archive/in/"), FileEntry("f", "file", size, 1, 0o444)
    partial = hosts.archive / "in" / partial_name(order, "file")
    write_random(partial, size)
    partial.chmod(0o444)

    def resume():
        drop_capabilities()
        tree = hosts.roots.tree("/archive/in", writing=True)
        with closing(Ledger(ledger_path(hosts.state, order.hop_id))) as ledger:
            ledger.begin_files([entry])
            ledger.start_pass()
            with closing(Destination(tree, order.hop_id, order.options, ledger)) as destination:
                if size == 100:
                    destination.write_small(entry, memoryview(bytes(size)))
                else:
                    file = BigFile(entry)
                    destination.open(file)
                    destination.complete(file, b"")
                    file.close()

    with ThreadPoolExecutor(1) as thread:
        await asyncio.wrap_future(thread.submit(resume))
    assert modes(hosts.archive / "in") == {Path("file"): "0o100444"}
