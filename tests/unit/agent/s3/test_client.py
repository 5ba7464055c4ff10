"""Test the client of S3 against a small real server: what it sends, retries and makes of each answer."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from agent.s3 import client as client_module
from agent.s3.client import MAX_LIST_BYTES, S3Client
from agent.s3.errors import ConnectionLostError, S3Error
from agent.s3.unfinished_uploads import unfinished_uploads
from events.commands import S3Route
from tests.support.hosts import closed_port
from tests.support.issued_keys import IssuedKeys
from tests.support.s3_front import ARCHIVED, EXPIRED, SLOW_DOWN
from tests.support.s3_front import ErrorAnswer as Refusal
from tests.support.s3_server import S3Server
from tests.support.waiting import HANG_TIMEOUT_S, until

ODD_KEYS = ("/lead", "a//b", "up/../b", "./a", "..", "marker/", "Köln +%2F~", "\u201b␊", "\n\r\t", "名?#&=")


@pytest.fixture
def server():
    with S3Server() as server:
        yield server


@pytest.fixture
def client(server, monkeypatch):
    monkeypatch.setattr(client_module, "_delay_s", lambda _failures: 0.001)
    with closing(client_for(server.url)) as client:
        yield client


def client_for(url: str, issued: IssuedKeys | None = None) -> S3Client:
    return S3Client("media", S3Route(region="eu-central-1", endpoint=url), issued or IssuedKeys(), "hop-0")


def read(client: S3Client, key: str, **headers: str) -> bytes:
    with closing(client.get(key, headers)) as download:
        return download.read(10**9)


def test_every_key_is_stored_listed_and_read_as_it_is(server, client):
    for key in ODD_KEYS:
        client.request("PUT", key, body=key.encode())
    assert set(server.objects) == set(ODD_KEYS)
    assert {one.key for one in client.list_page("").objects} == set(ODD_KEYS)
    assert {key: read(client, key) for key in ODD_KEYS} == {key: key.encode() for key in ODD_KEYS}


def test_a_long_list_comes_page_by_page(server, client):
    names = [f"in/{number:04}" for number in range(2500)]
    for name in names:
        server.put(name, b"")
    assert [one.key for page in client.list_pages("in/") for one in page.objects] == names
    assert len(server.requests) == 3


def page(body: str) -> bytes:
    """Return an answer of success."""
    return f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()


@pytest.mark.parametrize(
    "more",
    [
        "",
        "<IsTruncated>true</IsTruncated>",
        "<IsTruncated>true</IsTruncated><NextContinuationToken>same</NextContinuationToken>",
    ],
)
def test_a_list_whose_rest_cannot_be_asked_for_is_not_taken_for_whole(server, client, more):
    """Storage that speaks an older S3: the objects beyond its first page must not be left out silently."""
    server.answer = lambda _: page(f"<ListBucketResult>{more}</ListBucketResult>")
    with pytest.raises(ConnectionLostError, match="not a list of"):
        list(client.list_pages("in/"))


@pytest.mark.parametrize(
    "body",
    [
        "<html><body>Sign in to the hotel's network</body></html>",
        "<ListAllMyBucketsResult><IsTruncated>false</IsTruncated></ListAllMyBucketsResult>",
        "signed in",
    ],
)
def test_a_page_that_is_no_list_of_objects_is_not_an_empty_bucket(server, client, body):
    """A mirror would delete at its destination all that is not in the list."""
    server.answer = lambda _: page(body)
    with pytest.raises(ConnectionLostError, match="not an answer of S3"):
        client.list_page("in/")
    with pytest.raises(ConnectionLostError, match="not an answer of S3"):
        list(unfinished_uploads(client, "in/"))


def test_a_list_of_other_objects_is_not_taken_for_the_one_that_was_asked_for(server, client):
    """Storage or a cache that ignores a part of the question."""
    listed = (
        "<Contents><Key>in/a</Key><Size>1</Size><LastModified>2026-01-01T00:00:00Z</LastModified></Contents>"
    )
    body = f"<ListBucketResult><IsTruncated>false</IsTruncated>{listed}</ListBucketResult>"
    server.answer = lambda _: page(body)
    assert [one.key for one in client.list_page("in/").objects] == ["in/a"]
    with pytest.raises(ConnectionLostError, match="asked for"):
        client.list_page("out/")
    with pytest.raises(ConnectionLostError, match="asked for"):
        client.list_page("in/", start_after="in/a")


@pytest.mark.parametrize("length", [1, 2, 5])
def test_a_list_that_goes_in_a_circle_ends(server, client, length):
    """Storage that is not quite S3: an agent must not ask for the same pages for ever."""

    def answer(_request):
        number = len(server.requests)
        if number > 50:
            return Refusal(400, "TooMany")
        next_page = f"<NextContinuationToken>{number % length}</NextContinuationToken>"
        return page(f"<ListBucketResult><IsTruncated>true</IsTruncated>{next_page}</ListBucketResult>")

    server.answer = answer
    with pytest.raises(ConnectionLostError, match="do not end"):
        list(client.list_pages("in/"))


@pytest.mark.parametrize("length", [0, 1, 3])
def test_a_list_of_uploads_that_does_not_go_on_ends(server, client, length):
    def answer(_request):
        number = len(server.requests)
        if number > 50:
            return Refusal(400, "TooMany")
        more = f"<NextKeyMarker>{number % length}</NextKeyMarker>" if length else ""
        truncated = f"<IsTruncated>true</IsTruncated>{more}"
        return page(f"<ListMultipartUploadsResult>{truncated}</ListMultipartUploadsResult>")

    server.answer = answer
    with pytest.raises(ConnectionLostError, match="not a list of S3"):
        list(unfinished_uploads(client, "kept/"))


@pytest.mark.parametrize("declaration", ["", "<?xml version='1.0' encoding='UTF-8'?>"])
@pytest.mark.parametrize("blanks", [(2000, 0), (0, 2000)])
def test_an_error_after_minutes_of_blanks_is_an_error(server, client, declaration, blanks):
    """S3 keeps the connection open by blanks while it makes one object of thousands of parts."""
    before, after = (" " * count for count in blanks)
    error = "<Error><Code>InternalError</Code><Message>again</Message></Error>"
    server.answer = lambda _: page(f"{before}{declaration}{after}{error}")
    with pytest.raises(S3Error, match="InternalError: again"):
        client.request("POST", "a", query={"uploadId": "1"})


def test_connections_are_used_again(server, client):
    server.put("a", b"a" * 100_000)
    for _ in range(20):
        assert read(client, "a", range="bytes=0-9") == b"a" * 10
    assert server.connections == 1


def test_many_objects_are_under_way_at_once(server, client):
    """A long line: the second request does not wait for the first answer."""
    for number in range(16):
        server.put(f"{number}", f"{number}".encode() * 1000)
    arrived = threading.Event()

    def answer(_request):
        if len(server.requests) == 16:
            arrived.set()

    server.answer = answer
    answers = client.get_all([f"{number}" for number in range(16)])
    first = next(answers)
    assert arrived.wait(HANG_TIMEOUT_S), "all were sent before the first answer was asked for"
    contents = [first.read(10_000), *(one.read(10_000) for one in answers)]
    assert contents == [f"{number}".encode() * 1000 for number in range(16)]


def test_a_missing_object_does_not_spoil_those_requested_with_it(server, client):
    server.put("a", b"1")
    server.put("c", b"3")
    found = [one if isinstance(one, S3Error) else one.read(9) for one in client.get_all(["a", "b", "c"])]
    assert (found[0], found[2]) == (b"1", b"3")
    assert found[1].code == "NoSuchKey"


@pytest.mark.parametrize("failure", [SLOW_DOWN, Refusal(500, "InternalError"), b"", b"HTTP/1.1 200"])
def test_a_failure_that_passes_is_not_noticed(server, client, failure):
    server.put("a", b"1")
    seen = []

    def answer(request):
        seen.append(request)
        return failure if len(seen) <= 2 else None

    server.answer = answer
    assert read(client, "a") == b"1"
    assert [one.read(9) for one in client.get_all(["a"])] == [b"1"]


def test_a_failure_that_stays_is_named(server, client):
    server.answer = lambda _: SLOW_DOWN
    with pytest.raises(S3Error) as caught:
        read(client, "a")
    problem = caught.value.problem("s3://media/a")
    assert (problem.code, problem.retryable) == ("s3-failed", True)
    assert "SlowDown: Please reduce your request rate" in problem.message
    assert len(server.requests) == client_module.MAX_ATTEMPTS


@pytest.mark.parametrize("method", ["GET", "PUT"])
@pytest.mark.parametrize("status", ["400 Bad Request", "200 OK"])
def test_an_answer_that_would_fill_the_memory_is_not_read(server, client, method, status):
    """Parsed, it takes thirty times its size, at every one of 128 requests that are under way."""
    body = b"<Error>" + b"<a/>" * (MAX_LIST_BYTES // 4) + b"</Error>"
    server.answer = lambda _: f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body
    with pytest.raises(ConnectionLostError, match="too long"):
        client.request(method, "" if method == "GET" else "a")


def test_an_archived_object_is_not_asked_for_again(server, client):
    server.answer = lambda _: ARCHIVED
    with pytest.raises(S3Error) as caught:
        read(client, "a")
    assert caught.value.problem("a").code == "s3-archived"
    assert len(server.requests) == 1


def test_the_reason_that_a_head_does_not_have_is_asked_for(server, client):
    server.answer = lambda _: Refusal(403, "AccessDenied", "not yours")
    with pytest.raises(S3Error, match="AccessDenied: not yours"):
        client.head("a")


def test_a_connection_that_s3_closed_while_idle_is_not_an_error(server, client):
    server.put("a", b"1")
    assert read(client, "a") == b"1"
    server.close_connections()
    assert read(client, "a") == b"1"


def test_an_answer_that_breaks_off_is_an_error(server, client):
    server.answer = lambda _: b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345"
    with closing(client.get("a")) as download, pytest.raises(ConnectionLostError):
        download.read(100)


def test_a_closed_port_is_named_in_the_systems_words(monkeypatch):
    monkeypatch.setattr(client_module, "_delay_s", lambda _failures: 0.001)
    with (
        closing(client_for(f"http://{closed_port()}")) as client,
        pytest.raises(ConnectionLostError, match="connection refused"),
    ):
        client.list_page("")


def test_credentials_that_eight_readers_are_refused_are_replaced_once(server):
    """The last of them learns it when the others have the new ones already."""
    issued = IssuedKeys()
    server.put("a", b"1")
    server.answer = lambda request: EXPIRED if "KEY0" in request.headers["authorization"] else None
    with closing(client_for(server.url, issued)) as client, ThreadPoolExecutor(8) as readers:
        assert list(readers.map(lambda _: read(client, "a"), range(16))) == [b"1"] * 16
    assert issued.key_ids[0] == "KEY1"


def test_credentials_are_not_replaced_twice(server):
    issued = IssuedKeys()
    server.answer = lambda _: EXPIRED
    with closing(client_for(server.url, issued)) as client, pytest.raises(S3Error) as caught:
        read(client, "a")
    assert caught.value.refuses_credentials
    assert issued.key_ids[0] == "KEY1"


async def test_a_stop_ends_what_waits_for_an_answer(server, client):
    server.delay_s = 3600
    waiting = asyncio.create_task(asyncio.to_thread(read, client, "a"))
    await until(lambda: server.is_waiting)
    client.interrupt()
    with pytest.raises(ConnectionLostError):
        await waiting
    server.delay_s = 0
    server.put("a", b"1")
    client.connect()
    assert read(client, "a") == b"1"


def test_a_bucket_on_aws_has_a_host_of_its_own_unless_it_has_a_dot():
    on_aws = S3Route(region="eu-central-1")
    assert client_module._endpoint("media", on_aws) == (
        "https://media.s3.eu-central-1.amazonaws.com",
        "media.s3.eu-central-1.amazonaws.com",
        "/",
    )
    assert client_module._endpoint("my.media", on_aws) == (
        "https://s3.eu-central-1.amazonaws.com",
        "s3.eu-central-1.amazonaws.com",
        "/my.media/",
    )
