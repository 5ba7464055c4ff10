"""Test pulls from S3 against a small real server: what they request, and what becomes of odd answers."""

import asyncio
import os
import random
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from contextlib import AbstractAsyncContextManager, closing
from datetime import UTC, datetime
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config import RootConfig
from agent.errors import HopError
from agent.files.digests import MAX_PACKED_FILE_BYTES, MIB, RANGE_BYTES
from agent.files.roots import Roots
from agent.identity import lane_certificate
from agent.movers import mover_for
from agent.pull.ledger import ledger_path
from agent.pull.mover import HostResources
from agent.pull.progress import ProgressCounter
from agent.s3 import client as client_module
from agent.s3.checksums import CRC32, CRC32C, CRC64NVME
from agent.s3.range_checksums import RangeChecksums
from events.commands import Move, S3Route
from events.locations import AgentLocation, S3Location
from events.options import Options
from tests.support.held_progress import Reached, held, pause
from tests.support.hosts import TRANSFER, RecordingObserver
from tests.support.issued_keys import IssuedKeys
from tests.support.s3_front import EXPIRED, ErrorAnswer
from tests.support.s3_server import ReceivedRequest, S3Server, StoredObject
from tests.support.waiting import HANG_TIMEOUT_S, until

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


class S3SourceHost:
    """A host with /data that pulls from a bucket."""

    def __init__(self, folder: Path, server: S3Server) -> None:
        self.server, self.data, self.state = server, folder / "data", folder / "agent"
        for each in (self.data, self.state):
            each.mkdir()
        self.identity = lane_certificate.ensure(self.state)
        self.progress = ProgressCounter()
        self.issued = IssuedKeys()

    def order(self, prefix: str, *selection: str, to: str = "/data/", **options) -> Move:
        return Move(
            transfer_id=TRANSFER,
            hop_id=f"{TRANSFER}-0",
            attempt=1,
            source=S3Location(bucket="media", prefix=prefix),
            destination=AgentLocation(agent_id="server-b", path=to),
            selection=selection or None,
            route=S3Route(region="eu-central-1", endpoint=self.server.url),
            options=Options(**options),
        )

    async def pull(
        self, prefix: str, *selection: str, progress: ProgressCounter | None = None, **options
    ) -> None:
        move = self.order(prefix, *selection, **options)
        self.progress = progress or ProgressCounter()
        roots = Roots([RootConfig(path="/data", access="rw", directory=self.data)])
        resources = HostResources(roots, self.state)
        mover = mover_for(move, host=resources, identities=self.identity, credentials=self.issued)
        await mover.move(move, self.progress, RecordingObserver())

    def held(self, prefix: str, reached: Reached) -> AbstractAsyncContextManager[asyncio.Task[None]]:
        """Run the pull, held once `reached` until the end of the block, and return its task."""
        return held(lambda progress: self.pull(prefix, progress=progress), reached)

    def arrived(self) -> dict[str, bytes]:
        files = (path for path in self.data.rglob("*") if path.is_file())
        return {str(path.relative_to(self.data)): path.read_bytes() for path in files}

    def requests(self, method: str) -> list[str]:
        return [one.key for one in self.server.requests if one.method == method]


@pytest.fixture
def host(tmp_path, monkeypatch):
    monkeypatch.setattr(client_module, "_delay_s", lambda _failures: 0.001)
    with S3Server() as server:
        yield S3SourceHost(tmp_path, server)


def put(host: S3SourceHost, key: str, data: bytes) -> None:
    host.server.objects[key] = StoredObject(data, modified=LONG_AGO)


async def test_each_small_object_costs_one_request_and_an_empty_one_none(host):
    for number in range(40):
        put(host, f"in/{number}", b"x" * number)
    await host.pull("in/")
    assert host.arrived() == {f"{number}": b"x" * number for number in range(40)}
    assert sorted(host.requests("GET")) == sorted(["", *(f"in/{number}" for number in range(1, 40))])
    assert host.requests("HEAD") == []


