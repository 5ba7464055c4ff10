"""Test the way to AWS itself: TLS, the bucket's own host name, and a company's proxy."""

from contextlib import closing
from types import SimpleNamespace

import pytest

from agent.s3 import client as client_module
from agent.s3 import connections
from agent.s3.client import S3Client
from agent.s3.errors import ConnectionLostError
from agent.s3.signing import UNSIGNED
from events.commands import S3Route
from infra.local.demo_files import MIB
from tests.support.connect_proxy import ConnectProxy
from tests.support.issued_keys import IssuedKeys
from tests.support.s3_server import S3Server
from tests.support.tls_front import TlsFront

REGION_HOST = "s3.eu-central-1.amazonaws.com"
ODD_KEY = "Köln/a//b/../100% + ?#&=/名.mov"


@pytest.fixture(params=["media", "my.media"])
def aws(request, tmp_path, monkeypatch):
    """S3 of a region under its real names, which only the proxy knows; its certificate is as AWS's."""
    own_host = REGION_HOST if "." in request.param else f"{request.param}.{REGION_HOST}"
    with S3Server(bucket=request.param) as server:
        port = int(server.url.rpartition(":")[2])
        with TlsFront(tmp_path / "tls", port, REGION_HOST, f"*.{REGION_HOST}") as front:
            ways = {(host, 443): front.port for host in (own_host, f"another.{own_host}")}
            with ConnectProxy(ways) as proxy:
                monkeypatch.setenv("https_proxy", proxy.url)
                monkeypatch.setenv("SSL_CERT_FILE", str(front.ca))
                monkeypatch.setattr(client_module, "_delay_s", lambda _failures: 0.001)
                connections._tls_context.cache_clear()
                yield SimpleNamespace(server=server, proxy=proxy, host=own_host, bucket=request.param)
    connections._tls_context.cache_clear()


def client_for(bucket: str) -> S3Client:
    return S3Client(bucket, S3Route(region="eu-central-1"), IssuedKeys(), "hop-0")


def test_requests_reach_a_bucket_at_the_name_that_its_certificate_covers(aws):
    """A wildcard covers one label: a bucket with a dot in its name is reached at the region's host."""
    data = b"12345678" * (MIB // 4)
    with closing(client_for(aws.bucket)) as client:
        client.request("PUT", ODD_KEY, body=data)
        client.request("PUT", "small", body=b"small")
        with closing(client.get(ODD_KEY)) as download:
            assert download.read(len(data)) == data
        listed = client.list_page("")
    assert {key: stored.data for key, stored in aws.server.objects.items()} == {
        ODD_KEY: data,
        "small": b"small",
    }
    assert {one.key for one in listed.objects} == {ODD_KEY, "small"}
    assert {one.headers["host"] for one in aws.server.requests} == {aws.host}
    puts = [one for one in aws.server.requests if one.method == "PUT"]
    assert {one.headers["x-amz-content-sha256"] for one in puts} == {UNSIGNED}, "TLS protects the bodies"
    assert {tunnel.target for tunnel in aws.proxy.tunnels} == {(aws.host, 443)}
    assert all(tunnel.names_server for tunnel in aws.proxy.tunnels)
    assert len(aws.proxy.tunnels) == 1, "one connection for requests that follow each other"


def test_a_server_that_the_host_does_not_trust_gets_no_request(aws, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    connections._tls_context.cache_clear()
    with closing(client_for(aws.bucket)) as client, pytest.raises(ConnectionLostError, match="TLS: "):
        client.request("PUT", "secret", body=b"secret")
    assert aws.server.requests == []
    assert aws.server.bytes_arrived == 0


def test_a_name_that_the_proxy_refuses_is_said(aws):
    with closing(client_for("elsewhere")) as client, pytest.raises(ConnectionLostError, match="403"):
        client.request("GET", "x")
    assert aws.server.requests == []
