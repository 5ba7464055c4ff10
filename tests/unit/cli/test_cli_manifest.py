"""`manifest`: printed, written to a file, and filtered by failures."""

import csv
import gzip
import io
import json
import os
import socket
import threading
import unicodedata
import zlib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.cli.errors import Exit
from agent.cli.text import escaped_json
from events.base import Problem
from events.manifest import ManifestLine
from tests.support.fakes_api import TRANSFER, FakeApi, sample
from tests.unit.cli.conftest import Run

HOP = f"{TRANSFER}-0"


class PresignedBucket:
    """A bucket that answers anonymous requests and refuses requests with a token."""

    def __init__(self) -> None:
        self.has = b""
        bucket = self

        class BucketHandler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                assert "Authorization" not in self.headers
                self.send_response(200 if bucket.has else 403)
                self.send_header("Content-Length", str(len(bucket.has)))
                self.end_headers()
                self.wfile.write(bucket.has)

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), BucketHandler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/key?signed"

    def put(self, *lines: ManifestLine) -> None:
        self.has = gzip.compress(b"".join(line.model_dump_json().encode() + b"\n" for line in lines))


@pytest.fixture
def bucket(signed_in: FakeApi) -> Iterator[PresignedBucket]:
    bucket = PresignedBucket()
    thread = threading.Thread(target=bucket.server.serve_forever)
    thread.start()
    signed_in.manifests = {HOP: bucket.url}
    yield bucket
    bucket.server.shutdown()
    thread.join()
    bucket.server.server_close()


def sent(path: str) -> ManifestLine:
    return sample(ManifestLine, path=path, raw=None)


def failed(path: str) -> ManifestLine:
    return sample(
        ManifestLine,
        path=path,
        raw=None,
        outcome="failed",
        digest=None,
        problem=Problem(code="source-changed", message="it changed"),
    )


def test_it_is_printed_line_by_line(bucket: PresignedBucket, run: Run) -> None:
    bucket.put(sent("a"), failed("b"))
    lines = [json.loads(line) for line in run("manifest", TRANSFER).out.splitlines()]
    assert [(line["path"], line["outcome"]) for line in lines] == [("a", "sent"), ("b", "failed")]


def test_only_what_did_not_arrive(bucket: PresignedBucket, run: Run) -> None:
    bucket.put(sent("a"), failed("b"))
    [line] = run("manifest", TRANSFER, "--failed").out.splitlines()
    assert json.loads(line)["problem"]["message"] == "it changed"


def test_what_did_not_arrive_is_opened_in_a_spreadsheet_in_which_no_name_is_a_formula(
    bucket: PresignedBucket, run: Run
) -> None:
    bucket.put(sent("a"), failed("=1+1\x1b[2J,\n"), sent("b"))
    out = run("manifest", TRANSFER, "--failed", "--format", "csv").out
    [row] = csv.DictReader(io.StringIO(out))
    assert row["path"] == r"'=1+1\x1b[2J,\n"
    assert (row["outcome"], row["reason"], row["digest"]) == ("failed", "it changed", "")
    assert len(list(csv.reader(io.StringIO(run("manifest", TRANSFER, "--format", "csv").out)))) == 1 + 3


def test_kept_in_a_file(bucket: PresignedBucket, run: Run, tmp_path: Path) -> None:
    bucket.put(*(sent(f"{number}") for number in range(5000)))
    kept = tmp_path / "manifest.jsonl"
    assert run("manifest", TRANSFER, "--output", str(kept)).out == ""
    assert len(kept.read_text().splitlines()) == 5000
    assert run("manifest", TRANSFER, "--output", str(tmp_path / "none/there")).code == 2


def test_dash_is_standard_output(bucket: PresignedBucket, run: Run) -> None:
    bucket.put(sent("a"))
    assert len(run("manifest", TRANSFER, "-o", "-").out.splitlines()) == 1
    assert not Path("-").exists()


def test_a_manifest_goes_into_a_pipe_and_a_device_that_stay_what_they_are(
    bucket: PresignedBucket, run: Run, tmp_path: Path
) -> None:
    bucket.put(*(sent(f"{number}") for number in range(3000)))
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_bytes()))
    reader.start()
    assert run("manifest", TRANSFER, "-o", str(pipe)).code == 0
    reader.join()
    assert received[0].count(b"\n") == 3000
    assert pipe.is_fifo()
    null = tmp_path / "null"
    null.symlink_to("/dev/null")
    assert run("manifest", TRANSFER, "-o", str(null)).code == 0
    assert null.is_symlink()
    assert Path("/dev/null").is_char_device()


def test_a_link_stays_and_the_file_that_it_names_is_written(
    bucket: PresignedBucket, run: Run, tmp_path: Path
) -> None:
    bucket.put(sent("a"))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    kept, link = elsewhere / "kept.jsonl", tmp_path / "latest"
    link.symlink_to(kept)  # it dangles at first
    assert run("manifest", TRANSFER, "-o", str(link)).code == 0
    kept.write_text("before")
    kept.chmod(0o600)
    assert run("manifest", TRANSFER, "-o", str(link)).code == 0
    assert link.is_symlink()
    assert json.loads(kept.read_text())["path"] == "a"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in elsewhere.iterdir()] == ["kept.jsonl"]


