"""`manifest`: printed, written to a file, and filtered by failures."""

import gzip
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from events.manifest import ManifestLine
from tests.support.fakes_api import TRANSFER, FakeApi, sample
from tests.unit.cli.conftest import Run

HOP = f"{TRANSFER}-0"


class Bucket:
    """A bucket that answers anonymous requests and refuses requests with a token."""

    def __init__(self) -> None:
        self.has = b""
        bucket = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                assert "Authorization" not in self.headers
                self.send_response(200 if bucket.has else 403)
                self.send_header("Content-Length", str(len(bucket.has)))
                self.end_headers()
                self.wfile.write(bucket.has)

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/key?signed"

    def put(self, *lines: ManifestLine) -> None:
        self.has = gzip.compress(b"".join(line.model_dump_json().encode() + b"\n" for line in lines))


@pytest.fixture
def bucket(signed_in: FakeApi) -> Iterator[Bucket]:
    bucket = Bucket()
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
    return sample(ManifestLine, path=path, raw=None, outcome="failed", digest=None, reason="it changed")


def test_it_is_printed_line_by_line(bucket: Bucket, run: Run) -> None:
    bucket.put(sent("a"), failed("b"))
    lines = [json.loads(line) for line in run("manifest", TRANSFER).out.splitlines()]
    assert [(line["path"], line["outcome"]) for line in lines] == [("a", "sent"), ("b", "failed")]


def test_only_what_did_not_arrive(bucket: Bucket, run: Run) -> None:
    bucket.put(sent("a"), failed("b"))
    [line] = run("manifest", TRANSFER, "--failed").out.splitlines()
    assert json.loads(line)["reason"] == "it changed"


def test_kept_in_a_file(bucket: Bucket, run: Run, tmp_path: Path) -> None:
    bucket.put(*(sent(f"{number}") for number in range(5000)))
    kept = tmp_path / "manifest.jsonl"
    assert run("manifest", TRANSFER, "--output", str(kept)).out == ""
    assert len(kept.read_text().splitlines()) == 5000
    assert run("manifest", TRANSFER, "--output", str(tmp_path / "none/there")).code == 2


def test_hops_without_one_are_told(bucket: Bucket, run: Run, signed_in: FakeApi) -> None:
    bucket.put(sent("a"))
    signed_in.missing = (f"{TRANSFER}-1",)
    assert "the manifest of 1 hop" in run("manifest", TRANSFER).err


def test_there_is_none_yet(signed_in: FakeApi, run: Run) -> None:
    result = run("manifest", TRANSFER)
    assert result.code == 4
    assert "no manifest" in result.err


@pytest.mark.parametrize("broken", [lambda whole: whole[:-9], lambda whole: b""])
def test_what_breaks_off_leaves_no_file(
    bucket: Bucket, run: Run, tmp_path: Path, broken: Callable[[bytes], bytes]
) -> None:
    bucket.put(sent("a"))
    bucket.has = broken(bucket.has)
    result = run("manifest", TRANSFER, "--output", str(tmp_path / "manifest"))
    assert result.code == 5
    assert not [path for path in tmp_path.iterdir() if "manifest" in path.name]
