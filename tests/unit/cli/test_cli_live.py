"""The live connection: a real awscrt client against a broker of a few lines, MQTT 5 over WebSocket."""

import base64
import hashlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from queue import SimpleQueue
from time import monotonic
from types import SimpleNamespace
from typing import BinaryIO, cast

import pytest

from agent.cli import session
from agent.cli.api import ApiClient
from agent.cli.live import AgentLive, LiveFeed, live_feed
from agent.cli.timing import Timing
from agent.cloud.http import client
from agent.cloud.live_link import LiveLink
from events.progress import Live, Progress
from tests.support.fakes_api import NOW, TRANSFER, FakeApi, problem
from tests.support.waiting import HANG_TIMEOUT_S

_MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3
_CONNECT, _SUBSCRIBE = 1, 8
LIVE = Live(transfer_id=TRANSFER, hop_id=f"{TRANSFER}-0", attempt=1, at=NOW, progress=Progress(bytes_done=7))


class WebSocketBroker:
    """Serves one client: grants or refuses its subscription, then publishes `payloads` to `topic`."""

    topic = f"crosshaul/local/agents/crosshaul:local:server-c/live/{TRANSFER}/{TRANSFER}-0"

    def __init__(self, *payloads: bytes, code: int = 0) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.request = b""
        self.subscribed = b""
        self._payloads, self._code = payloads, code
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self._socket.close()
        self._thread.join(timeout=HANG_TIMEOUT_S)

    def _serve(self) -> None:
        connection, _ = self._socket.accept()
        with connection, connection.makefile("rb") as stream:
            while not self.request.endswith(b"\r\n\r\n"):
                self.request += stream.readline()
            connection.sendall(self._upgrade())
            while packet := _packet(stream):
                for answer in self._answers(packet):
                    connection.sendall(_frame(answer))

    def _upgrade(self) -> bytes:

        key = _value(self.request, "Sec-WebSocket-Key")
        accept = base64.b64encode(hashlib.sha1(f"{key}{_MAGIC}".encode()).digest()).decode()
        return (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"
        ).encode()

    def _answers(self, packet: bytes) -> Iterator[bytes]:
        if packet[0] >> 4 == _CONNECT:
            yield b"\x20\x03\x00\x00\x00"
        if packet[0] >> 4 == _SUBSCRIBE:
            self.subscribed = packet
            yield b"\x90\x04" + packet[2:4] + b"\x00" + bytes([self._code])
            for payload in self._payloads:
                topic = self.topic.encode()
                body = len(topic).to_bytes(2) + topic + b"\x00" + payload
                yield b"\x30" + _length(len(body)) + body


def _frame(content: bytes) -> bytes:
    size = len(content)
    return b"\x82" + (bytes([size]) if size < 126 else b"\x7e" + size.to_bytes(2)) + content


