"""Test pushes to S3: real files, and an S3 server that counts what it is asked and verifies checksums."""

import asyncio
import errno
import itertools
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from agent.cloud.http import ApiProblem
from agent.pull.ledger import ledger_path
from agent.s3 import client as client_module
from agent.s3 import push as push_module
from agent.s3.checksums import CRC64NVME
from agent.s3.push_pass import SMALL_FILE_WORKERS
from events.commands import S3Route
from events.views import ProblemDetails
from infra.local.demo_files import MIB, write_random
from tests.support.held_progress import pause
from tests.support.hosts import closed_port
from tests.support.predicted import OVERWRITES, PredictedUpload, is_predicted
from tests.support.s3_front import EXPIRED, SLOW_DOWN, ErrorAnswer
from tests.support.s3_host import SESSION, S3Host
from tests.support.s3_server import ReceivedRequest, S3Server
from tests.support.waiting import HANG_TIMEOUT_S, until
from tests.unit.agent.s3.test_source import OF_WHOLE_HOP

DENIED = ErrorAnswer(403, "AccessDenied", "Access Denied")
NOT_YOURS = ProblemDetails(
    type="urn:crosshaul:problem:hop-not-under-way", title="", status=409, detail="not yours", advice="wait"
)
BIG_BYTES = 22 * MIB
"""A file that goes in five parts, two at a time."""


@pytest.fixture
def server():
    with S3Server() as server:
        server.initiator = SESSION
        yield server


@pytest.fixture
def host(tmp_path, server, monkeypatch):
    monkeypatch.setattr(client_module, "_delay_s", lambda _failures: 0.001)
    return S3Host(tmp_path, server)


def methods(server: S3Server) -> Counter[str]:
    return Counter(request.method for request in server.requests)


def parts_sent(server: S3Server) -> list[int]:
    return [int(one.query["partNumber"]) for one in server.requests if "partNumber" in one.query]


def is_put(request: ReceivedRequest) -> bool:
    return request.method == "PUT" and request.key != ""


# --- whole trees ---


async def test_files_of_a_tree_are_copied_with_time_mode_and_digest(host):
    names = (
        "plain.txt",
        "Köln + Bonn 100%.mov",
        "名前/ü",
        "a b/[c] #1?.txt",
        "line\nbreak",
        "good\r",
        "empty",
    )
    for name in names[:-1]:
        write_random(host.data / "t" / name, 500)
    (host.data / "t/empty").touch()
    os.utime(host.data / "t/plain.txt", ns=(1_700_000_000_123_456_789,) * 2)
    (host.data / "t/plain.txt").chmod(0o640)

    result = await host.push(host.order())

    assert host.objects() == host.sent()
    headers = host.server.objects["kept/plain.txt"].headers
    assert headers["x-amz-meta-mtime"] == "1700000000.123456789"
    assert headers["x-amz-meta-mode"] == "100640"
    assert len(headers["x-amz-meta-crosshaul-digest"]) == 32
    progress = host.progress()
    assert (progress.files_done, progress.bytes_done) == (progress.files_total, progress.bytes_total)
    assert (progress.files_done, progress.files_unchanged) == (len(names), 0)
    assert result.digest != "0" * 32
    assert host.observer.connections == ["s3"]


async def test_each_new_small_file_is_one_request_beside_one_listing(host):
    for number in range(60):
        write_random(host.data / f"t/{number}", 10)
    await host.push(host.order())
    assert methods(host.server) == {"PUT": 60, "GET": 1}


async def test_a_repeated_push_sends_only_what_has_changed(host):
    for name in ("same", "grown"):
        write_random(host.data / "t" / name, 500)
    await host.push(host.order())
    write_random(host.data / "t/grown", 501)
    host.server.requests.clear()
    await host.push(host.order())
    assert methods(host.server) == {"PUT": 1, "GET": 1, "HEAD": 1}
    assert (host.progress().files_unchanged, host.progress().bytes_done) == (1, 1001)
    assert host.objects() == host.sent()


async def test_a_single_file_gets_the_given_name(host):
    write_random(host.data / "one", 500)
    await host.push(host.order("/data/one", "deep/other name"))
    assert host.objects() == {"deep/other name": (host.data / "one").read_bytes()}


