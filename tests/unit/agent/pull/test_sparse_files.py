"""Holes of sparse files are not transferred: counted on the wire and compared at the destination."""

import ctypes
import errno
import os
import random
import struct
from pathlib import Path

import pytest
import xxhash

from agent.files import disk
from agent.files.digests import DIGEST_BYTES, RANGE_BYTES, digest_of, range_digest, update_with_zeros
from agent.files.paths import PARTIAL_PREFIX
from agent.lane import request_handler, sparse_ranges, wire
from infra.local.demo_files import MIB
from tests.unit.agent.lane.test_lane_server import HOP, LaneTestClient, file_fields

GIB = 1024 * MIB


def sparse(path: Path, size: int, *islands: tuple[int, int]) -> None:
    """Create a sparse file of `size` bytes with data only in the given parts (start, length)."""
    with path.open("wb") as file:
        file.truncate(size)
        for start, length in islands:
            file.seek(start)
            file.write(os.urandom(length))


def same(one: Path, other: Path) -> bool:
    """Compare by the digests of ranges, since comparing a GiB takes long."""
    with one.open("rb") as a, other.open("rb") as b:
        size = one.stat().st_size
        ends = [range_digest(file.fileno(), 0, size) for file in (a, b)]
    return other.stat().st_size == size and ends[0] == ends[1]


def allocated_bytes(path: Path) -> int:
    return path.stat().st_blocks * 512


