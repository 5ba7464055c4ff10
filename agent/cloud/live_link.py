"""Receive live progress for the command line: MQTT 5 over a presigned WebSocket, into a queue.

The presigned address is that of AWS IoT Core:
https://docs.aws.amazon.com/iot/latest/developerguide/protocols.html#mqtt-ws
"""

from concurrent.futures import Future, wait
from queue import SimpleQueue
from threading import Event
from types import TracebackType
from typing import Any, Self
from urllib.parse import SplitResult, urlsplit

from awscrt import io, mqtt5

from agent.cloud.crt_proxy import proxy_options
from agent.cloud.proxy import proxy_for

_STOP_TIMEOUT_S = 3.0
"""Seconds to wait for the connection to close."""


class LiveLink:
    """A connection in the background; `messages` fills with topics and payloads while `connected`.

    `with` starts and stops it. A failed connection shows only in `connected`: awscrt retries by itself.
    """

    def __init__(self, url: str, client_id: str, topics: tuple[str, ...]) -> None:
        self.messages: SimpleQueue[tuple[str, bytes]] = SimpleQueue()
        self._topics = topics
        self._connected = Event()
        self._stopped: Future[None] = Future()
        self._client = mqtt5.Client(self._options(urlsplit(url), client_id))

    @property
    def connected(self) -> bool:
        """Return whether the connection is up and the topics are subscribed."""
        return self._connected.is_set()

    def __enter__(self) -> Self:
        self._client.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.stop()
        wait([self._stopped], timeout=_STOP_TIMEOUT_S)

    def _options(self, address: SplitResult, client_id: str) -> mqtt5.ClientOptions:
        secure = address.scheme == "wss"
        host = address.hostname or ""
        return mqtt5.ClientOptions(
            host_name="127.0.0.1" if _is_loopback(host) else host,
            port=address.port or (443 if secure else 80),
            http_proxy_options=proxy_options(proxy_for(host)) if secure else None,
            tls_ctx=io.ClientTlsContext(io.TlsContextOptions()) if secure else None,
            websocket_handshake_transform=_presigned(address),
            connect_options=mqtt5.ConnectPacket(client_id=client_id, keep_alive_interval_sec=30),
            disable_metrics=True,  # they would be sent in the user name
            on_publish_callback_fn=self._on_message,
            on_lifecycle_event_connection_success_fn=self._subscribe,
            on_lifecycle_event_disconnection_fn=lambda _: self._connected.clear(),
            on_lifecycle_event_stopped_fn=self._on_stopped,
        )

    # What follows runs on awscrt's threads.

    def _on_message(self, data: mqtt5.PublishReceivedData) -> None:
        packet = data.publish_packet
        self.messages.put((packet.topic, bytes(packet.payload or b"")))

    def _subscribe(self, _: mqtt5.LifecycleConnectSuccessData) -> None:
        subscriptions = [mqtt5.Subscription(topic, qos=mqtt5.QoS.AT_MOST_ONCE) for topic in self._topics]
        self._client.subscribe(mqtt5.SubscribePacket(subscriptions)).add_done_callback(self._on_subscribed)

    def _on_subscribed(self, future: "Future[Any]") -> None:
        if future.exception() is None and all(int(code) < 128 for code in future.result().reason_codes):
            self._connected.set()

    def _on_stopped(self, _: mqtt5.LifecycleStoppedData) -> None:
        self._stopped.set_result(None)


def _is_loopback(host: str) -> bool:
    """Return whether a host name is this machine's: all under .localhost are (RFC 6761)."""
    return host == "localhost" or host.endswith(".localhost")


def _presigned(address: SplitResult) -> Any:
    """Return a transform that requests exactly the path, query and host that were signed."""

    def transform(transform_args: mqtt5.WebsocketHandshakeTransformArgs) -> None:  # called by this keyword
        request = transform_args.http_request
        request.path = f"{address.path}?{address.query}" if address.query else address.path
        request.headers.set("Host", address.netloc)
        transform_args.set_done()

    return transform