@pytest.mark.parametrize("size", [5, BIG_BYTES])
async def test_objects_get_the_storage_class_and_the_tags_of_the_transfer(host, size):
    write_random(host.data / "t/one", size)
    await host.push(host.order(storage_class="STANDARD_IA", object_tags={"a film": "ü=1+2", "empty": ""}))
    assert host.objects() == host.sent()
    headers = host.server.objects["kept/one"].headers
    assert headers["x-amz-storage-class"] == "STANDARD_IA"
    assert headers["x-amz-tagging"] == "a%20film=%C3%BC%3D1%2B2&empty="


async def test_an_object_that_is_unchanged_keeps_its_class_and_tags(host):
    """A transfer moves content; what exists already is not written again for another class."""
    for name in ("same", "grown"):
        write_random(host.data / "t" / name, 500)
    await host.push(host.order(storage_class="STANDARD_IA", object_tags={"round": "1"}))
    write_random(host.data / "t/grown", 501)
    await host.push(host.order(storage_class="GLACIER_IR", object_tags={"round": "2"}))
    kept = {key: stored.headers for key, stored in host.server.objects.items()}
    assert kept["kept/same"]["x-amz-storage-class"] == "STANDARD_IA"
    assert kept["kept/same"]["x-amz-tagging"] == "round=1"
    assert kept["kept/grown"]["x-amz-storage-class"] == "GLACIER_IR"
    assert kept["kept/grown"]["x-amz-tagging"] == "round=2"
    assert host.progress().files_unchanged == 1


@pytest.mark.parametrize("size", [5, BIG_BYTES])
@pytest.mark.parametrize(
    "refusal",
    [
        ErrorAnswer(400, "InvalidStorageClass", "The storage class you specified is not valid"),
        ErrorAnswer(400, "InvalidTag", "The tag provided was not a valid tag"),
        ErrorAnswer(501, "NotImplemented", "A header you provided is not implemented"),
    ],
    ids=lambda one: getattr(one, "code", ""),
)
async def test_a_bucket_that_does_not_know_the_class_or_the_tags_says_so_of_each_file(host, refusal, size):
    write_random(host.data / "t/one", size)
    host.server.answer = lambda one: refusal if one.method in {"PUT", "POST"} else None
    error = await host.fails(host.order(storage_class="SNOW"))
    [failure] = error.failures
    assert (failure.code, failure.wording) == ("s3-object-refused", "s3-option-refused")
    assert refusal.message in failure.message
    assert not failure.retryable
    assert methods(host.server)["PUT"] + methods(host.server)["POST"] == 1, "it is not asked again"


async def test_a_prefix_with_two_slashes_is_used_as_it_is(host):
    write_random(host.data / "t/one", 5)
    await host.push(host.order(prefix="kept//"))
    assert set(host.objects()) == {"kept//one"}


async def test_two_unicode_forms_of_one_name_are_two_objects(host):
    """macOS writes one form, Linux the other; both files exist, and both must arrive."""
    for number, name in enumerate(("Köln.mov", "Ko\u0308ln.mov")):
        write_random(host.data / "t" / name, 500 + number)
    await host.push(host.order())
    assert host.objects() == host.sent()
    assert len(host.objects()) == 2


async def test_what_s3_cannot_have_is_named_and_the_rest_is_copied(host):
    write_random(host.data / "t/good", 5)
    (host.data / "t/link").symlink_to("good")
    (host.data / os.fsdecode(b"t/latin-\xfc")).touch()
    deep = host.data / "t" / "/".join(["d" * 250] * 5)
    deep.mkdir(parents=True)
    (deep / "long").touch()
    write_random(host.data / "t/.crosshaul-mine", 5)

    error = await host.fails(host.order())

    assert sorted(one.code for one in error.failures) == ["name-not-utf8", "name-too-long", "not-for-s3"]
    assert "1,024 bytes" in next(one.message for one in error.failures if one.code == "name-too-long")
    assert set(host.objects()) == {"kept/good"}
    assert host.progress().lost.name == 1, "a reserved name is left out and counted"


async def test_links_are_followed_inside_the_root_only(host, tmp_path):
    (tmp_path / "secret").write_text("secret")
    write_random(host.data / "t/good", 5)
    (host.data / "t/link").symlink_to("good")
    (host.data / "t/out").symlink_to(tmp_path / "secret")
    error = await host.fails(host.order(symlinks="follow"))
    assert [one.code for one in error.failures] == ["outside-roots"]
    assert set(host.objects()) == {"kept/good", "kept/link"}


