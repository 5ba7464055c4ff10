"""A malicious or broken source: the hop fails soon, in little memory, and writes no wrong file."""

import itertools
import json
import resource
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from agent.files.digests import DIGEST_BYTES, RANGE_BYTES, digest_of
from agent.lane import sparse_ranges
from agent.pull.destination import PARTIAL_PREFIX
from infra.local.demo_files import MIB
from tests.support.hosts import Hosts, with_lane_limits
from tests.support.waiting import until

Respond = Callable[[ssl.SSLSocket, str, dict], None]
"""Responds to a request: connection, verb, body."""
HUGE = 2**62
MEMORY = 64 * MIB


class HostileSource:
    """A server with the source's key, so that it is accepted, and with responses that each test defines."""

    def __init__(self, hosts: Hosts, respond: Respond) -> None:
        self._say = respond
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(hosts.b.certificate, hosts.b.key)
        self._server = socket.create_server(("127.0.0.1", 0))
        hosts.b_endpoints = (f"127.0.0.1:{self._server.getsockname()[1]}",)
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                plain, _ = self._server.accept()
                threading.Thread(target=self._converse, args=[plain], daemon=True).start()

    def _converse(self, plain: socket.socket) -> None:
        with (
            plain,  # where no hands are shaken
            suppress(OSError, ValueError),
            self._context.wrap_socket(plain, server_side=True) as connection,
            connection.makefile("rb") as file,
        ):
            while line := file.readline():
                verb = line.split()[1].rpartition(b"/")[2].decode()
                length = 0
                for header in iter(file.readline, b"\r\n"):
                    if header.lower().startswith(b"content-length:"):
                        length = int(header.partition(b":")[2])
                body = json.loads(file.read(length))
                if verb == "pack" and not body["files"]:
                    connection.sendall(head(0))
                else:
                    self._say(connection, verb, body)


def head(length: int | None, status: str = "200 OK", kind: str = "application/octet-stream") -> bytes:
    size = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n{size}\r\n\r\n".encode()


def listing(*lines: object) -> bytes:
    body = b"".join(json.dumps(line).encode() + b"\n" for line in [*lines, ["end", len(lines)]])
    return head(len(body)) + body


def file(path: str, size: int, *, sparse: bool = False) -> list[object]:
    return ["f", path, size, 10**18, 0o644, sparse, "", 1]


PLACE: list[object] = ["d", "", 0, 10**18, 0o755, False, "", 1]


@pytest.fixture
def hostile(hosts) -> Iterator[Callable[[Respond], None]]:
    made: list[HostileSource] = []
    yield lambda respond: made.append(HostileSource(hosts, respond))
    for one in made:
        one.close()