async def test_selected_objects_are_looked_up_without_a_list_of_the_others(host):
    for number in range(100):
        put(host, f"in/{number}", b"x")
    await host.pull("in/", "3", "70")
    assert set(host.arrived()) == {"3", "70"}
    assert sorted(host.requests("HEAD")) == sorted(host.requests("GET")) == ["in/3", "in/70"]


async def test_a_prefix_that_ends_in_two_slashes_is_another_than_with_one(host):
    put(host, "in//x", b"this")
    put(host, "in/x", b"another's")
    await host.pull("in//")
    assert host.arrived() == {"x": b"this"}


async def test_directories_that_the_console_of_aws_has_made_are_not_objects(host):
    for marker in ("in/", "in/sub/", "in/sub/empty/"):
        put(host, marker, b"")
    put(host, "in/sub/x", b"x")
    await host.pull("in/")
    assert host.arrived() == {"sub/x": b"x"}


@pytest.mark.parametrize("size", [5, RANGE_BYTES + 5])
async def test_an_object_that_is_replaced_after_the_list_arrives_in_one_version(host, size):
    """Same size, same second: only its ETag is another."""
    put(host, "in/a", b"1" * size)

    def answer(request: ReceivedRequest) -> None:
        if request.key == "in/a" and request.method == "GET" and len(host.requests("GET")) == 2:
            put(host, "in/a", b"2" * size)

    host.server.answer = answer
    await host.pull("in/")
    assert host.arrived() == {"a": b"2" * size}


async def test_an_object_that_vanishes_after_the_list_is_named_and_the_rest_arrives(host):
    put(host, "in/a", b"1")
    put(host, "in/b", b"2")

    def answer(request: ReceivedRequest) -> None:
        if request.key == "in/a":
            host.server.objects.pop("in/a", None)

    host.server.answer = answer
    with pytest.raises(HopError) as caught:
        await host.pull("in/")
    assert [(one.code, one.path) for one in caught.value.failures] == [("source-missing", "s3://media/in/a")]
    assert host.arrived() == {"b": b"2"}


@pytest.mark.parametrize("size", [5000, 2 * RANGE_BYTES])
async def test_an_answer_that_is_cut_is_asked_for_again(host, size):
    put(host, "in/a", b"1" * size)
    cut = iter([b"HTTP/1.1 200 OK\r\netag: x\r\ncontent-len", b"HTTP/1.1 2", b""])
    host.server.answer = lambda request: next(cut, None) if request.key else None
    await host.pull("in/")
    assert host.arrived() == {"a": b"1" * size}