async def test_a_file_from_the_far_future_is_copied(host):
    write_random(host.data / "t/future", 500)
    os.utime(host.data / "t/future", (4e9, 4e9))
    await host.push(host.order())
    await host.push(host.order())
    assert host.progress().files_unchanged == 1


# --- what exists at the destination ---


@pytest.mark.parametrize("overwrite", OVERWRITES)
async def test_a_dry_run_predicts_the_push(host, overwrite):
    async def there_after(**options):
        return await host.push(host.order(**options))

    def there():
        return {key.removeprefix("kept/"): data for key, data in host.objects().items()}

    await is_predicted(PredictedUpload(host.data / "t", there_after, there, host.progress), overwrite)


async def test_a_dry_run_of_one_file_looks_at_the_destination(host):
    write_random(host.data / "one", 500)
    order = host.order("/data/one", "deep/other name", dry_run=True)
    preview = (await host.push(order)).preview
    assert (preview.sent.files, preview.sent.bytes, host.objects()) == (1, 500, {})
    assert preview.examples == {}, "it has no path within itself"
    host.server.put("deep/other name", b"another")
    preview = (await host.push(order)).preview
    assert (preview.sent.files, preview.replaced.files) == (0, 1)
    assert host.objects() == {"deep/other name": b"another"}


@pytest.mark.parametrize("size", [5, BIG_BYTES])
@pytest.mark.parametrize(("overwrite", "fails"), [("never", False), ("fail", True)])
async def test_an_object_that_somebody_writes_meanwhile_is_not_replaced(host, size, overwrite, fails):
    """The listing said that there is none; S3 itself decides when the object is to appear."""
    write_random(host.data / "t/raced", size)

    def answer(request: ReceivedRequest) -> None:
        if request.method in {"PUT", "POST"}:
            host.server.put("kept/raced", b"theirs")

    host.server.answer = answer
    if fails:
        error = await host.fails(host.order(overwrite=overwrite))
        assert error.problem.code == "destination-exists"
    else:
        await host.push(host.order(overwrite=overwrite))
        assert host.progress().files_unchanged == 1
    assert host.objects() == {"kept/raced": b"theirs"}
    assert host.server.uploads == {}


# --- failures ---


async def test_a_missing_source_is_reported(host):
    assert (await host.fails(host.order("/data/nothing/"))).problem.code == "source-missing"
    assert host.server.requests == []


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (ErrorAnswer(404, "NoSuchBucket"), "source-missing", "The bucket of s3://media/kept/ does not exist"),
        (ErrorAnswer(301, "PermanentRedirect"), "s3-object-refused", "not in the region of the stage"),
    ],
    ids=lambda one: getattr(one, "code", ""),
)
async def test_a_bucket_that_cannot_be_used_fails_a_push_at_once(host, answer, code, words, dry_run):
    write_random(host.data / "t/u", 5)
    host.server.answer = lambda _: answer
    error = await host.fails(host.order(dry_run=dry_run))
    assert (error.problem.code, error.problem.retryable) == (code, False)
    assert words in error.problem.message
    assert len(host.server.requests) == 1


@pytest.mark.parametrize(("refusal", "code"), OF_WHOLE_HOP, ids=lambda one: getattr(one, "code", one))
@pytest.mark.parametrize("source", ["t/", "t/u0001"])
async def test_what_is_wrong_with_the_host_or_the_bucket_ends_a_push_with_one_reason(
    host, refusal, code, source
):
    """A clock is set wrong, or a bucket deleted, after the destination was listed."""
    for number in range(3 * SMALL_FILE_WORKERS if source == "t/" else 2):
        write_random(host.data / f"t/u{number:04}", 5)
    host.server.answer = lambda one: refusal if one.key else None
    error = await host.fails(host.order(f"/data/{source}"))
    assert (error.problem.code, error.failures_total) == (code, 0)
    assert methods(host.server)["PUT"] <= 2 * SMALL_FILE_WORKERS


async def test_a_repeated_push_sends_nothing_where_lists_have_pages_without_objects(host):
    """Where many objects were deleted, S3 may answer with a page without any, and more to come."""
    host.server.has_empty_pages, host.server.page_keys = True, 2
    for number in range(7):
        write_random(host.data / f"t/{number}", 5)
    await host.push(host.order())
    await host.push(host.order())
    assert host.progress().files_unchanged == 7
    assert methods(host.server)["PUT"] == 7


