"""A broker reports a message that is too large in one of two ways; the fake brokers do each over TLS."""

import asyncio
import ipaddress
import socket
import ssl
import struct
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from agent.cloud.messages import BrokerEndpoint, LinkError, MessageTooLargeError
from agent.cloud.mqtt_link import MqttLink
from tests.support.waiting import HANG_TIMEOUT_S

MAX_PACKET = 1000
PUBLISH, SUBSCRIBE = 3, 8


class Broker:
    """As much of MQTT 5 as a link needs. It announces its limit, or only closes the connection."""

    def __init__(self, folder, *, announces_limit: bool) -> None:
        self._announces_limit = announces_limit
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(folder / "device.pem", folder / "device.key")
        self._context.load_verify_locations(folder / "ca.pem")
        self._context.verify_mode = ssl.CERT_REQUIRED
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def close(self) -> None:
        self._server.close()

    def _run(self) -> None:
        while True:
            try:
                plain, _ = self._server.accept()
            except OSError:
                return
            with suppress(OSError), self._context.wrap_socket(plain, server_side=True) as connection:
                self._serve(connection, connection.makefile("rb"))

    def _serve(self, connection, stream) -> None:
        _packet(stream)
        limit = b"\x27" + struct.pack(">I", MAX_PACKET) if self._announces_limit else b""
        _send(connection, 0x20, b"\0\0" + bytes([len(limit)]) + limit)
        while True:
            kind, flags, body = _packet(stream)
            if kind == SUBSCRIBE:
                _send(connection, 0x90, body[:2] + b"\0\1")
            elif kind == PUBLISH and len(body) > MAX_PACKET:
                _send(connection, 0xE0, bytes([0x95, 0]))
                return
            elif kind == PUBLISH and flags & 0b110:
                name = struct.unpack(">H", body[:2])[0]
                _send(connection, 0x40, body[2 + name : 4 + name])


def _packet(stream) -> tuple[int, int, bytes]:
    first = stream.read(1)
    if not first:
        raise ConnectionResetError
    length, shift = 0, 0
    while True:
        digit = stream.read(1)[0]
        length |= (digit & 127) << shift
        shift += 7
        if digit < 128:
            return first[0] >> 4, first[0] & 15, stream.read(length)


def _send(connection, first: int, body: bytes) -> None:
    connection.sendall(bytes([first, len(body)]) + body)


def _certificate(name: str, key, issuer: str, signer, *, is_ca: bool) -> bytes:
    def name_of(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    now = datetime.now(UTC)
    alternatives = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name_of(name))
        .issuer_name(name_of(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        .sign(signer, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)


@pytest.fixture
def folder(tmp_path):
    authority, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    (tmp_path / "ca.pem").write_bytes(_certificate("ca", authority, "ca", authority, is_ca=True))
    (tmp_path / "device.pem").write_bytes(_certificate("broker", key, "ca", authority, is_ca=False))
    pem, no_password = serialization.Encoding.PEM, serialization.NoEncryption()
    (tmp_path / "device.key").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.TraditionalOpenSSL, no_password)
    )
    return tmp_path


@pytest.mark.parametrize("announces_limit", [True, False])
async def test_a_message_that_is_too_large_is_distinguished_from_a_lost_one(folder, announces_limit):
    broker = Broker(folder, announces_limit=announces_limit)
    keys = folder / "device.pem", folder / "device.key"
    endpoint = BrokerEndpoint("127.0.0.1", broker.port, "server-b", *keys, ca=folder / "ca.pem")
    try:
        async with asyncio.timeout(HANG_TIMEOUT_S), MqttLink(endpoint, "commands") as link:
            await link.wait_connected()
            await link.publish("a", b"small")
            with pytest.raises(MessageTooLargeError):
                await link.publish("a", b"x" * 5 * MAX_PACKET)
            while True:  # the link may have to reconnect first
                await link.wait_connected()
                with suppress(LinkError):
                    await link.publish("a", b"small")
                    break
    finally:
        broker.close()
