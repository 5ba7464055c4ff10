"""The real link against the embedded cloud's broker: mutual TLS, a kept session, acknowledging by hand."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import urllib.request
from pathlib import Path

import boto3
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from agent.letters import Connected, Disconnected, Endpoint, LinkError
from agent.link import Link

MINISTACK = Path(__file__).parents[3] / ".crosshaul/cloud-env/bin/ministack"
TOPIC = "crosshaul/local/agents/server-b/commands"
PATIENCE = 30


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Cloud:
    """One embedded cloud in a folder of its own; it can be stopped and started again on the same ports."""

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
        }
        with (self.folder / "cloud.log").open("ab") as log:
            self.process = subprocess.Popen([MINISTACK], env=env, stdout=log, stderr=log, cwd=self.folder)

    async def ready(self) -> None:
        async with asyncio.timeout(PATIENCE):
            while True:
                with contextlib.suppress(OSError):
                    await asyncio.to_thread(self.ca)
                    return
                await asyncio.sleep(0.05)

    def ca(self) -> bytes:
        with urllib.request.urlopen(f"{self.url}/_ministack/iot/ca.pem", timeout=5) as answer:
            return answer.read()

    def stop(self) -> None:
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(PATIENCE)
            self.process = None

    def client(self, service: str):
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        return boto3.client(service, region_name="eu-central-1", endpoint_url=self.url, **keys)


@pytest.fixture
async def cloud(tmp_path):
    cloud = Cloud(tmp_path)
    cloud.start()
    try:
        await cloud.ready()
        yield cloud
    finally:
        cloud.stop()


@pytest.fixture
def endpoint(cloud, tmp_path) -> Endpoint:
    """A thing called server-b with a certificate made from its CSR."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = serialization.Encoding.PEM
    (tmp_path / "device.key").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    )
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "crosshaul agent")])
    csr = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    iot = cloud.client("iot")
    made = iot.create_certificate_from_csr(
        certificateSigningRequest=csr.public_bytes(pem).decode(), setAsActive=True
    )
    policy = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:*","Resource":"*"}]}'
    iot.create_policy(policyName="all", policyDocument=policy)
    iot.attach_policy(policyName="all", target=made["certificateArn"])
    iot.create_thing(thingName="server-b")
    iot.attach_thing_principal(thingName="server-b", principal=made["certificateArn"])
    (tmp_path / "device.pem").write_text(made["certificatePem"])
    (tmp_path / "ca.pem").write_bytes(cloud.ca())
    return Endpoint(
        host="127.0.0.1",
        port=cloud.mqtt_port,
        client_id="server-b",
        certificate=tmp_path / "device.pem",
        key=tmp_path / "device.key",
        ca=tmp_path / "ca.pem",
    )


async def tell(cloud: Cloud, payload: bytes) -> None:
    data = cloud.client("iot-data")
    await asyncio.to_thread(data.publish, topic=TOPIC, qos=1, payload=payload)


async def following(stream, kind):
    """The next event of a kind."""
    async with asyncio.timeout(PATIENCE):
        event = await anext(stream)
        while not isinstance(event, kind):
            event = await anext(stream)
        return event


async def letter(link: Link) -> bytes:
    async with asyncio.timeout(PATIENCE):
        return (await anext(link.messages())).payload


async def test_letters_both_ways_and_none_lost_while_away(cloud, endpoint):
    async with Link(endpoint, TOPIC) as link:
        assert not link.connected
        with pytest.raises(LinkError):
            await link.publish("crosshaul/x", b"too early", qos=1)
        await following(link.events(), Connected)
        await tell(cloud, b"first")
        async with asyncio.timeout(PATIENCE):
            first = await anext(link.messages())
        assert first.payload == b"first"
        first.acknowledge()
        await link.publish(TOPIC, b"to myself", qos=1)
        await link.publish(TOPIC, b"lightly", qos=0)
        assert {await letter(link), await letter(link)} == {b"to myself", b"lightly"}
    await tell(cloud, b"while away")
    async with Link(endpoint, TOPIC) as link:
        event = await following(link.events(), Connected)
        assert event.session_present
        awaited = {b"to myself", b"while away"}  # not acknowledged; sent while nobody was there
        while awaited:
            awaited.discard(await letter(link))


async def test_the_link_comes_back_when_the_broker_does(cloud, endpoint):
    async with Link(endpoint, TOPIC) as link:
        events = link.events()
        await following(events, Connected)
        await asyncio.to_thread(cloud.stop)
        gone = await following(events, Disconnected)
        assert gone.reason
        assert not link.connected
        with pytest.raises(LinkError):
            await link.publish(TOPIC, b"nobody there", qos=0)
        cloud.start()
        await cloud.ready()
        await following(events, Connected)
        await link.publish(TOPIC, b"again", qos=1)
        assert await letter(link) == b"again"


async def test_a_second_client_of_the_same_name_is_noticed(endpoint):
    async with Link(endpoint, TOPIC) as first:
        events = first.events()
        await following(events, Connected)
        async with Link(endpoint, TOPIC) as second:
            await following(second.events(), Connected)
            pushed_out = await following(events, Disconnected)
            assert pushed_out.taken_over, pushed_out.reason


async def test_an_endpoint_that_is_not_there_is_said(endpoint):
    nowhere = Endpoint(**{**vars(endpoint), "port": free_port()})
    async with Link(nowhere, TOPIC) as link:
        assert (await following(link.events(), Disconnected)).reason
