"""On a long line, one file travels over several connections, which finish together."""

import asyncio
import heapq
from contextlib import closing, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.files.digests import MIB, RANGE_BYTES
from agent.files.listing import FileEntry
from agent.lane.limits import LaneLimits
from agent.pull.job_queue import BigFile
from agent.pull.ledger import Ledger, ledger_path
from agent.pull.shares import MIN_SHARE_BYTES, Shares
from infra.local.demo_files import write_random
from tests.support.hosts import Hosts
from tests.support.waiting import until

SIZE = 2 * RANGE_BYTES + 5 * MIB + 123
"""Bytes of a file of two ranges and a part of one."""


@pytest.fixture
def hosts(tmp_path):
    """Two hosts between which every line counts as long."""
    hosts = Hosts(tmp_path, lane_limits=LaneLimits(long_round_trip_s=0.0))
    yield hosts
    hosts.close()


def fetched(size: int, rates: list[int]) -> tuple[list[tuple[int, int]], list[float]]:
    """Return the parts that connections of these rates would fetch, and when each of them is done.

    The connections' clock is simulated. Each request costs a round trip of 0.1 s.
    """
    now, file = 0.0, BigFile(FileEntry("f", "big", size))
    shares = Shares(lambda: now)
    shares.divide(len(rates))
    free, parts, done = [(0.0, worker, 0) for worker in range(len(rates))], [], [0.0] * len(rates)
    while free:
        now, worker, before = heapq.heappop(free)
        if before:
            shares.end(worker, before)
            done[worker] = now
        if not file.exhausted:
            job = file.take(shares.begin(worker, file.bytes_left))
            parts.append((job.start, job.length))
            heapq.heappush(free, (now + 0.1 + job.length / rates[worker], worker, job.length))
    return parts, done


@given(
    size=st.integers(1, 5 * RANGE_BYTES),
    rates=st.lists(st.integers(MIB // 4, 100 * MIB), min_size=1, max_size=16),
)
def test_every_byte_is_fetched_once_and_no_part_crosses_a_range(size, rates):
    parts, _ = fetched(size, rates)
    end = 0
    for start, length in sorted(parts):
        assert (start, length > 0) == (end, True)
        assert start // RANGE_BYTES == (start + length - 1) // RANGE_BYTES
        end = start + length
    assert end == size


@given(slow=st.integers(MIB // 2, 3 * MIB), size=st.integers(64 * MIB, 512 * MIB))
def test_a_slow_connection_does_not_keep_the_others_waiting(slow, size):
    """One of eight has a fraction of the others' rate: at the end it has hardly more to do than they."""
    _, done = fetched(size, [3 * MIB] * 7 + [slow])
    assert max(done) - min(done) < 0.5 + 3 * MIN_SHARE_BYTES / slow


def test_ten_mebibytes_are_divided_evenly_at_first():
    parts, _ = fetched(10 * MIB, [3 * MIB] * 8)
    assert len(parts) == 8
    assert {length for _, length in parts} == {10 * MIB // 8}


def test_a_near_line_gets_whole_ranges():
    shares = Shares()
    assert shares.begin(1, 100) == RANGE_BYTES


@pytest.mark.parametrize("size", [2 * MIB, SIZE])
async def test_a_file_arrives_in_parts_with_the_digest_of_the_whole(hosts, size):
    write_random(hosts.data / "big", size)
    await hosts.move(hosts.order("/data/big", "/archive/big"))
    assert (hosts.archive / "big").read_bytes() == (hosts.data / "big").read_bytes()
    assert hosts.progress.bytes_done == size


async def test_parts_that_have_arrived_are_not_sent_again_whatever_is_missing_between_them(hosts):
    write_random(hosts.data / "big", SIZE)
    order = hosts.order("/data/big", "/archive/big", streams=4)
    with hosts.proxy.held_after(SIZE // 2):
        moving = hosts.begin(order)
        await until(lambda: hosts.proxy.is_held)
        moving.cancel()
        with suppress(asyncio.CancelledError):
            await moving
    with closing(Ledger(ledger_path(hosts.state, order.hop_id))) as ledger:
        arrived = sum(piece.length for piece in ledger.pieces("").values())
    assert arrived
    passed = hosts.proxy.passed

    await hosts.move(order.model_copy(update={"attempt": 2}))

    assert (hosts.archive / "big").read_bytes() == (hosts.data / "big").read_bytes()
    assert hosts.proxy.passed - passed < SIZE - arrived + MIB
    assert hosts.progress.bytes_done == SIZE