async def test_every_file_that_s3_refuses_is_named(host):
    for number in range(12):
        write_random(host.data / f"t/{number}", 5)
    host.server.answer = lambda request: DENIED if is_put(request) else None
    error = await host.fails(host.order())
    assert error.failures_total == 12
    assert {one.code for one in error.failures} == {"s3-denied"}


async def test_credentials_that_expire_on_the_way_are_replaced_once(host):
    for number in range(20):
        write_random(host.data / f"t/{number}", 5)
    revoked, puts = host.issued.key_ids[0], itertools.count()

    def answer(request: ReceivedRequest) -> ErrorAnswer | None:
        is_late = is_put(request) and next(puts) > 5
        return EXPIRED if is_late and revoked in request.headers["authorization"] else None

    host.server.answer = answer
    await host.push(host.order())
    assert host.objects() == host.sent()

    write_random(host.data / "t/new", 5)
    host.server.answer = lambda _: EXPIRED
    error = await host.fails(host.order())
    assert (error.problem.code, error.problem.retryable) == ("s3-credentials-refused", True)


async def test_refused_credentials_are_reported_as_the_control_plane_said(host):
    write_random(host.data / "t/x", 5)
    host.issued.refusal = ApiProblem(NOT_YOURS)
    error = await host.fails(host.order())
    assert (error.problem.code, error.problem.retryable) == ("hop-not-under-way", False)


async def test_a_server_that_asks_to_slow_down_gets_every_file_in_the_end(host):
    for number in range(10):
        write_random(host.data / f"t/{number}", 5)
    refused: set[str] = set()

    def answer(request: ReceivedRequest) -> ErrorAnswer | None:
        if is_put(request) and request.key not in refused:
            refused.add(request.key)
            return SLOW_DOWN
        return None

    host.server.answer = answer
    await host.push(host.order())
    assert host.objects() == host.sent()
    assert host.progress().bytes_done == 50


async def test_when_the_line_to_s3_is_lost_a_retry_may_help(host):
    write_random(host.data / "t/x", 5)
    route = S3Route(region="eu-central-1", endpoint=f"http://{closed_port()}")
    error = await host.fails(host.order().model_copy(update={"route": route}))
    assert (error.problem.code, error.problem.retryable) == ("s3-failed", True)
    assert "connection refused" in error.problem.message


async def test_an_answer_without_the_time_of_an_object_is_not_one_of_s3(host):
    """A proxy takes headers out: what is there cannot be compared, and is not replaced."""
    write_random(host.data / "t/x", 5)
    host.server.put("kept/x", b"other")
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"
    host.server.answer = lambda one: head if one.method == "HEAD" else None
    error = await host.fails(host.order(overwrite="newer"))
    assert (error.problem.code, error.problem.retryable) == ("s3-failed", True)
    assert "does not tell when" in error.problem.message
    assert host.objects() == {"kept/x": b"other"}


async def test_a_disk_that_fails_to_read_one_file_does_not_stop_the_others(host, monkeypatch):
    for name in ("good", "bad"):
        write_random(host.data / "t" / name, 500)
    bad = (host.data / "t/bad").stat().st_ino
    original = os.pread

    def pread(descriptor: int, *arguments: int) -> bytes:
        if os.fstat(descriptor).st_ino == bad:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return original(descriptor, *arguments)

    monkeypatch.setattr(os, "pread", pread)
    error = await host.fails(host.order())
    assert [(one.code, one.retryable) for one in error.failures] == [("io-error", True)]
    assert set(host.objects()) == {"kept/good"}


async def test_a_ledger_that_is_damaged_does_not_stop_the_push(host):
    write_random(host.data / "t/x", 5)
    ledger_path(host.state, host.order().hop_id).parent.mkdir(parents=True)
    ledger_path(host.state, host.order().hop_id).write_bytes(b"not a database" * 100)
    await host.push(host.order())
    assert host.objects() == host.sent()


@pytest.mark.parametrize("size", [5, MIB, BIG_BYTES])
async def test_a_pause_ends_the_push_also_while_s3_does_not_answer(host, size):
    write_random(host.data / "t/x", size)
    answered = threading.Event()
    host.server.answer = lambda request: answered.wait(HANG_TIMEOUT_S) and None if is_put(request) else None
    moving = asyncio.create_task(host.push(host.order()))
    try:
        await until(lambda: any("kept/x" in one.key for one in host.server.requests))
        await pause(moving)
        with pytest.raises(asyncio.CancelledError):
            await moving
    finally:
        answered.set()


