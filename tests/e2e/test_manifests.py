"""Manifests of transfers match the files on the destination's disk."""

import gzip
import json
import os
from pathlib import Path
from typing import Any

import httpx
import pytest
import xxhash

from agent.cloud import http
from agent.files.digests import RANGE_BYTES
from events.manifest import ManifestLine
from infra.local.demo_files import MIB, write_random
from infra.local.environment import until
from tests.e2e.conftest import Fleet

pytestmark = pytest.mark.e2e


def manifest(fleet: Fleet, transfer_id: str) -> dict[bytes, ManifestLine]:
    """Wait for the manifest of the first hop and return its lines by path."""

    def ask() -> list[dict[str, Any]]:
        return list(fleet.api.get(f"/transfers/{transfer_id}/manifest")["hops"])

    [hop, *_] = until("the manifest", ask)
    with http.client(hop["url"]) as client:
        answer = client.get(hop["url"])
    assert answer.is_success, answer.text
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{transfer_id}-0.jsonl.gz"'
    lines = map(ManifestLine.model_validate_json, gzip.decompress(answer.content).splitlines())
    return {line.decoded_path: line for line in lines}


def digest(path: Path) -> str:
    """Compute a digest as the guide describes, without Crosshaul's code."""
    data = path.read_bytes()
    ranges = [
        xxhash.xxh3_128_digest(data[at : at + RANGE_BYTES]) for at in range(0, max(len(data), 1), RANGE_BYTES)
    ]
    return (ranges[0] if len(ranges) == 1 else xxhash.xxh3_128_digest(b"".join(ranges))).hex()


def test_it_says_what_lies_at_the_destination(fleet: Fleet) -> None:
    source = fleet.folder("server-b:/data/told")
    write_random(source / "big.mov", 40 * MIB)
    write_random(source / "day 1/ü.mov", MIB)
    write_random(source / os.fsdecode(b"caf\xe9.mov"), 1000)
    (source / "empty").touch()

    transfer = fleet.copy("server-b:/data/told/", "server-c:/archive/told/")
    assert fleet.until_ended(transfer)["state"] == "succeeded"

    there = fleet.folder("server-c:/archive/told")
    files = {os.fsencode(path.relative_to(there)): path for path in there.rglob("*") if path.is_file()}
    lines = {name: line for name, line in manifest(fleet, transfer).items() if line.kind == "f"}
    assert set(lines) == set(files)
    for name, path in files.items():
        assert (lines[name].outcome, lines[name].size) == ("sent", path.stat().st_size)
        assert lines[name].digest == digest(path), name


def test_a_file_that_failed_is_named_with_the_reason(fleet: Fleet) -> None:
    source = fleet.folder("server-b:/data/told in part")
    write_random(source / "good", 1000)
    write_random(source / "in the way", 1000)
    (fleet.folder("server-c:/archive/told in part") / "in the way").mkdir(parents=True)

    transfer = fleet.copy("server-b:/data/told in part/", "server-c:/archive/told in part/")
    assert fleet.until_ended(transfer)["state"] == "partially_failed"

    lines = manifest(fleet, transfer)
    assert lines[b"good"].outcome == "sent"
    assert lines[b"in the way"].outcome == "failed"
    assert "in the way" in str(lines[b"in the way"].problem)


def test_from_and_to_s3_it_is_there_as_well(fleet: Fleet) -> None:
    bucket = fleet.here.outputs.bucket
    write_random(fleet.folder("server-b:/data/told s3") / "a ü.mov", MIB)
    up = fleet.copy("server-b:/data/told s3/", f"s3://{bucket}/told/")
    assert fleet.until_ended(up)["state"] == "succeeded"
    down = fleet.copy(f"s3://{bucket}/told/", "server-d:/backup/told/")
    assert fleet.until_ended(down)["state"] == "succeeded"
    expected = digest(fleet.folder("server-d:/backup/told") / "a ü.mov")
    for transfer in (up, down):
        assert manifest(fleet, transfer)["a ü.mov".encode()].digest == expected


def test_an_agent_may_neither_read_it_nor_write_another_s(fleet: Fleet) -> None:
    write_random(fleet.folder("server-b:/data/mine") / "a", 1000)
    transfer = fleet.copy("server-b:/data/mine/", "server-c:/archive/mine/")
    fleet.until_ended(transfer)
    manifest(fleet, transfer)
    key = {name: fleet.api_key(name) for name in ("server-b", "server-c")}

    def ask(name: str) -> httpx.Response:
        body = {"hop_id": f"{transfer}-0", "size": 5, "succeeded": True}
        headers = {"X-Agent-Key": key[name]}
        with http.client(fleet.here.outputs.api_url) as client:
            return client.post(f"agents/{name}/manifests", json=body, headers=headers)

    assert ask("server-b").status_code == 409
    place = ask("server-c").json()
    with http.client(place["url"]) as client:
        assert client.get(place["url"]).status_code == 403
        elsewhere = place["url"].replace(f"/{transfer}/0.", f"/{transfer}/1.")
        assert client.put(elsewhere, content=b"zippy", headers=place["headers"]).status_code == 403
    assert b"a" in manifest(fleet, transfer)


def test_an_upload_that_is_cut_comes_later_and_though_the_agent_is_killed(fleet: Fleet) -> None:
    """The agent gets an API address where nothing answers, is killed, and restarts with the right one."""
    write_random(fleet.folder("server-b:/data/cut") / "a", 1000)
    registration = fleet.servers["server-c"].state / "registration.json"
    right = registration.read_text()
    wrong = json.loads(right) | {"api_url": "http://127.0.0.1:9/v1"}
    fleet.stop("server-c")
    registration.write_text(json.dumps(wrong))
    try:
        fleet.start("server-c")
        transfer = fleet.copy("server-b:/data/cut/", "server-c:/archive/cut/")
        assert fleet.until_ended(transfer)["state"] == "succeeded"
        assert fleet.api.get(f"/transfers/{transfer}/manifest")["missing"] == [f"{transfer}-0"]
        fleet.agent("server-c").kill()
    finally:
        registration.write_text(right)
    fleet.start("server-c")
    assert set(manifest(fleet, transfer)) >= {b"a"}