@pytest.mark.parametrize("way", ["lane", "local"])
async def test_sparse_file_sends_only_its_data(hosts, way):
    sparse(hosts.data / "disk.img", GIB, (0, MIB // 2), (700 * MIB + 5, MIB // 2))
    order = (hosts.order if way == "lane" else hosts.local)("/data/disk.img", "/archive/disk.img")

    await hosts.move(order)

    assert same(hosts.data / "disk.img", hosts.archive / "disk.img")
    assert hosts.proxy.passed < 1.2 * MIB
    assert allocated_bytes(hosts.archive / "disk.img") < 1.2 * MIB
    assert hosts.progress.bytes_done == hosts.progress.bytes_total == GIB
    assert hosts.progress_counter.bytes_moved < 1.2 * MIB


async def test_file_that_is_one_hole(hosts):
    sparse(hosts.data / "hole", 3 * RANGE_BYTES + 7)
    await hosts.move(hosts.order("/data/hole", "/archive/hole"))
    assert same(hosts.data / "hole", hosts.archive / "hole")
    assert hosts.proxy.passed < 20_000
    assert allocated_bytes(hosts.archive / "hole") == 0


async def test_resume_sends_only_the_rest(hosts):
    size = 6 * RANGE_BYTES
    islands = [(number * RANGE_BYTES + 5 * MIB, 4 * MIB) for number in range(6)]
    sparse(hosts.data / "img", size, *islands)
    order = hosts.order("/data/img", "/archive/img", streams=1)
    await hosts.moves_until(order, lambda progress: progress.bytes_done > 3 * RANGE_BYTES)
    [half_done] = [path for path in hosts.archive.iterdir() if path.name.startswith(PARTIAL_PREFIX)]
    with half_done.open("r+b") as file:  # what was under way may have left anything where a hole is to be
        file.seek(5 * RANGE_BYTES)
        file.write(os.urandom(MIB))
    passed = hosts.proxy.passed

    await hosts.move(order)

    assert same(hosts.data / "img", hosts.archive / "img")
    assert hosts.proxy.passed - passed < 3.2 * 4 * MIB
    assert allocated_bytes(hosts.archive / "img") < 6 * 4.1 * MIB
    assert hosts.progress.bytes_done == size


async def test_broken_connection_keeps_the_content_right(hosts):
    random.seed(7)
    islands = [(random.randrange(4 * RANGE_BYTES), random.randrange(1, MIB)) for _ in range(60)]
    sparse(hosts.data / "img", 5 * RANGE_BYTES, *islands)
    hosts.proxy.cut_every = 3 * MIB
    await hosts.move(hosts.order("/data/img", "/archive/img", streams=2))
    assert same(hosts.data / "img", hosts.archive / "img")


async def test_damage_between_holes_is_repaired(hosts, monkeypatch):
    sparse(hosts.data / "img", 2 * RANGE_BYTES, (MIB, MIB))
    really, left = request_handler._send, [2]

    def lying(*args):
        left[0] -= 1
        digest = really(*args)
        return bytes(DIGEST_BYTES) if left[0] >= 0 else digest

    monkeypatch.setattr(request_handler, "_send", lying)
    await hosts.move(hosts.order("/data/img", "/archive/img"))
    assert same(hosts.data / "img", hosts.archive / "img")


async def test_source_without_hole_support_sends_zeros(hosts, monkeypatch):
    sparse(hosts.data / "img", RANGE_BYTES, (MIB, MIB))
    really = request_handler.requests.parse_range

    def older(body):
        body.pop("holes")
        return really(body)

    monkeypatch.setattr(request_handler.requests, "parse_range", older)
    await hosts.move(hosts.order("/data/img", "/archive/img"))
    assert hosts.proxy.passed > RANGE_BYTES
    assert same(hosts.data / "img", hosts.archive / "img")
    assert allocated_bytes(hosts.archive / "img") < 2.1 * MIB


def test_parts_of_a_range(hosts):
    sparse(hosts.data / "img", 8 * MIB, (2 * MIB, 4096), (6 * MIB, 8192))
    hosts.serve(HOP, "/data/")
    asked = {**file_fields(hosts.data / "img", "img"), "start": MIB, "length": 6 * MIB, "holes": True}
    with LaneTestClient(hosts) as talk:
        status, answer = talk.request("range", asked)
    raw = (hosts.data / "img").read_bytes()
    one, two = raw[2 * MIB : 2 * MIB + 4096], raw[6 * MIB : 6 * MIB + 8192]
    told = struct.pack(">IQQQQ", 2, 2 * MIB, 4096, 6 * MIB, 8192)
    assert (status, answer) == (200, told + one + two + digest_of(raw[MIB : 7 * MIB]))


@pytest.mark.parametrize(
    "parts",
    [
        [(0, 0)],
        [(0, 10), (5, 10)],
        [(50, 10), (0, 10)],
        [(90, 20)],
        [(2**63, 2**63)],
        [(5, 2**64 - 5)],
    ],
)
def test_parts_outside_the_range_are_rejected(parts):
    raw = sparse_ranges.encode(parts)
    with pytest.raises(wire.ProtocolError):
        sparse_ranges.decode(taking(raw), 0, 100)


def test_too_many_parts_are_rejected():
    with pytest.raises(wire.ProtocolError):
        sparse_ranges.decode(taking(struct.pack(">I", 2**32 - 1)), 0, RANGE_BYTES)
    with pytest.raises(ConnectionResetError):
        sparse_ranges.decode(taking(struct.pack(">I", 3) + bytes(16)), 0, RANGE_BYTES)


def taking(raw: bytes):
    left = [raw]

    def take(size: int) -> bytes:
        data, left[0] = left[0][:size], left[0][size:]
        return data

    return take


def test_disk_without_hole_support_is_all_data(tmp_path, monkeypatch):
    sparse(tmp_path / "img", MIB)
    descriptor = os.open(tmp_path / "img", os.O_RDWR)
    try:
        assert disk.data_ranges(descriptor, 0, MIB) == []
        assert disk.data_ranges(descriptor, 0, 0) == []
        with monkeypatch.context() as patch:
            patch.setattr(disk.os, "lseek", refused)
            assert disk.data_ranges(descriptor, 5, 10) == [(5, 10)]
            patch.setattr(disk._libc, "fallocate", unsupported)
            os.pwrite(descriptor, b"x" * 100, 0)
            disk.punch_hole(descriptor, 10, 50)
        assert os.pread(descriptor, 100, 0) == b"x" * 10 + bytes(50) + b"x" * 40
    finally:
        os.close(descriptor)


def refused(*_: object) -> int:
    raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))


def unsupported(*_: object) -> int:
    ctypes.set_errno(errno.EOPNOTSUPP)
    return -1


def test_digest_of_zeros_equals_that_of_a_hole():
    for count in (0, 1, MIB, 3 * MIB + 1):
        state = xxhash.xxh3_128()
        update_with_zeros(state, count)
        assert state.digest() == digest_of(bytes(count))
