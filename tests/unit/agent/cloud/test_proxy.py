"""A host that reaches AWS only through its company's proxy, at port 443."""

import asyncio
import json
import os
import re
import socket
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import boto3
import httpx
import pytest
from botocore.config import Config as BotoConfig

from agent import run
from agent.cloud import http
from agent.cloud.live_link import LiveLink
from agent.cloud.messages import Connected, Disconnected
from agent.cloud.mqtt_link import MqttLink
from agent.cloud.proxy import Proxy, ProxyError, open_tunnel, proxy_for, use_configured
from agent.config import Config, NetworkConfig
from agent.errors import HostError
from agent.rclone.process import RcloneProcess, inherited_environment
from agent.rclone.s3_process import S3RcloneProcess
from events.commands import S3Route
from events.topics import Topics
from events.views import CredentialsView
from tests.support.connect_proxy import ConnectProxy
from tests.support.fakes_agent import THING
from tests.support.link_events import next_event
from tests.support.tls_front import TlsFront
from tests.support.waiting import HANG_TIMEOUT_S, until
from tests.unit.agent.conftest import BROKER_NAME

BROKER = BROKER_NAME, 443
API = "a1b2.execute-api.eu-central-1.amazonaws.com"
TOPIC = Topics("local").commands(THING)
USER, PASSWORD = "server-b", "s:e/c@r%e t"


@pytest.fixture
def credentials(tmp_path) -> Path:
    path = tmp_path / "proxy-credentials"
    path.write_text(f"{USER}:{PASSWORD}\n")
    path.chmod(0o600)
    return path


def configure(proxy: ConnectProxy, credentials: Path | None = None, **more: object) -> None:
    use_configured(NetworkConfig(proxy=proxy.url, proxy_credentials=credentials, **more))


@pytest.mark.parametrize("asks", [True, False])
async def test_the_broker_is_reached_by_its_name_at_port_443(
    cloud, endpoint, credentials, proxy_variables, asks
):
    with ConnectProxy({BROKER: cloud.mqtt_port}, f"{USER}:{PASSWORD}" if asks else None) as proxy:
        configure(proxy, credentials if asks else None)
        behind = replace(endpoint, host=BROKER_NAME, port=443, proxy=proxy_for(BROKER_NAME))
        async with MqttLink(behind, TOPIC) as link:
            await next_event(link.events(), Connected)
            await link.publish(TOPIC, b"to myself")
            async with asyncio.timeout(HANG_TIMEOUT_S):
                assert (await anext(link.messages())).payload == b"to myself"
        tunnel = proxy.tunnels[-1]
    assert tunnel.asks_for("x-amzn-mqtt-ca"), "AWS serves HTTPS at this port otherwise"
    assert tunnel.names_server
    assert PASSWORD not in repr(behind)


async def test_a_refusing_proxy_is_the_reason_and_its_password_is_not_told(
    endpoint, credentials, proxy_variables, caplog
):
    with ConnectProxy({BROKER: endpoint.port}, "someone:else") as proxy:
        configure(proxy, credentials)
        behind = replace(endpoint, host=BROKER_NAME, port=443, proxy=proxy_for(BROKER_NAME))
        async with MqttLink(behind, TOPIC) as link:
            event = await next_event(link.events(), Disconnected)
    assert event.reason.startswith(f"not through the proxy 127.0.0.1:{proxy.port}: ")
    assert PASSWORD not in event.reason + caplog.text


class AnsweringProxy(BaseHTTPRequestHandler):
    """Answers every request with its name of the server, as JSON and as a page with one link."""

    def do_GET(self) -> None:
        host = self.headers["Host"]
        page = b'<a href="film.mov">film.mov</a>' if self.path == "/files/" else json.dumps(host).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture
def api(tmp_path):
    """Serve HTTPS under the name of the API and of a bucket; yield the front."""
    with ThreadingHTTPServer(("127.0.0.1", 0), AnsweringProxy) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        with TlsFront(tmp_path / "front", server.server_port, API) as front:
            yield front
        server.shutdown()
        thread.join()


@pytest.fixture
def new_authorities():
    """Have the authorities read anew: a program reads them once, and this one has run other tests."""
    http._tls_context.cache_clear()
    yield
    http._tls_context.cache_clear()