def test_what_is_no_place_for_a_manifest_is_named(bucket: PresignedBucket, run: Run, tmp_path: Path) -> None:
    bucket.put(sent("a"))
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        for place, reason in ((tmp_path, "a directory"), (loop, "links"), (tmp_path / "socket", "a socket")):
            result = run("manifest", TRANSFER, "-o", str(place))
            assert result.code == Exit.USAGE
            assert reason in result.err
    full = run("manifest", TRANSFER, "-o", "/dev/full")
    assert (full.code, "No space left" in full.err, "df -i" in full.err) == (Exit.OUTPUT, True, True)


def test_hops_without_one_are_told(bucket: PresignedBucket, run: Run, signed_in: FakeApi) -> None:
    bucket.put(sent("a"))
    signed_in.missing = (f"{TRANSFER}-1",)
    assert "the manifest of 1 hop" in run("manifest", TRANSFER).err


def test_there_is_none_yet(signed_in: FakeApi, run: Run) -> None:
    result = run("manifest", TRANSFER)
    assert result.code == 4
    assert "no manifest" in result.err


@pytest.mark.parametrize("broken", [lambda whole: whole[:-9], lambda whole: b""])
def test_what_breaks_off_leaves_no_file(
    bucket: PresignedBucket, run: Run, tmp_path: Path, broken: Callable[[bytes], bytes]
) -> None:
    bucket.put(sent("a"))
    bucket.has = broken(bucket.has)
    result = run("manifest", TRANSFER, "--output", str(tmp_path / "manifest"))
    assert result.code == 5
    assert not [path for path in tmp_path.iterdir() if "manifest" in path.name]


@pytest.mark.parametrize("name", ["\x1b]0;owned\x07", "\x9b2J", "\u202efdp.exe", "tag \U000e0041", "\u2028"])
def test_a_name_cannot_drive_the_terminal_and_stays_the_same_name(
    bucket: PresignedBucket, run: Run, name: str
) -> None:
    """An agent that means ill writes its manifest itself, and not as JSON escapes characters."""
    line = {**json.loads(sent("x").model_dump_json()), "path": name}
    bucket.has = gzip.compress(json.dumps(line, ensure_ascii=False).encode() + b"\n")
    out = run("manifest", TRANSFER).out
    assert [one for one in out if unicodedata.category(one) in {"Cc", "Cf", "Zl", "Zp"}] == ["\n"]
    assert json.loads(out)["path"] == name


@given(st.dictionaries(st.text(), st.text() | st.integers()))
def test_escaped_json_means_the_same_and_steers_nothing(value: dict[str, Any]) -> None:
    escaped = escaped_json(json.dumps(value, ensure_ascii=False))
    assert json.loads(escaped) == value
    assert not any(unicodedata.category(one) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for one in escaped)


@pytest.mark.parametrize(
    "content",
    [b"\x1b[2J\n", b'"text"\n', b"[" * 100_000, b"\xff\xfe\n", b'{"path": "\x1b[2J"}\n', b"x" * 2 * 1024**2],
    ids=["no JSON", "text", "nested", "not UTF-8", "control characters", "one long line"],
)
def test_what_is_no_manifest_is_not_printed(bucket: PresignedBucket, run: Run, content: bytes) -> None:
    bucket.has = gzip.compress(content)
    result = run("manifest", TRANSFER)
    assert (result.code, result.out) == (1, "")
    assert "not usable" in result.err


@pytest.mark.parametrize("failed", [[], ["--failed"]])
def test_a_manifest_that_unpacks_to_gigabytes_ends_early(
    bucket: PresignedBucket, run: Run, tmp_path: Path, failed: list[str]
) -> None:
    packer, line = zlib.compressobj(9, wbits=31), sent("a" * 900_000).model_dump_json().encode() + b"\n"
    pieces = [packer.compress(line) for _ in range(120)]
    bucket.has = b"".join([*pieces, packer.flush()])
    assert len(bucket.has) < 150_000
    result = run("manifest", TRANSFER, "--output", str(tmp_path / "manifest"), *failed)
    assert result.code == 1
    assert "unpacks to far more" in result.err
    assert not [path for path in tmp_path.iterdir() if "manifest" in path.name]


def test_what_is_not_gzip_is_an_error(bucket: PresignedBucket, run: Run) -> None:
    bucket.has = b"<html>"
    result = run("manifest", TRANSFER)
    assert result.code == 1
    assert "cannot be unpacked" in result.err


def test_the_failures_of_lines_about_no_file_are_an_error(bucket: PresignedBucket, run: Run) -> None:
    bucket.has = gzip.compress(b'{"path": "a"}\n')
    assert run("manifest", TRANSFER, "--failed").code == 1
