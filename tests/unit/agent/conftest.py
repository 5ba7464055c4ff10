"""Fixtures: two hosts with a lane between them, an embedded cloud, and an agent's certificate from it.

The embedded cloud is for tests that need a real broker.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import urllib.request
from pathlib import Path

import boto3
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from agent.cloud import http
from agent.cloud.messages import BrokerEndpoint
from agent.lane import connection_race
from agent.lane.connection_race import ConnectionRace
from agent.lane.limits import LaneLimits
from infra.local.processes import free_port
from tests.support.fakes_agent import THING
from tests.support.hosts import Hosts
from tests.support.waiting import HANG_TIMEOUT_S

REGION = "eu-central-1"
BROKER_NAME = f"a1b2c3-ats.iot.{REGION}.amazonaws.com"
"""The broker's name in AWS, which its certificate has; only a proxy of a test knows where it is."""
MINISTACK = Path(__file__).parents[3] / ".crosshaul/cloud-env/bin/ministack"


class RestartableCloud:
    """An embedded cloud in a folder of its own; it can be stopped and started again on the same ports."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.mqtt_port = free_port(), free_port()
        self.process = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "BIND_HOST": "127.0.0.1",
            "PERSIST_STATE": "1",
            "STATE_DIR": str(self.folder / "state"),
            "GATEWAY_PORT": str(self.port),
            "IOT_MTLS_PORT": str(self.mqtt_port),
            "IOT_RETRANSMIT_SECONDS": "2",
            "MINISTACK_REGION": REGION,
            "MINISTACK_HOST": "amazonaws.com",  # the broker's certificate has AWS's name, too
        }
        with (self.folder / "cloud.log").open("ab") as log:
            self.process = subprocess.Popen([MINISTACK], env=env, stdout=log, stderr=log, cwd=self.folder)

    async def ready(self) -> None:
        async with asyncio.timeout(HANG_TIMEOUT_S):
            while True:
                with contextlib.suppress(OSError):
                    await asyncio.to_thread(self.ca)
                    return
                await asyncio.sleep(0.05)

    def ca(self) -> bytes:
        with urllib.request.urlopen(f"{self.url}/_ministack/iot/ca.pem", timeout=HANG_TIMEOUT_S) as response:
            return response.read()

    def stop(self) -> None:
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(HANG_TIMEOUT_S)
            self.process = None

    def client(self, service: str):
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        return boto3.client(service, region_name=REGION, endpoint_url=self.url, **keys)


@pytest.fixture
def lane_limits() -> LaneLimits:
    """Return the limits of both hosts' lanes: `with_lane_limits` replaces them for one test."""
    return LaneLimits()


@pytest.fixture
def races_end_when_each_way_failed(monkeypatch):
    """Let an agent give up once each way to connect has failed, instead of after some time.

    On a busy machine a way may not even have been tried by then.
    """
    really = ConnectionRace._wait_until_over

    def wait(race: ConnectionRace, seconds: float) -> bool:
        if connection_race._NO_ANSWER_TEXT not in race._errors.values():
            race.end_race()
        return really(race, seconds)

    monkeypatch.setattr(ConnectionRace, "_wait_until_over", wait)


@pytest.fixture
def hosts(tmp_path, lane_limits):
    hosts = Hosts(tmp_path, lane_limits=lane_limits)
    yield hosts
    hosts.close()


@pytest.fixture
async def cloud(tmp_path):
    cloud = RestartableCloud(tmp_path)
    cloud.start()
    try:
        await cloud.ready()
        yield cloud
    finally:
        cloud.stop()


@pytest.fixture
def proxy_variables(monkeypatch):
    """Let a test name a proxy in the environment, or the agent in its place, and remove it afterward."""
    monkeypatch.setattr(http, "_tls_context", http._tls_context.__wrapped__)  # read SSL_CERT_FILE again
    for name in ("HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    return monkeypatch


@pytest.fixture
def endpoint(cloud, tmp_path) -> BrokerEndpoint:
    """Return the endpoint of server-b, with a certificate that the cloud created from its CSR."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = serialization.Encoding.PEM
    (tmp_path / "device.key").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    )
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "crosshaul agent")])
    csr = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    iot = cloud.client("iot")
    created = iot.create_certificate_from_csr(
        certificateSigningRequest=csr.public_bytes(pem).decode(), setAsActive=True
    )
    policy = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:*","Resource":"*"}]}'
    iot.create_policy(policyName="all", policyDocument=policy)
    iot.attach_policy(policyName="all", target=created["certificateArn"])
    iot.create_thing(thingName=THING)
    iot.attach_thing_principal(thingName=THING, principal=created["certificateArn"])
    (tmp_path / "device.pem").write_text(created["certificatePem"])
    (tmp_path / "ca.pem").write_bytes(cloud.ca())
    return BrokerEndpoint(
        host="127.0.0.1",
        port=cloud.mqtt_port,
        client_id=THING,
        certificate=tmp_path / "device.pem",
        key=tmp_path / "device.key",
        ca=tmp_path / "ca.pem",
    )