# --- in parts ---


async def test_a_big_file_goes_in_parts_that_s3_verifies(host, monkeypatch):
    monkeypatch.setattr(push_module, "algorithm_for", lambda _endpoint: CRC64NVME)  # as for AWS
    write_random(host.data / "t/big", BIG_BYTES)
    await host.push(host.order())
    assert host.objects() == host.sent()
    [complete] = [one for one in host.server.requests if one.method == "POST" and "uploadId" in one.query]
    assert complete.headers["x-amz-checksum-type"] == "FULL_OBJECT"
    assert complete.headers["x-amz-checksum-crc64nvme"], "which the server has compared"
    assert sorted(parts_sent(host.server)) == [1, 2, 3, 4, 5]
    headers = host.server.objects["kept/big"].headers
    assert int(float(headers["x-amz-meta-mtime"])) == int((host.data / "t/big").stat().st_mtime)
    assert host.server.uploads == {}


async def test_a_paused_push_continues_with_the_parts_that_are_missing(host):
    write_random(host.data / "t/a small one", 500)
    write_random(host.data / "t/big", BIG_BYTES)
    async with host.held(host.order(), lambda progress: progress.bytes_done > 16 * MIB) as moving:
        await pause(moving)
    with pytest.raises(asyncio.CancelledError):
        await moving
    assert set(host.objects()) <= {"kept/a small one"}
    sent_before = len(parts_sent(host.server))

    result = await host.push(host.order())

    assert host.objects() == host.sent()
    assert len(parts_sent(host.server)) <= sent_before + 3, "at least two of five parts were there"
    progress = host.progress()
    assert (progress.files_done, progress.bytes_done) == (2, BIG_BYTES + 500)
    assert progress.files_unchanged == 0
    assert result.digest != "0" * 32
    assert host.server.uploads == {}


async def test_a_push_that_is_killed_at_its_half_sends_at_most_55_percent_again(host):
    """A host loses its power within a long upload; what S3 has stays there."""
    size = 200 * MIB
    write_random(host.data / "t/big", size)
    half_arrived, killed = threading.Event(), threading.Event()

    def answer(request: ReceivedRequest) -> None:
        if host.server.bytes_received > size / 2 and not half_arrived.is_set():
            half_arrived.set()
            assert killed.wait(HANG_TIMEOUT_S)

    host.server.answer = answer
    process = subprocess.Popen(  # noqa: ASYNC220 - it is only started here
        [sys.executable, "-m", "tests.support.push_process", host.data, host.state],
        stdin=subprocess.PIPE,
        cwd=Path(__file__).parents[4],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[4])},
    )
    try:
        process.stdin.write(host.order().model_dump_json().encode())
        process.stdin.close()
        await until(lambda: half_arrived.is_set() or process.poll() is not None)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        killed.set()
    await until(lambda: not host.server.connection_count)
    before = host.server.bytes_arrived

    await host.push(host.order())

    assert host.objects() == host.sent()
    assert size * 0.4 < host.server.bytes_arrived - before <= size * 0.55
    assert host.server.uploads == {}


async def test_an_upload_that_s3_has_given_up_begins_again(host):
    write_random(host.data / "t/big", BIG_BYTES)
    async with host.held(host.order(), lambda progress: progress.bytes_done > 16 * MIB) as moving:
        await pause(moving)
    with pytest.raises(asyncio.CancelledError):
        await moving
    host.server.uploads.clear()  # the bucket's life cycle rule
    await host.push(host.order())
    assert host.objects() == host.sent()
    assert host.progress().bytes_done == BIG_BYTES


def lose_first_answer(host: S3Host, parameter: str) -> None:
    """Let S3 carry out the first POST with this parameter, and its answer not arrive."""
    posts = itertools.count()

    def answer(request: ReceivedRequest) -> bytes | None:
        if request.method == "POST" and parameter in request.query and next(posts) == 0:
            host.server.respond(request)
            return b""
        return None

    host.server.answer = answer