def _length(count: int) -> bytes:
    return bytes([count]) if count < 128 else bytes([count % 128 | 128, count // 128])


def _value(request: bytes, name: str) -> str:
    found = [line for line in request.decode().split("\r\n") if line.lower().startswith(name.lower() + ":")]
    return found[0].partition(": ")[2]


def _packet(stream: BinaryIO) -> bytes:
    """Return a short WebSocket frame's content; b'' at the end of the stream (RFC 6455, section 5.2)."""
    head = stream.read(2)
    if len(head) < 2 or head[0] & 0x0F == 8:
        return b""
    size = head[1] & 0x7F
    if size == 126:
        size = int.from_bytes(stream.read(2))
    mask = stream.read(4)
    return bytes(byte ^ mask[at % 4] for at, byte in enumerate(stream.read(size)))


@pytest.fixture
def broker() -> Iterator[Callable[..., WebSocketBroker]]:
    made: list[WebSocketBroker] = []

    def make(*payloads: bytes, code: int = 0) -> WebSocketBroker:
        made.append(WebSocketBroker(*payloads, code=code))
        return made[-1]

    yield make
    for one in made:
        one.close()


def link_to(broker: WebSocketBroker) -> LiveLink:
    url = f"ws://abc.iot.eu-central-1.localhost:{broker.port}/mqtt?X-Amz-Signature=a%2Fb"
    return LiveLink(url, "live-1", (f"crosshaul/local/agents/+/live/{TRANSFER}/+",))


def test_the_upgrade_is_asked_for_exactly_as_it_was_signed(broker: Callable[..., WebSocketBroker]) -> None:
    there = broker(b"hello")
    with link_to(there) as link:
        assert link.messages.get(timeout=HANG_TIMEOUT_S) == (there.topic, b"hello")
        assert link.connected
    assert there.request.startswith(b"GET /mqtt?X-Amz-Signature=a%2Fb HTTP/1.1\r\n")
    assert _value(there.request, "Host") == f"abc.iot.eu-central-1.localhost:{there.port}"
    assert f"/live/{TRANSFER}/+".encode() in there.subscribed


def test_topics_that_are_not_granted_are_no_connection(broker: Callable[..., WebSocketBroker]) -> None:
    with link_to(broker(b"hello", code=135)) as link:
        _, payload = link.messages.get(timeout=HANG_TIMEOUT_S)
        assert payload == b"hello", "sent after the refusal, to know that it came"
        assert not link.connected


def listen(api: FakeApi) -> tuple[bool, list[AgentLive]]:
    """Return whether the feed is connected, and the first valid message."""
    kept = session.load()
    with client(kept.url) as http, live_feed(ApiClient(http, kept), TRANSFER) as feed:
        until = monotonic() + HANG_TIMEOUT_S
        while monotonic() < until:
            if live := feed.next(0.5):
                return feed.is_connected, [live]
    return False, []


def test_an_ear_hands_over_what_it_can_read(
    signed_in: FakeApi, broker: Callable[..., WebSocketBroker]
) -> None:
    there = broker(b"\xff not ours", LIVE.model_dump_json().encode())
    signed_in.live_url = f"ws://127.0.0.1:{there.port}/mqtt"
    assert listen(signed_in) == (True, [AgentLive("server-c", LIVE)])
    assert signed_in.watched == (TRANSFER,), "agents publish only what someone watches"


def test_a_watch_is_renewed_as_long_as_it_is_read_and_survives_a_failing_api(
    signed_in: FakeApi, broker: Callable[..., WebSocketBroker]
) -> None:
    there = broker(LIVE.model_dump_json().encode())
    signed_in.live_url = f"ws://127.0.0.1:{there.port}/mqtt"
    timing = replace(Timing(), watch_interval_s=0.0)
    kept = session.load()
    with client(kept.url) as http, live_feed(ApiClient(http, kept, timing), TRANSFER) as feed:
        signed_in.problems.append(problem(503, "busy"))
        assert feed.next(HANG_TIMEOUT_S) == AgentLive("server-c", LIVE)
        assert signed_in.watched == ()
        for asked in (1, 2):
            feed.next(0.0)
            assert signed_in.watched == (TRANSFER,) * asked


def test_progress_under_another_topic_is_not_handed_over(signed_in: FakeApi) -> None:
    """An agent may publish below its own name, but of any transfer and hop."""
    for topic in (
        WebSocketBroker.topic.replace(f"{TRANSFER}-0", f"{TRANSFER}-1"),
        "crosshaul/local/changes/x",
    ):
        link = cast("LiveLink", SimpleNamespace(messages=SimpleQueue()))
        link.messages.put((topic, LIVE.model_dump_json().encode()))
        assert LiveFeed(link).next(0.0) is None
        assert link.messages.empty()


def test_without_a_connection_the_ear_is_deaf(signed_in: FakeApi, capsys: pytest.CaptureFixture[str]) -> None:
    kept = session.load()
    with client(kept.url) as http, live_feed(ApiClient(http, kept), TRANSFER) as feed:
        assert not feed.is_connected
        assert feed.next(0.0) is None
    assert "no live connection" in capsys.readouterr().err
    assert not LiveFeed().is_connected