async def ends(hosts: Hosts, *, no_progress_timeout_s: float = 0.5) -> str:
    """Return the code with which the hop fails; check that it used little memory and disk space."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    error = await hosts.fails(hosts.order("/data/t/", "/archive/t/"), no_progress_timeout_s)
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < MEMORY
    assert final_files(hosts) == []
    return error.failures[0].code if error.failures else error.problem.code


def final_files(hosts: Hosts) -> list[Path]:
    """Return the files at the destination, without the partial files of an attempt that may be resumed."""
    return [path for path in hosts.archive.rglob("*") if path.is_file() and not is_partial(path)]


def is_partial(path: Path) -> bool:
    return path.name.startswith(PARTIAL_PREFIX)


def endless(connection: ssl.SSLSocket, begin: bytes, piece: bytes) -> None:
    connection.sendall(begin)
    while True:
        connection.sendall(piece)


@pytest.mark.parametrize(
    ("begin", "piece"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"X-More: and more\r\n" * 1000),
        (b"HTTP/1.1 200 OK\r\nX-Long: ", b"x" * 100_000),
        (b"HTTP/1.1 200 " + b"x" * 100_000, b"x" * 100_000),
        (b"\0" * 100_000, b"\0" * 100_000),
    ],
    ids=["headers", "header", "status", "noise"],
)
async def test_endless_header_is_cut_off(hosts, hostile, begin, piece):
    hostile(lambda connection, *_: endless(connection, begin, piece))
    assert await ends(hosts) == "source-unreachable"


async def test_endless_listing_line_is_rejected(hosts, hostile):
    hostile(lambda connection, *_: endless(connection, head(HUGE), b"[" * MIB))
    assert await ends(hosts) == "source-misbehaved"


async def test_endless_error_body_is_cut_off(hosts, hostile):
    refused = head(HUGE, "403 Forbidden")
    hostile(lambda connection, *_: endless(connection, refused, b" " * MIB))
    assert await ends(hosts) == "source-misbehaved"


@pytest.mark.parametrize("sparse", [True, False])
async def test_absurd_file_size_fills_no_disk(hosts, hostile, sparse):
    """The largest possible size: as a hole no file system supports it, otherwise the disk is too small."""

    def respond(connection: ssl.SSLSocket, verb: str, _: dict) -> None:
        connection.sendall(listing(PLACE, file("long", 2**63 - 1, sparse=sparse)))

    hostile(respond)
    order = hosts.order("/data/t/", "/archive/t/")
    if sparse:
        code = await ends(hosts)  # a file system in memory may have it
        assert code in {"file-too-large", "source-unreachable"}
        return
    moving = hosts.begin(order)
    await until(lambda: hosts.observer.wait_problems or moving.done())
    if moving.done():
        assert "file-too-large" in str(moving.exception().failures)
    moving.cancel()
    with suppress(BaseException):
        await moving
    assert sum(path.stat().st_blocks for path in hosts.archive.rglob("*") if path.is_file()) == 0


def serving(size: int, answer: Callable[[dict], bytes], *, sparse: bool = False) -> Respond:
    def respond(connection: ssl.SSLSocket, verb: str, body: dict) -> None:
        if verb == "manifest":
            connection.sendall(listing(PLACE, file("x", size, sparse=sparse)))
        else:
            connection.sendall(answer(body))

    return respond


def of_range(body: dict) -> bytes:
    return b"x" * body["length"]


@pytest.mark.parametrize(
    "answer",
    [
        lambda body: head(HUGE) + of_range(body) + bytes(MIB),
        lambda body: head(body["length"] + DIGEST_BYTES) + of_range(body)[:-5],
        lambda body: head(5) + b"hello",
        lambda body: head(None) + b"ffffffffffffffff\r\n" + of_range(body),
        lambda body: head(-5) + of_range(body),
        lambda body: head(body["length"]) + of_range(body),
    ],
    ids=["more", "less", "little", "chunks", "negative", "no digest"],
)
@with_lane_limits(read_timeout_s=0.5)
async def test_range_of_wrong_length_is_rejected(hosts, hostile, answer):
    hostile(serving(2 * MIB, answer))
    assert await ends(hosts) == "source-unreachable"


async def test_bytes_with_wrong_digest_are_discarded(hosts, hostile):
    hostile(serving(2 * MIB, lambda body: head(body["length"] + DIGEST_BYTES) + of_range(body) + bytes(16)))
    assert await ends(hosts) == "arrived-damaged"


@pytest.mark.parametrize(
    "data_ranges",
    [
        struct.pack(">I", 2**32 - 1),
        sparse_ranges.encode([(0, HUGE)]),
        sparse_ranges.encode([(MIB, 1), (0, 1)]),
        sparse_ranges.encode([(3 * MIB, 1)]),
    ],
)
async def test_impossible_parts_are_rejected(hosts, hostile, data_ranges):
    def answer(body: dict) -> bytes:
        assert body["holes"]
        return head(len(data_ranges) + MIB, kind=sparse_ranges.MEDIA_TYPE) + data_ranges + bytes(MIB)

    hostile(serving(2 * MIB, answer, sparse=True))
    assert await ends(hosts) == "source-misbehaved"


async def test_endless_pack_is_read_only_as_far_as_requested(hosts, hostile):
    small = b"hello"
    good = b"\0" + digest_of(small) + small

    def respond(connection: ssl.SSLSocket, verb: str, body: dict) -> None:
        if verb == "manifest":
            connection.sendall(listing(PLACE, file("x", len(small))))
        else:
            endless(connection, head(HUGE) + good, bytes(MIB))

    hostile(respond)
    await hosts.move(hosts.order("/data/t/", "/archive/t/"))
    assert [path.read_bytes() for path in final_files(hosts)] == [small]


@pytest.mark.parametrize(
    "line",
    [
        file("../out", 5),
        file("/etc/cron.d/out", 5),
        file("a/../../out", 5),
        file("a//out", 5),
        file("./out", 5),
        file("out/", 5),
        ["d", "a/..", 0, 0, 0o755, False, "", 1],
        ["l", "../out", 0, 0, 0, False, "x", 1],
        ["f", "x", 5, 0, 0o644, False, "a/../../beside/x", 1],
        ["l", "x", 0, 0, 0, False, "", 1],
        ["f", "x", 5, 0, 0o644, False, "../../etc/passwd", 1],
        ["f", "x", 5, 0, 0o644, False, "", 1, None, [0, 0, "root\0", ""]],
        ["d", "x", -1, 0, 0o755, False, "", 1],
    ],
)
async def test_listing_with_path_outside_ends_the_hop(hosts, hostile, line):
    hostile(lambda connection, *_: connection.sendall(listing(PLACE, line)))
    assert await ends(hosts) == "source-misbehaved"


async def test_files_that_were_not_selected_are_not_written(hosts, hostile):
    """A source that lists everything must not overwrite what the transfer leaves alone."""
    (hosts.archive / "t").mkdir()
    (hosts.archive / "t/kept").write_text("precious")
    names = ("chosen", "kept", "chosen too", "d/within", "d2/beside")
    directories = [["d", name, 0, 10**18, 0o755, False, "", 1] for name in ("d", "d2")]

    def respond(connection: ssl.SSLSocket, verb: str, body: dict) -> None:
        if verb == "manifest":
            connection.sendall(listing(PLACE, *directories, *(file(name, 5) for name in names)))
            return
        packed = b"".join(b"\0" + digest_of(b"hello") + b"hello" for _ in body["files"])
        connection.sendall(head(len(packed)) + packed)

    hostile(respond)
    await hosts.move(hosts.order("/data/t/", "/archive/t/", selection=("chosen", "d")))
    assert (hosts.archive / "t/kept").read_text() == "precious"
    written = {str(path.relative_to(hosts.archive / "t")) for path in hosts.archive.rglob("t/**/*")}
    assert written == {"kept", "chosen", "d", "d/within"}


@pytest.mark.parametrize(
    "body",
    [
        b'["f","a",1\n1,420,false,""]\n["end",1]\n',
        b'["d","a",0,1,493,false,""],["d","b",0,1,493,false,""]\n["end",2]\n',
        b'["end",0]\n["end",0]\n',
        b'["end",0]\n\n',
        b'["end",0]\n{',
        b"{}\n",
        b"]\n",
        b"\xed\xa0\x80\n",
    ],
    ids=["torn", "two in one", "two ends", "blank", "more", "object", "bracket", "bytes"],
)
async def test_malformed_listing_lines_end_the_hop(hosts, hostile, body):
    hostile(lambda connection, *_: connection.sendall(head(len(body)) + body))
    assert await ends(hosts) == "source-misbehaved"


@pytest.mark.parametrize("target", ["{}/outside", "../beside", ".."], ids=["outside", "beside", "above"])
@pytest.mark.parametrize("entries", ["file", "directory", "hard link"])
async def test_file_behind_a_link_stays_inside_the_destination(hosts, hostile, tmp_path, target, entries):
    """The oldest trick of archives: a link to elsewhere, then a file in it.

    It must not lead to files beside the hop's destination in the same root either.
    """
    (tmp_path / "outside").mkdir()
    (hosts.archive / "beside").mkdir()
    (hosts.archive / "beside/x").write_text("precious")
    before = (hosts.archive / "beside").stat()
    link = ["l", "way", 0, 0, 0, False, target.format(tmp_path), 1]
    behind = {
        "file": [file("way/x", 5), file("way/beside/x", 5)],
        "directory": [["d", "way", 0, 0, 0o777, False, "", 1], file("way/x", 5)],
        "hard link": [file("y", 5), ["f", "way/x", 5, 10**18, 0o644, False, "y", 1]],
    }[entries]

    def respond(connection: ssl.SSLSocket, verb: str, body: dict) -> None:
        if verb == "manifest":
            connection.sendall(listing(PLACE, link, *behind))
        else:
            connection.sendall(head(22) + b"\0" + digest_of(b"hello") + b"hello")

    hostile(respond)
    error = await hosts.fails(hosts.order("/data/t/", "/archive/t/"), 0.5)
    assert {one.code for one in error.failures} == {"link-in-the-way"}
    assert list((tmp_path / "outside").iterdir()) == []
    assert [path.name for path in (hosts.archive / "beside").iterdir()] == ["x"]
    assert (hosts.archive / "beside/x").read_text() == "precious"
    assert (hosts.archive / "beside").stat().st_mtime_ns == before.st_mtime_ns
    assert not (hosts.archive / "x").exists()


async def test_slow_source_does_not_prevent_a_pause(hosts, hostile):
    """A source that sends single bytes must not keep a person waiting who pauses the hop."""
    drips, gone = threading.Event(), threading.Event()

    def drip(connection: ssl.SSLSocket, verb: str, _: dict) -> None:
        if verb == "manifest":
            connection.sendall(listing(PLACE, file("x", RANGE_BYTES)))
            return
        connection.sendall(head(RANGE_BYTES + DIGEST_BYTES))
        for _number in itertools.count():
            connection.sendall(b"x")
            drips.set()
            if gone.wait(0.01):
                return

    hostile(drip)
    try:
        await hosts.moves_until(hosts.order("/data/t/", "/archive/t/"), lambda _: drips.is_set())
    finally:
        gone.set()