async def test_an_answer_to_the_last_request_that_is_lost_does_not_send_the_file_again(host):
    write_random(host.data / "t/big", BIG_BYTES)
    lose_first_answer(host, "uploadId")
    await host.push(host.order())
    assert host.objects() == host.sent()
    assert len(parts_sent(host.server)) == 5


@pytest.mark.parametrize("size", [10, BIG_BYTES])
async def test_a_file_that_a_proxy_has_taken_for_s3_is_not_reported_as_copied(host, size):
    """It answers with its sign-in page, status 200; a move would then remove the only copy."""
    write_random(host.data / "t/file", size)
    sign_in = b"HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\n<html></html>"
    host.server.answer = lambda one: sign_in if is_put(one) else None
    error = await host.fails(host.order())
    assert (error.problem.code, error.problem.retryable) == ("s3-failed", True)
    assert host.objects() == {}
    host.server.answer = lambda _: None
    await host.push(host.order())
    assert host.objects() == host.sent()


async def test_a_big_file_that_something_else_than_s3_has_confirmed_is_not_reported_as_copied(host):
    """A proxy answers the last request with a page of its own, and S3 never makes an object of the parts."""
    write_random(host.data / "t/big", BIG_BYTES)
    sign_in = b"HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\n<html></html>"
    host.server.answer = lambda one: sign_in if one.method == "POST" and "uploadId" in one.query else None
    error = await host.fails(host.order())
    assert (error.problem.code, error.problem.retryable) == ("s3-failed", True)
    host.server.answer = lambda _: None
    await host.push(host.order())
    assert host.objects() == host.sent()
    assert len(parts_sent(host.server)) == 5


async def test_a_file_that_changes_while_it_is_sent_is_not_stored_and_leaves_nothing(host):
    """A camera still writes the file; the parts of two versions must not become one object."""
    write_random(host.data / "t/big", BIG_BYTES)

    def answer(request: ReceivedRequest) -> None:
        if request.query.get("partNumber") == "3":
            with (host.data / "t/big").open("r+b") as file:
                file.write(b"changed")

    host.server.answer = answer
    error = await host.fails(host.order())
    assert error.problem.code == "source-changed"
    assert (host.objects(), host.server.uploads) == ({}, {})
    host.server.answer = lambda _: None
    await host.push(host.order())
    assert host.objects() == host.sent()


async def test_a_file_that_has_changed_since_a_pause_is_sent_from_its_beginning(host):
    write_random(host.data / "t/big", BIG_BYTES)
    async with host.held(host.order(), lambda progress: progress.bytes_done > 16 * MIB) as moving:
        await pause(moving)
    with pytest.raises(asyncio.CancelledError):
        await moving
    write_random(host.data / "t/big", BIG_BYTES)
    await host.push(host.order())
    assert host.objects() == host.sent()
    assert host.server.uploads == {}


async def test_a_push_that_fails_for_good_aborts_its_upload(host):
    write_random(host.data / "t/big", BIG_BYTES)
    host.server.answer = lambda request: DENIED if request.query.get("partNumber") == "3" else None
    error = await host.fails(host.order())
    assert (error.problem.code, error.problem.retryable) == ("s3-denied", False)
    assert host.server.uploads == {}


@pytest.mark.parametrize("is_ledger_lost", [False, True])
async def test_a_canceled_push_leaves_no_upload_and_touches_no_other(host, is_ledger_lost):
    write_random(host.data / "t/big", BIG_BYTES)
    host.server.initiator = SESSION.replace("server-b", "server-x")
    theirs = await begun_upload(host, "kept/theirs")
    host.server.initiator = SESSION
    elsewhere = await begun_upload(host, "elsewhere/other")
    async with host.held(host.order(), lambda progress: progress.bytes_done > 8 * MIB) as moving:
        await pause(moving)
    with pytest.raises(asyncio.CancelledError):
        await moving
    assert len(host.server.uploads) == 3
    if is_ledger_lost:
        for path in ledger_path(host.state, host.order().hop_id).parent.iterdir():
            path.unlink()
    await host.mover().discard(host.order())
    assert host.server.uploads.keys() == {theirs, elsewhere}
    assert not ledger_path(host.state, host.order().hop_id).exists()