async def test_a_pull_that_is_killed_at_its_half_asks_for_at_most_55_percent_again(host, tmp_path):
    """A host loses its power within a long download; what it has written stays there."""
    size = 200 * MIB
    data = random.Random(1).randbytes(MIB) * (size // MIB)
    host.server.objects["in/big"] = StoredObject(data, {"etag": '"one"'}, LONG_AGO)
    host.server.hold_at = size // 2
    for name in ("archive", "state", "c-keys"):
        (tmp_path / name).mkdir()
    lane_certificate.ensure(tmp_path / "c-keys")
    move = host.order("in/", to="/archive/")
    process = mover_process(tmp_path, move)

    try:  # each of seven streams may have read less than the MiB that is written at once
        await until(lambda: recorded(tmp_path, move) > size // 2 - 8 * MIB or process.poll() is not None)
    finally:
        process.kill()
        process.wait()
    await until(lambda: not host.server.connection_count)
    host.server.hold_at = None
    host.server.requests.clear()

    process = mover_process(tmp_path, move)
    await until(lambda: process.poll() is not None)

    assert process.returncode == 0
    assert (tmp_path / "archive/big").read_bytes() == data
    ranges = [one.headers["range"] for one in host.server.requests if one.key and one.method == "GET"]
    ends = [one.removeprefix("bytes=").split("-") for one in ranges]
    asked = sum(int(last) - int(first) + 1 for first, last in ends)
    assert size * 0.4 < asked <= size * 0.55


def recorded(folder: Path, move: Move) -> int:
    """Return how many bytes of its file the mover has recorded in its ledger."""
    path = ledger_path(folder / "state", move.hop_id)
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as ledger:
            rows = ledger.execute("SELECT start, start + length FROM ranges ORDER BY start").fetchall()
    except sqlite3.OperationalError:  # it is being made
        return 0
    total = position = 0
    for start, end in rows:
        total += max(0, end - max(start, position))
        position = max(position, end)
    return total


def mover_process(folder: Path, move: Move) -> subprocess.Popen[bytes]:
    """Start an agent's mover as a process, with /archive in this folder."""
    repository = Path(__file__).parents[4]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.mover_process", folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        cwd=repository,
        env={**os.environ, "PYTHONPATH": str(repository)},
    )
    with process.stdin:
        process.stdin.write(move.model_dump_json().encode())
    return process


@pytest.mark.parametrize("selection", [(), ("a", "b")])
async def test_a_session_that_is_revoked_during_a_pull_is_replaced_by_another(host, selection):
    """The answer to HEAD has no reason in it, so the reason is asked for."""
    put(host, "in/a", b"1")
    put(host, "in/b", b"2")
    revoked = "KEY0"
    host.server.answer = lambda one: EXPIRED if one.key and revoked in one.headers["authorization"] else None
    await host.pull("in/", *selection)
    assert host.arrived() == {"a": b"1", "b": b"2"}


async def test_an_object_that_a_policy_denies_is_named_and_the_rest_arrives(host):
    for number in range(20):
        put(host, f"in/{number}", b"x")
    denied = ErrorAnswer(403, "AccessDenied", "not yours")
    host.server.answer = lambda one: denied if one.key == "in/7" else None
    with pytest.raises(HopError) as caught:
        await host.pull("in/")
    assert [(one.code, one.path) for one in caught.value.failures] == [("s3-denied", "s3://media/in/7")]
    assert len(host.arrived()) == 19


OF_WHOLE_HOP = [
    (ErrorAnswer(403, "RequestTimeTooSkewed"), "clock-skew"),
    (ErrorAnswer(404, "NoSuchBucket"), "source-missing"),
    (ErrorAnswer(301, "PermanentRedirect"), "s3-object-refused"),
    (ErrorAnswer(403, "AllAccessDisabled"), "s3-denied"),
    (ErrorAnswer(400, "InvalidToken"), "s3-credentials-refused"),
]


@pytest.mark.parametrize(("refusal", "code"), OF_WHOLE_HOP, ids=lambda one: getattr(one, "code", one))
@pytest.mark.parametrize("is_selected", [False, True])
async def test_what_is_wrong_with_the_host_or_the_bucket_ends_a_pull_with_one_reason(
    host, refusal, code, is_selected
):
    """A clock is set wrong, or a bucket deleted, after the objects were listed."""
    names = [f"{number:03}" for number in range(300)]
    for name in names:
        put(host, f"in/{name}", b"x")
    host.server.answer = lambda one: refusal if one.key else None
    with pytest.raises(HopError) as caught:
        await host.pull("in/", *(names if is_selected else ()))
    assert (caught.value.problem.code, caught.value.failures_total) == (code, 0)
    assert "s3://media/in/" in caught.value.problem.message or code == "clock-skew"


async def test_an_object_whose_size_is_not_told_does_not_arrive_empty(host):
    """A proxy takes the length out of the answer to a HEAD."""
    put(host, "in/a", b"kept")
    head = b'HTTP/1.1 200 OK\r\netag: "1"\r\nlast-modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n\r\n'
    heads = count()
    host.server.answer = lambda one: head if one.method == "HEAD" and next(heads) < 2 else None
    await host.pull("in/", "a")
    assert host.arrived() == {"a": b"kept"}


async def test_a_selected_object_of_a_bucket_that_exists_is_reported_by_itself(host):
    put(host, "in/there", b"x")
    with pytest.raises(HopError) as caught:
        await host.pull("in/", "gone", "there", "gone too")
    assert [one.path for one in caught.value.failures] == ["s3://media/in/gone", "s3://media/in/gone too"]
    assert host.arrived() == {"there": b"x"}
    assert len(host.requests("GET")) == 2, "once for the object, once for whether there is a bucket"


async def test_pages_without_objects_are_not_the_end_of_a_list(host):
    """Where many objects were deleted, S3 may answer with a page without any, and more to come."""
    host.server.has_empty_pages, host.server.page_keys = True, 2
    for number in range(5):
        put(host, f"in/{number}", b"x")
    await host.pull("in/")
    assert set(host.arrived()) == {"0", "1", "2", "3", "4"}


async def test_a_repeated_pull_reads_no_object(host):
    put(host, "in/a", b"1")
    put(host, "in/b", b"2" * (RANGE_BYTES + 5))
    await host.pull("in/")
    host.server.requests.clear()
    await host.pull("in/")
    assert [one.key for one in host.server.requests] == [""]
    assert host.progress.snapshot().files_unchanged == 2


async def test_digests_are_compared_by_reading_the_objects(host):
    """What a tool left in the metadata of an object that it wrote again says nothing about its content."""
    put(host, "in/a", b"1" * 1000)
    await host.pull("in/")
    put(host, "in/a", b"2" * 1000)
    await host.pull("in/", compare="checksum")
    assert host.arrived() == {"a": b"2" * 1000}


async def test_s3_that_asks_to_slow_down_now_and_then_is_obeyed(host):
    for number in range(60):
        put(host, f"in/{number}", b"x" * 100)
    turns = count()
    host.server.answer = lambda _: ErrorAnswer(503, "SlowDown") if next(turns) % 5 == 1 else None
    await host.pull("in/")
    assert len(host.arrived()) == 60


@pytest.mark.parametrize("size", [1000, 2 * MAX_PACKED_FILE_BYTES])
@pytest.mark.parametrize("algorithm", [CRC64NVME, CRC32])
async def test_an_object_that_arrives_damaged_is_asked_for_again(host, size, algorithm):
    """S3 keeps the checksum of what was uploaded; on the way, one bit was turned."""
    data = b"1" * size
    headers = {algorithm.header: algorithm.text(algorithm.update(data, 0)), "etag": '"one"'}
    damaged = StoredObject(b"0" + data[1:], headers, LONG_AGO)
    host.server.objects["in/a"] = damaged

    def answer(request: ReceivedRequest) -> None:
        if request.method == "HEAD":  # it is asked for again
            host.server.objects["in/a"] = StoredObject(data, headers, LONG_AGO)

    host.server.answer = answer
    await host.pull("in/")
    assert host.arrived() == {"a": data}

    host.server.answer = lambda _: None
    host.server.objects["in/b"] = damaged
    with pytest.raises(HopError) as caught:
        await host.pull("in/")
    assert [one.code for one in caught.value.failures] == ["arrived-damaged"]
    assert host.arrived() == {"a": data}


@pytest.mark.parametrize("algorithm", [CRC64NVME, CRC32, CRC32C], ids=lambda one: one.name)
async def test_a_big_object_that_arrives_damaged_in_one_range_is_asked_for_again(host, algorithm):
    """Its ranges come over several connections; S3 keeps a checksum of the whole only."""
    data = random.Random(2).randbytes(MIB) * (3 * RANGE_BYTES // MIB) + b"end"
    headers = {algorithm.header: algorithm.text(algorithm.update(data, 0)), "etag": '"one"'}
    intact = StoredObject(data, headers, LONG_AGO)
    damaged = StoredObject(data[:RANGE_BYTES] + b"?" + data[RANGE_BYTES + 1 :], headers, LONG_AGO)
    host.server.objects["in/a"] = damaged
    heads = count()

    def answer(request: ReceivedRequest) -> None:
        if request.method == "HEAD" and next(heads):  # it is asked for again
            host.server.objects["in/a"] = intact

    host.server.answer = answer
    await host.pull("in/")
    assert (host.data / "a").read_bytes() == data
    host.server.answer = lambda _: None
    (host.data / "a").unlink()
    host.server.objects["in/a"] = damaged
    with pytest.raises(HopError) as caught:
        await host.pull("in/")
    assert [one.code for one in caught.value.failures] == ["arrived-damaged"]
    assert host.arrived() == {}


async def test_a_big_object_is_compared_also_after_a_request_that_broke_off(host):
    """What came before the break is asked for again in smaller pieces, beside a range that is damaged."""
    data = random.Random(4).randbytes(MIB) * (2 * RANGE_BYTES // MIB)
    headers = {CRC64NVME.header: CRC64NVME.text(CRC64NVME.update(data, 0)), "etag": '"one"'}
    host.server.objects["in/a"] = StoredObject(data[:-1] + b"?", headers, LONG_AGO)
    broken = count()

    def answer(request: ReceivedRequest) -> bytes | None:
        if request.headers.get("range", "").startswith("bytes=0-") and next(broken) < 1:
            return b"".join(bytes(one) for one in host.server.respond(request))[: 3 * MIB]
        return None

    host.server.answer = answer
    with pytest.raises(HopError) as caught:
        await host.pull("in/")
    assert [one.code for one in caught.value.failures] == ["arrived-damaged"]
    assert host.arrived() == {}


def big_object() -> tuple[bytes, dict[str, str]]:
    """Return the content of an object of three ranges, and what S3 tells of it."""
    data = random.Random(5).randbytes(MIB) * (2 * RANGE_BYTES // MIB) + b"end"
    return data, {CRC64NVME.header: CRC64NVME.text(CRC64NVME.update(data, 0)), "etag": '"one"'}


async def begin(host: S3SourceHost) -> None:
    """Pull until the first range has arrived; then the agent is stopped."""
    async with host.held("in/", lambda progress: progress.bytes_done > 40 * MIB) as moving:
        await pause(moving)
    with pytest.raises(asyncio.CancelledError):
        await moving


@pytest.mark.parametrize("is_damaged_again", [False, True])
async def test_a_big_object_that_an_earlier_attempt_began_damaged_is_asked_for_again(host, is_damaged_again):
    """The agent is stopped; its ledger has the digests of what arrived, not of what was sent."""
    data, headers = big_object()
    damaged = StoredObject(b"?" + data[1:], headers, LONG_AGO)
    host.server.objects["in/a"] = damaged
    await begin(host)
    if not is_damaged_again:
        host.server.objects["in/a"] = StoredObject(data, headers, LONG_AGO)
    host.server.requests.clear()
    if is_damaged_again:
        with pytest.raises(HopError) as caught:
            await host.pull("in/")
        assert [one.code for one in caught.value.failures] == ["arrived-damaged"]
        assert host.arrived() == {}
    else:
        await host.pull("in/")
        assert host.arrived() == {"a": data}


async def test_a_stop_is_obeyed_while_what_an_earlier_attempt_began_is_read(host, monkeypatch):
    """Of a terabyte that takes an hour: an agent that is updated or stopped cannot wait for that."""
    data, headers = big_object()
    host.server.objects["in/a"] = StoredObject(data, headers, LONG_AGO)
    await begin(host)
    reading, stopped, really = threading.Event(), threading.Event(), RangeChecksums.add_missing

    def add_missing(checksums: RangeChecksums, *arguments: Any) -> bool:
        reading.set()
        assert stopped.wait(HANG_TIMEOUT_S)
        return really(checksums, *arguments)

    monkeypatch.setattr(RangeChecksums, "add_missing", add_missing)
    moving = asyncio.create_task(host.pull("in/"))
    await until(lambda: reading.is_set() or moving.done())
    await pause(moving)
    stopped.set()
    with pytest.raises(asyncio.CancelledError):
        await moving
    assert "a" not in host.arrived()
    monkeypatch.undo()
    await host.pull("in/")
    assert host.arrived() == {"a": data}


async def test_a_big_object_that_an_earlier_attempt_began_is_compared_once(host):
    """What is on the disk is read there, not asked for again; S3 is asked for its checksum once."""
    data, headers = big_object()
    host.server.objects["in/a"] = StoredObject(data, headers, LONG_AGO)
    await begin(host)
    host.server.requests.clear()
    await host.pull("in/")
    assert host.arrived() == {"a": data}
    assert host.requests("HEAD") == ["in/a"]
    asked = [
        one.headers["range"].removeprefix("bytes=").split("-")
        for one in host.server.requests
        if "range" in one.headers
    ]
    assert sum(int(last) - int(first) + 1 for first, last in asked) < len(data) * 3 / 4


@pytest.mark.parametrize("answers", ["the whole", "another range"])
async def test_a_range_that_was_not_asked_for_is_not_written(host, answers):
    """A cache before the storage ignores `Range`; the object has no checksum that would show it."""
    data = random.Random(3).randbytes(RANGE_BYTES + MIB)
    put(host, "in/a", data)
    ranges = count()

    def answer(request: ReceivedRequest) -> bytes | None:
        if request.method == "HEAD" or "range" not in request.headers or next(ranges) >= 2:
            return None
        if answers == "the whole":
            asked = ReceivedRequest("GET", request.key, {}, {})
        else:
            asked = ReceivedRequest("GET", request.key, {}, {"range": f"bytes=0-{RANGE_BYTES - 1}"})
        return b"".join(bytes(one) for one in host.server.respond(asked))

    host.server.answer = answer
    await host.pull("in/")
    assert host.arrived() == {"a": data}


@given(st.binary(min_size=1, max_size=300), st.data())
def test_the_checksum_of_a_whole_is_combined_from_ranges_in_any_order(data, drawn):
    algorithm = drawn.draw(st.sampled_from([CRC64NVME, CRC32, CRC32C]))
    cuts = sorted(drawn.draw(st.sets(st.integers(0, len(data)))) | {0, len(data)})
    ranges = drawn.draw(st.permutations(list(pairwise(cuts))))
    damaged = drawn.draw(st.none() | st.integers(0, len(data) - 1))
    arrived = bytearray(data)
    if damaged is not None:
        arrived[damaged] ^= 1
    checksums = RangeChecksums({algorithm.header: algorithm.text(algorithm.update(data, 0))}, len(data))
    results = [
        checksums.add(start, end - start, algorithm.update(bytes(arrived[start:end]), 0))
        for start, end in ranges
    ]
    assert results == [None] * (len(ranges) - 1) + [damaged is None]


async def test_an_object_is_one_request_for_each_32_mib(host):
    for name, size in (("a", RANGE_BYTES), ("b", 2 * RANGE_BYTES)):
        host.server.objects[f"in/{name}"] = StoredObject(bytes(size), {"etag": '"one"'}, LONG_AGO)
    await host.pull("in/")
    assert Counter(host.requests("GET")) == {"": 1, "in/a": 1, "in/b": 2}
    assert host.requests("HEAD") == ["in/b"], "for the checksum of the whole"


async def test_the_checksum_of_parts_is_not_taken_for_that_of_the_object(host):
    headers = {"x-amz-checksum-crc32": "AAAAAA==-2", "x-amz-checksum-type": "COMPOSITE"}
    host.server.objects["in/a"] = StoredObject(b"1" * 1000, headers, LONG_AGO)
    await host.pull("in/")
    assert host.arrived() == {"a": b"1" * 1000}