@pytest.mark.usefixtures("new_authorities")
def test_https_takes_the_same_proxy_and_this_machine_none(api, credentials, proxy_variables):
    proxy_variables.setenv("SSL_CERT_FILE", str(api.ca))
    with ConnectProxy({(API, 443): api.port}, f"{USER}:{PASSWORD}") as proxy:
        configure(proxy, credentials)
        with http.client(f"https://{API}/v1") as client:
            assert client.get("health").json() == API
        with http.client("http://a1b2.localhost:1") as client, pytest.raises(httpx.ConnectError):
            client.get("health")
        assert len(proxy.tunnels) == 1
        assert proxy.refused == []


async def test_live_progress_takes_the_same_proxy(proxy_variables):
    with ConnectProxy({}) as proxy:
        configure(proxy)
        with LiveLink(f"wss://{BROKER_NAME}/mqtt?signed", "viewer", ("progress",)) as link:
            await until(lambda: proxy.refused)
            assert not link.connected
    assert proxy.refused[0] == (BROKER, 403)


def test_a_host_that_registers_is_told_that_the_proxy_is_in_the_way(tmp_path, credentials, proxy_variables):
    with ConnectProxy({(API, 443): 1}, "someone:else") as proxy:
        network = {"proxy": proxy.url, "proxy_credentials": str(credentials)}
        roots = [{"path": "/data", "access": "ro", "directory": str(tmp_path)}]
        config = Config.model_validate({"state": str(tmp_path / "state"), "roots": roots, "network": network})
        with pytest.raises(HostError, match="the proxy does not let") as caught:
            run.register(config, f"https://{API}/v1", "t" * 30)
    assert "407" in caught.value.message
    assert "proxy_credentials" in caught.value.advice
    assert PASSWORD not in caught.value.message
    assert list((tmp_path / "state").iterdir()) == []


def test_rclone_takes_the_same_proxy_without_naming_its_password(api, credentials, proxy_variables):
    proxy_variables.setenv("SSL_CERT_FILE", str(api.ca))
    with ConnectProxy({(API, 443): api.port}, f"{USER}:{PASSWORD}") as proxy:
        configure(proxy, credentials)
        rclone = RcloneProcess(inherited_environment() | {"RCLONE_CONFIG": ""})
        process = rclone.spawn("lsf", ":http:", "--http-url", f"https://{API}/files/")
        arguments = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        output, errors = process.communicate(timeout=HANG_TIMEOUT_S)
        rclone.close()
        assert output == b"film.mov\n", errors
        assert PASSWORD.encode() not in arguments + errors
        assert {tunnel.target for tunnel in proxy.tunnels} == {(API, 443)}


def issued(_: str, /, **__: object) -> CredentialsView:
    end = datetime.now(UTC) + timedelta(hours=1)
    return CredentialsView(
        access_key_id="a", secret_access_key="b", session_token="c", expires_at=end, region="", endpoint=None
    )


@pytest.mark.parametrize(
    ("region", "bucket"),
    [("eu-central-1", "my-media"), ("eu-central-1", "my.media"), ("us-east-1", "my-media")],
)
def test_the_guide_lists_the_names_that_agents_ask_for(proxy_variables, region, bucket):
    """A company lets out what docs/guides/network.md lists, and no more."""
    guide = Path("docs/guides/network.md").read_text().partition("## Names for an allow-list")[2]
    names = re.findall(r"`([a-z0-9.*A-Z-]+\.(?:com|net|org))`", guide.partition("A test compares")[0])
    listed = [name.replace("REGION", region) for name in names]
    with ConnectProxy({}) as proxy:
        configure(proxy)
        rclone = S3RcloneProcess("hop", S3Route(region=region), issued)
        rclone.spawn("lsf", f"s3:{bucket}/", "--retries", "1", "--low-level-retries", "1").communicate()
        rclone.close()
        asked = {name for (name, _), _ in proxy.refused}
    s3 = boto3.client(
        "s3",
        region_name=region,
        aws_access_key_id="a",
        aws_secret_access_key="b",
        config=BotoConfig(signature_version="s3v4", s3={"addressing_style": "virtual"}),
    )
    url = s3.generate_presigned_url("put_object", Params={"Bucket": "manifests", "Key": "a"})
    assert asked, "rclone takes the proxy"
    asked |= {urlsplit(url).hostname, *(name.replace("eu-central-1", region) for name in (BROKER_NAME, API))}
    assert {name for name in asked if not any(fnmatch(name, one) for one in listed)} == set()