async def test_a_push_that_used_up_its_attempts_leaves_no_upload_until_a_person_retries_it(host):
    """S3 failed for long. The control plane gives the hop up, and its agent may then only abort."""
    write_random(host.data / "t/big", BIG_BYTES)
    host.server.answer = lambda request: SLOW_DOWN if request.query.get("partNumber") == "3" else None
    error = await host.fails(host.order())
    assert (error.problem.code, error.problem.retryable) == ("s3-failed", True)
    assert len(host.server.uploads) == 1, "another attempt would continue it"
    only_abort = host.issued.key_ids[0]

    def answer(request: ReceivedRequest) -> ErrorAnswer | None:
        may = request.method == "DELETE" or "uploads" in request.query
        return DENIED if only_abort in request.headers["authorization"] and not may else None

    host.server.answer = answer
    await host.mover().discard(host.order())
    assert host.server.uploads == {}
    await host.push(host.order())
    assert host.objects() == host.sent()


async def test_a_push_that_may_not_clean_up_has_succeeded_all_the_same(host):
    """The hop is over for the control plane just before the last request, which only looks for rests."""
    write_random(host.data / "t/big", BIG_BYTES)

    def answer(request: ReceivedRequest) -> None:
        if request.method == "POST" and "uploadId" in request.query:
            host.issued.refusal = ApiProblem(NOT_YOURS)

    host.server.answer = answer
    await host.push(host.order())
    assert host.objects() == host.sent()


async def begun_upload(host: S3Host, key: str) -> str:
    """Begin an upload that is not the push's, and return its id."""
    host.server.respond(ReceivedRequest("POST", key, {"uploads": ""}, {}))
    return list(host.server.uploads)[-1]


async def test_an_upload_whose_beginning_s3_did_not_confirm_is_aborted_in_the_end(host):
    """S3 has begun it, and its answer was lost: only a listing tells of it."""
    write_random(host.data / "t/big", BIG_BYTES)
    lose_first_answer(host, "uploads")
    await host.push(host.order())
    assert host.objects() == host.sent()
    assert host.server.uploads == {}


async def test_a_big_file_costs_few_requests_beside_its_parts(host):
    write_random(host.data / "t/big", BIG_BYTES)
    await host.push(host.order())
    assert methods(host.server) == {"PUT": 5, "POST": 2, "GET": 2}, "two lists: of objects, and of uploads"


async def test_a_push_whose_ledger_was_lost_aborts_what_it_had_begun(host):
    write_random(host.data / "t/big", BIG_BYTES)
    async with host.held(host.order(), lambda progress: progress.bytes_done > 8 * MIB) as moving:
        await pause(moving)
    with pytest.raises(asyncio.CancelledError):
        await moving
    ledger_path(host.state, host.order().hop_id).write_bytes(b"the disk has lost this" * 99)
    await host.push(host.order())
    assert host.objects() == host.sent()
    assert host.server.uploads == {}


async def test_a_bucket_whose_uploads_may_not_be_listed_takes_files_all_the_same(host):
    write_random(host.data / "t/big", BIG_BYTES)
    host.server.answer = lambda request: (
        DENIED if request.method == "GET" and "uploads" in request.query else None
    )
    await host.push(host.order())
    assert host.objects() == host.sent()


# --- every name ---

ODD_PARTS = (
    *"ab .~‛／．␊␀␡\n\r\t\x01\x7f\u0308\u202e\ufffd名🎬#?%+&*:\\\"'[]{}<>|",
    *("..", "‛．", "‛FF", "Ko\u0308ln", "Köln", "%2F"),
)
file_names = (
    st.lists(st.sampled_from(ODD_PARTS) | st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5)
    .map("".join)
    .filter(lambda name: not {"/", "\0"} & set(name) and len(name.encode()) < 200)
    .filter(lambda name: name not in {".", ".."})
)
_numbers = itertools.count()


@settings(
    max_examples=25,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(chosen=st.lists(file_names, min_size=1, max_size=10, unique=True))
async def test_every_file_becomes_the_object_of_its_name_and_is_found_again(host, chosen):
    top = f"{next(_numbers)}"
    (host.data / top).mkdir()
    for name in chosen:
        (host.data / top / name).write_bytes(b"content of " + name.encode())
    order = host.order(f"/data/{top}/", f"{top}/")
    await host.push(order)
    there = {key: data for key, data in host.objects().items() if key.startswith(f"{top}/")}
    assert there == {f"{top}/{name}": b"content of " + name.encode() for name in chosen}
    assert host.progress().files_unchanged == 0
    await host.push(order)
    assert host.progress().files_unchanged == len(chosen)
