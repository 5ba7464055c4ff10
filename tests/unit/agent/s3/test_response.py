"""Test that the head of an answer is read as the standard library reads it, and that damage is an error."""

import http.client
import io
import itertools
import socket
from collections.abc import Iterator
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.s3.response import MAX_HEAD_BYTES, MAX_HEADERS, S3Response

names = st.text(st.sampled_from("abXY-9"), min_size=1, max_size=8).filter(lambda name: name[0] != "-")
values = st.text(st.characters(min_codepoint=0x21, max_codepoint=0xFF, exclude_categories=["Cc"]), max_size=9)
odd_headers = st.dictionaries(names.map(str.lower), values, max_size=8)
SIZED = {"content-length": "5"}
CHUNKED = {"transfer-encoding": "chunked"}
bodies = st.sampled_from([(SIZED, b"12345"), (CHUNKED, b"3\r\n123\r\n2\r\n45\r\n0\r\n\r\n")])
connections = st.sampled_from([{}, {"connection": "close"}, {"Connection": "Keep-Alive"}])


class Bytes:
    """What has come through a connection."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(cast("Any", io.BytesIO(self._data)))


def answer(data: bytes, kind: Any = S3Response, method: str = "GET") -> Any:
    response = kind(cast("socket.socket", Bytes(data)), method=method)
    response.begin()
    return response


@given(
    status=st.sampled_from([200, 204, 206, 304, 403, 503]),
    version=st.sampled_from(["HTTP/1.1", "HTTP/1.0"]),
    headers=odd_headers,
    body=bodies,
    connection=connections,
    method=st.sampled_from(["GET", "HEAD"]),
)
def test_it_is_what_the_standard_library_reads(status, version, headers, body, connection, method):
    lines = {**headers, **body[0], **connection}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    data = f"HTTP/1.1 100 Continue\r\n\r\n{version} {status} Why\r\n{head}\r\n".encode("latin-1") + body[1]
    ours, theirs = answer(data, method=method), answer(data, http.client.HTTPResponse, method)
    assert ours.fields == {name.lower(): value for name, value in theirs.getheaders()}
    for name in ("status", "length", "chunked", "will_close"):
        assert getattr(ours, name) == getattr(theirs, name), name
    assert ours.read() == theirs.read()


@given(st.data())
def test_an_answer_whose_head_breaks_off_is_an_error(data):
    """A line that is cut within the headers must not leave an answer that lacks some of them."""
    whole = b'HTTP/1.1 200 OK\r\ncontent-length: 5\r\netag: "x"\r\n\r\n'
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(http.client.HTTPException):
        answer(whole[:cut])


@pytest.mark.parametrize(
    "head",
    [
        "SSH-2.0-OpenSSH\r\n\r\n",
        "HTTP/2 200 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno header\r\n\r\n",
        "HTTP/1.1 200 OK\r\n" + "a: b\r\n" * MAX_HEADERS + "\r\n",
        "HTTP/1.1 200 OK\r\na: " + "b" * 100_000 + "\r\n\r\n",
        "HTTP/1.1 200 OK\r\n" + f"a: {'b' * 4000}\r\n" * 20 + "\r\n",
    ],
    ids=lambda head: head[:25],
)
def test_what_is_not_an_answer_of_http_is_an_error(head):
    with pytest.raises(http.client.HTTPException):
        answer(head.encode())


def test_a_length_that_is_said_twice_is_none():
    """Two programs could take such an answer for two different ones."""
    assert answer(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\n12345").length is None


class EndlessLine(io.RawIOBase):
    """A connection to a server that never comes to the end."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self.sent = pieces, 0

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = next(self._pieces)
        buffer[: len(piece)] = piece
        self.sent += len(piece)
        return len(piece)


def read_all(line: EndlessLine) -> bytes:
    response = S3Response(cast("socket.socket", line), method="GET")
    response.begin()
    return response.read()


INTERIM = b"HTTP/1.1 102 Processing\r\n\r\n"
CHUNKS = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\n"


@pytest.mark.parametrize(
    "pieces",
    [
        itertools.repeat(INTERIM),
        itertools.chain([b"HTTP/1.1 200 OK\r\n"], itertools.repeat(b"a: " + b"b" * 4000 + b"\r\n")),
        itertools.chain([CHUNKS], itertools.repeat(b"a: b\r\n")),
        itertools.chain([CHUNKS], itertools.repeat(b"a" * 4000)),
    ],
    ids=["interim answers", "headers", "trailers", "a trailer"],
)
def test_an_answer_that_never_gets_to_its_end_is_given_up(pieces):
    """A hostile server would keep a thread for ever, and fill the memory of the agent with headers."""
    line = EndlessLine(pieces)
    with pytest.raises(http.client.HTTPException):
        read_all(line)
    assert line.sent < MAX_HEAD_BYTES + 20_000