def test_names_of_the_company_are_reached_directly(proxy_variables):
    use_configured(
        NetworkConfig(proxy="http://proxy.corp.example:3128", no_proxy=(".corp.example", "vpce.aws"))
    )
    assert proxy_for("s3.amazonaws.com") == Proxy("proxy.corp.example", 3128)
    direct = ("nas.corp.example", "vpce.aws", "s3.vpce.aws", "127.0.0.1", "::1", "api.localhost", "localhost")
    assert [name for name in direct if proxy_for(name)] == []
    assert proxy_for("corp.example")
    assert proxy_for("notvpce.aws")


def test_without_a_proxy_of_its_own_the_agent_uses_the_environment_s(proxy_variables):
    use_configured(NetworkConfig())
    assert proxy_for(BROKER_NAME) is None
    proxy_variables.setenv("HTTPS_PROXY", "proxy.example:8080")
    assert proxy_for(BROKER_NAME) == Proxy("proxy.example", 8080)
    proxy_variables.setenv("https_proxy", "http://ann:p%40ss@proxy.example")
    assert proxy_for(BROKER_NAME) == Proxy("proxy.example", 80, "ann", "p@ss")


@pytest.mark.parametrize("url", ["socks5://ann:secret@proxy.example", "http://", "http://x:secret@[::1"])
def test_another_kind_of_proxy_is_refused_without_its_password(proxy_variables, url):
    proxy_variables.setenv("HTTPS_PROXY", url)
    with pytest.raises(HostError) as caught:
        proxy_for(BROKER_NAME)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "mode", "text"),
    [
        (b"ann:secret", 0o644, "other users may read"),
        (b"ann:secret", 0o660, "other users may read or change"),
        (b"secret", 0o600, "has no credentials"),
        (b":secret", 0o600, "has no credentials"),
        (b"", 0o600, "has no credentials"),
        (b"ann:secret\nbob:secret\n", 0o600, "has no credentials"),
        (b"ann:secret\0", 0o600, "has no credentials"),
        (b"ann:\xff\xfe", 0o600, "has no credentials"),
        (b"ann:" + b"secret" * 1000, 0o600, "has no credentials"),
        (None, 0o600, "cannot be read"),
    ],
)
def test_a_file_of_credentials_that_cannot_be_used_is_named_and_not_quoted(
    tmp_path, proxy_variables, content, mode, text
):
    path = tmp_path / "proxy-credentials"
    if content is not None:
        path.write_bytes(content)
        path.chmod(mode)
    with pytest.raises(HostError) as caught:
        use_configured(NetworkConfig(proxy="http://proxy.example:3128", proxy_credentials=path))
    assert text in caught.value.message
    assert str(path) in caught.value.message
    assert "secret" not in caught.value.message + caught.value.advice
    assert "HTTPS_PROXY" not in os.environ


def test_a_password_may_have_any_character_of_a_url(tmp_path, proxy_variables):
    path = tmp_path / "proxy-credentials"
    path.write_text("corp\\ann:p:a/s@s%w?o#r d\n")
    path.chmod(0o600)
    use_configured(NetworkConfig(proxy="http://[2001:db8::1]:3128", proxy_credentials=path))
    assert proxy_for(BROKER_NAME) == Proxy("2001:db8::1", 3128, "corp\\ann", "p:a/s@s%w?o#r d")


@pytest.mark.parametrize(
    ("answer", "status"),
    [(b"HTTP/1.1 503 Busy\r\n\r\n", 503), (b"SSH-2.0-OpenSSH\r\n\r\n", 0), (b"", 0), (b"\xff" * 20_000, 0)],
)
def test_what_is_not_a_proxy_is_refused_with_advice(answer, status):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with server.accept()[0] as client, suppress(OSError):
                client.recv(1000)
                client.sendall(answer)

        thread = Thread(target=serve)
        thread.start()
        with pytest.raises(ProxyError) as caught:
            open_tunnel(Proxy("127.0.0.1", server.getsockname()[1]), *BROKER, HANG_TIMEOUT_S)
        thread.join()
    assert caught.value.status == status
    assert caught.value.advice
