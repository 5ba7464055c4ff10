"""A broker that speaks as much of MQTT 5 over mutual TLS as a link needs, and misbehaves as a test says."""

import socket
import ssl
import struct
import threading
import time
from contextlib import suppress
from pathlib import Path

from agent.cloud.messages import BrokerEndpoint
from tests.support.certificates import certificate, new_key, private_pem
from tests.support.silence import cut

MAX_PACKET = 1000
CONNECT, PUBLISH, SUBSCRIBE, UNSUBSCRIBE, PING = 1, 3, 8, 10, 12


class MqttBroker:
    """It announces its limit, or only closes the connection; its word about sessions may be a lie."""

    def __init__(
        self,
        folder: Path,
        *,
        announces_limit: bool = True,
        claims_session: bool = False,
        deaf_for: int = 0,
        refusals: dict[str, int] | None = None,
    ) -> None:
        """Create a broker that has its own certificate and its clients' in `folder`.

        `claims_session`: it says at every connection that it has kept the session, and has none. For the
        first `deaf_for` connections it grants subscriptions and forgets them. `refusals`: how often it
        refuses a subscription to each of these topics, for its quota.
        """
        write_certificates(folder)
        self.answer_delay_s = 0.0
        """Seconds until a ping is answered, as on a line whose queues are full."""
        self.pings = 0
        self.deliveries = 0
        """Messages that were delivered to a subscriber."""
        self._folder = folder
        self._announces_limit = announces_limit
        self._claims_session = claims_session
        self._deaf_for = deaf_for
        self._refusals = refusals or {}
        self._connection: ssl.SSLSocket | None = None
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(folder / "device.pem", folder / "device.key")
        self._context.load_verify_locations(folder / "ca.pem")
        self._context.verify_mode = ssl.CERT_REQUIRED
        self._server = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._run, daemon=True).start()

    @property
    def endpoint(self) -> BrokerEndpoint:
        """Return its address, with a client's certificate."""
        keys = self._folder / "device.pem", self._folder / "device.key"
        port = self._server.getsockname()[1]
        return BrokerEndpoint("127.0.0.1", port, "server-b", *keys, ca=self._folder / "ca.pem")

    def __enter__(self) -> "MqttBroker":
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()

    def cut(self) -> None:
        """Close the connection, as DeleteConnection does, and forget the session."""
        self._claims_session = False
        if self._connection:
            _send(self._connection, 0xE0, bytes([0x98, 0]))  # administrative action
            self._connection.shutdown(socket.SHUT_RDWR)

    def fall_silent(self) -> None:
        """Let nothing of the connection's peer arrive any more, and tell nobody, as when a cable is cut."""
        assert self._connection
        cut(self._connection)

    def _run(self) -> None:
        while True:
            try:
                plain, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._handle, args=[plain], daemon=True).start()

    def _handle(self, plain) -> None:
        with suppress(OSError), self._context.wrap_socket(plain, server_side=True) as connection:
            self._connection = connection
            self._serve(connection, connection.makefile("rb"))

    def _serve(self, connection, stream) -> None:
        _packet(stream)
        limit = b"\x27" + struct.pack(">I", MAX_PACKET) if self._announces_limit else b""
        _send(connection, 0x20, bytes([self._claims_session, 0, len(limit)]) + limit)
        is_deaf, self._deaf_for = self._deaf_for > 0, self._deaf_for - 1
        while True:
            kind, flags, body = _packet(stream)
            if kind == SUBSCRIBE:
                is_refused = self._is_refused(_topic(body))
                _send(connection, 0x90, body[:2] + b"\0" + (b"\x97" if is_refused else b"\1"))
                if not (is_deaf or is_refused):
                    self._deliver(connection, body)
            elif kind == UNSUBSCRIBE:
                _send(connection, 0xB0, body[:2] + b"\0\x11")  # no subscription existed
            elif kind == PING:
                self.pings += 1
                time.sleep(self.answer_delay_s)
                _send(connection, 0xD0, b"")
            elif kind == PUBLISH and len(body) > MAX_PACKET:
                _send(connection, 0xE0, bytes([0x95, 0]))
                return
            elif kind == PUBLISH and flags & 0b110:
                name = struct.unpack(">H", body[:2])[0]
                _send(connection, 0x40, body[2 + name : 4 + name])

    def _is_refused(self, topic: str) -> bool:
        left = self._refusals.get(topic, 0)
        self._refusals[topic] = max(left - 1, 0)
        return left > 0

    def _deliver(self, connection, subscribe: bytes) -> None:
        """Deliver a message, as soon as there is a subscription, to its topic."""
        topic = _topic(subscribe).encode()
        _send(connection, 0x30, struct.pack(">H", len(topic)) + topic + b"\0" + b"an offer")
        self.deliveries += 1


def _topic(subscribe: bytes) -> str:
    length = struct.unpack(">H", subscribe[3:5])[0]
    return subscribe[5 : 5 + length].decode()


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


def write_certificates(folder: Path) -> None:
    """Write an authority (ca.pem), and a key and certificate (device.*) for both sides."""
    authority, key = new_key(), new_key()
    (folder / "ca.pem").write_bytes(certificate(authority, authority, is_ca=True))
    (folder / "device.pem").write_bytes(certificate(key, authority, "localhost", "127.0.0.1"))
    (folder / "device.key").write_bytes(private_pem(key))
