"""Test that the lane is HTTP over TLS for any client: curl with a certificate and a token."""

import asyncio
import base64
import hashlib
import json
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from agent.files.digests import DIGEST_BYTES, digest_of
from agent.identity import lane_certificate
from agent.identity.lane_certificate import Identity
from infra.local.demo_files import MIB, write_random
from tests.support.hosts import TOKEN, TRANSFER, Hosts
from tests.unit.agent.lane.test_lane_server import HOP, file_fields

REFUSED_BY_TLS = {35, 55, 56}
"""curl's exit codes for a failed handshake; with TLS 1.3 curl may only notice when it sends or reads."""


@pytest.fixture
def hosts(tmp_path):
    hosts = Hosts(tmp_path)
    hosts.serve(HOP, "/data/")
    write_random(hosts.data / "file", 2 * MIB + 77)
    yield hosts
    hosts.close()


def pinned_key(certificate: Path) -> str:
    """Return the public key of a certificate in curl's syntax."""
    key = x509.load_pem_x509_certificate(certificate.read_bytes()).public_key()
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return f"sha256//{base64.b64encode(hashlib.sha256(der).digest()).decode()}"


async def curl(
    hosts: Hosts,
    verb: str,
    body: object,
    *,
    hop: str = HOP,
    identity: Identity | None,
    token: str | None = TOKEN,
) -> tuple[int, str, bytes]:
    """Return curl's exit code, the HTTP status, and the response's body."""
    folder = hosts.state
    headers = [f"Authorization: Bearer {token}"] if token else []
    (folder / "headers").write_text("\n".join([*headers, "Content-Type: application/json"]))
    (folder / "body").write_text(json.dumps(body))
    (folder / "answer").unlink(missing_ok=True)
    shown = ["--cert", str(identity.certificate), "--key", str(identity.key)] if identity else []
    process = await asyncio.create_subprocess_exec(
        *("curl", "--silent", "--max-time", "30", "--noproxy", "*", "--tlsv1.3"),
        *("--insecure", "--pinnedpubkey", pinned_key(hosts.b.certificate), *shown),
        *("--connect-to", f"{hop}:443:127.0.0.1:{hosts.server.port}"),
        *("--header", f"@{folder}/headers", "--data-binary", f"@{folder}/body"),
        *("--output", f"{folder}/answer", "--write-out", "%{http_code}"),
        f"https://{hop}/hops/{hop}/{verb}",
        stdout=asyncio.subprocess.PIPE,
    )
    status, _ = await process.communicate()
    answer = folder / "answer"
    return process.returncode or 0, status.decode(), answer.read_bytes() if answer.exists() else b""


def range_body(hosts: Hosts, start: int, length: int) -> dict[str, object]:
    return {**file_fields(hosts.data / "file", "file"), "start": start, "length": length}


async def test_a_range_has_its_bytes_and_digest(hosts):
    data = (hosts.data / "file").read_bytes()
    for start, length in ((0, len(data)), (MIB, MIB + 77), (5, 1)):
        code, status, answer = await curl(hosts, "range", range_body(hosts, start, length), identity=hosts.c)
        piece = data[start : start + length]
        assert (code, status) == (0, "200")
        assert answer[:-DIGEST_BYTES] == piece
        assert answer[-DIGEST_BYTES:] == digest_of(piece)


async def test_a_manifest_has_one_line_an_entry(hosts):
    code, status, answer = await curl(hosts, "manifest", {}, identity=hosts.c)
    lines = [json.loads(line) for line in answer.splitlines()]
    assert (code, status) == (0, "200")
    assert [line[:3] for line in lines] == [["d", "", 0], ["f", "file", 2 * MIB + 77], ["end", 2]]


@pytest.mark.parametrize("token", [None, "another hop's", TOKEN[:-1]])
async def test_a_wrong_token_is_refused(hosts, token):
    code, status, answer = await curl(
        hosts, "range", range_body(hosts, 0, MIB), identity=hosts.c, token=token
    )
    assert (code, status) == (0, "401")
    assert json.loads(answer)["code"] == "not-served"


async def test_a_wrong_certificate_is_refused(hosts, tmp_path):
    (tmp_path / "mallory").mkdir()
    for who in (None, lane_certificate.ensure(tmp_path / "mallory"), hosts.b):
        code, status, answer = await curl(hosts, "range", range_body(hosts, 0, MIB), identity=who)
        assert code in REFUSED_BY_TLS
        assert (status, answer) == ("000", b"")


async def test_another_hop_is_refused(hosts):
    code, status, answer = await curl(
        hosts, "range", range_body(hosts, 0, MIB), hop=f"{TRANSFER}-501", identity=hosts.c
    )
    assert code in REFUSED_BY_TLS
    assert (status, answer) == ("000", b"")


async def test_paths_outside_the_source_are_refused(hosts):
    for path in ("../keys", "/etc/passwd", "file/../../b-keys/lane.key"):
        asked = {"path": path, "size": 1, "mtime_ns": 1, "ctime_ns": 1, "start": 0, "length": 1}
        _, status, answer = await curl(hosts, "range", asked, identity=hosts.c)
        assert status == "400"
        assert json.loads(answer)["code"] == "malformed"
