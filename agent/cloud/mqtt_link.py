"""MQTT 5 by awscrt, made into `async with` and `async for`: its callbacks end here.

The broker keeps the session while the agent is away, so commands wait there. A command is acknowledged only
when whoever took it says so. Nothing is queued for sending: what must arrive waits in the journal.
"""

import asyncio
import concurrent.futures
import contextlib
import logging
import math
from collections.abc import AsyncIterator, Callable, Sequence
from types import TracebackType
from typing import Any, Self

from awscrt import io as crt
from awscrt import mqtt5
from awscrt.exceptions import AwsCrtError
from awsiot import mqtt5_client_builder

from agent.cloud.messages import (
    BrokerEndpoint,
    Connected,
    Disconnected,
    LinkError,
    MessageTooLargeError,
    ReceivedMessage,
)
from agent.supervision import Supervisor
from events.certificates import fingerprint

log = logging.getLogger(__name__)

KEEP_ALIVE_S = 30
SESSION_EXPIRY_S = 7 * 24 * 3600
"""Seconds the broker is asked to keep the session (AWS IoT Core allows up to seven days)."""
MIN_RECONNECT_MS, MAX_RECONNECT_MS = 1_000, 30_000
"""Milliseconds between attempts, growing, with jitter."""
ACK_TIMEOUT_S = 20
RESUBSCRIBE_DELAY_S = 30
"""Seconds after which a subscription that was refused is asked for again."""
MAX_IN_FLIGHT = 32
"""Commands the broker may send before the first of them is acknowledged."""


class MqttLink:
    """The connection of one agent, kept up until the end of the `async with`."""

    def __init__(self, endpoint: BrokerEndpoint, subscription: str, beside: Sequence[str] = ()) -> None:
        """`subscription` is the topic whose letters `messages()` gives; those `beside` it are asked for, too,
        but a broker that refuses them does not keep the agent from its work."""
        self._endpoint = endpoint
        self._subscription = subscription
        self._beside = beside
        self._letters: asyncio.Queue[ReceivedMessage] = asyncio.Queue()
        self._events: asyncio.Queue[Connected | Disconnected] = asyncio.Queue()
        self._up = asyncio.Event()
        self._stopped = asyncio.Event()
        self._leaving = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._sizes: dict[object, int] = {}
        """Bytes of each message under way."""
        self._refused_size = math.inf
        """Bytes of the largest that was under way when the broker ended the connection for its size."""

    @property
    def connected(self) -> bool:
        return self._up.is_set()

    async def wait_connected(self) -> None:
        await self._up.wait()

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._client = self._build()
        self._client.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    async def reconnect(self, endpoint: BrokerEndpoint) -> None:
        """Connect anew, as `endpoint` says: the broker keeps the session, and sends again what was not
        acknowledged. LinkError if its keys cannot be used; then the connection stays as it was."""
        known, self._endpoint = self._endpoint, endpoint
        try:
            following = self._build()
        except (AwsCrtError, OSError, ValueError) as error:
            self._endpoint = known
            raise LinkError(f"{endpoint.certificate}: {error}") from error
        await self._stop()
        self._stopped.clear()
        self._leaving = False
        self._client = following
        self._client.start()

    async def _stop(self) -> None:
        self._leaving = True
        self._client.stop()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopped.wait(), 3)
        self._up.clear()
        for task in self._tasks:
            task.cancel()

    async def messages(self) -> AsyncIterator[ReceivedMessage]:
        while True:
            yield await self._letters.get()

    async def events(self) -> AsyncIterator[Connected | Disconnected]:
        """Every change, in order; `Connected` comes once letters can be received."""
        while True:
            yield await self._events.get()

    async def publish(self, topic: str, payload: bytes, qos: int = 1) -> None:
        """Return when the broker has it (QoS 1) or it was sent (QoS 0); LinkError otherwise, which is
        MessageTooLargeError where it has to be shorter.

        A broker says so in one of two ways: awscrt knows its limit, or it ends the connection for it. Then
        the largest message under way is to blame."""
        packet = mqtt5.PublishPacket(topic=topic, payload=payload, qos=mqtt5.QoS(qos))
        mark = object()
        self._sizes[mark] = len(payload)
        try:
            done = await asyncio.wrap_future(self._client.publish(packet))
        except AwsCrtError as error:
            if error.name == "AWS_ERROR_MQTT5_PACKET_VALIDATION" or len(payload) >= self._refused_size:
                self._refused_size = math.inf
                raise MessageTooLargeError(f"{len(payload)} bytes: {error.message}") from error
            raise LinkError(error.message) from error
        finally:
            del self._sizes[mark]
        if qos and int(done.puback.reason_code or 0) >= 128:
            raise LinkError(f"the broker refused it: {_name(done.puback.reason_code)}")

    async def _outcome(self, future: "concurrent.futures.Future[Any]") -> Any:
        try:
            return await asyncio.wrap_future(future)
        except AwsCrtError as error:
            raise LinkError(error.message) from error

    def _build(self) -> Any:
        to = self._endpoint
        self._certificate = fingerprint(to.certificate.read_text())
        return mqtt5_client_builder.mtls_from_path(
            str(to.certificate),
            str(to.key),
            endpoint="127.0.0.1" if to.host.endswith(".localhost") else to.host,
            port=to.port,
            ca_filepath=str(to.ca) if to.ca else None,
            client_id=to.client_id,
            keep_alive_interval_sec=KEEP_ALIVE_S,
            session_behavior=mqtt5.ClientSessionBehaviorType.REJOIN_ALWAYS,
            session_expiry_interval_sec=SESSION_EXPIRY_S,
            receive_maximum=MAX_IN_FLIGHT,
            offline_queue_behavior=mqtt5.ClientOperationQueueBehaviorType.FAIL_ALL_ON_DISCONNECT,
            retry_jitter_mode=mqtt5.ExponentialBackoffJitterMode.FULL,
            min_reconnect_delay_ms=MIN_RECONNECT_MS,
            max_reconnect_delay_ms=MAX_RECONNECT_MS,
            ack_timeout_sec=ACK_TIMEOUT_S,
            client_bootstrap=_bootstrap(),
            on_publish_received=self._on_message,
            on_lifecycle_connection_success=self._on_connected,
            on_lifecycle_connection_failure=self._on_connect_failed,
            on_lifecycle_disconnection=self._on_disconnected,
            on_lifecycle_stopped=lambda _: self._post(self._stopped.set),
        )

    # On awscrt's own threads from here on: hand over and return.

    def _on_message(self, data: mqtt5.PublishReceivedData) -> None:
        take = data.acquire_publish_acknowledgement_control
        handle = take() if take else None
        client = self._client
        letter = ReceivedMessage(
            bytes(data.publish_packet.payload or b""),
            lambda: self._acknowledge(client, handle),
            data.publish_packet.topic,
        )
        self._post(self._letters.put_nowait, letter)

    def _on_connected(self, data: mqtt5.LifecycleConnectSuccessData) -> None:
        self._post(self._came_up_soon, bool(data.connack_packet.session_present))

    def _on_connect_failed(self, data: mqtt5.LifecycleConnectFailureData) -> None:
        code = data.connack_packet.reason_code if data.connack_packet else None
        self._post(self._down, Disconnected(_name(code) if code else _why(data.exception)))

    def _on_disconnected(self, data: mqtt5.LifecycleDisconnectData) -> None:
        code = data.disconnect_packet.reason_code if data.disconnect_packet else None
        if self._leaving:  # as it was told to: that is no news
            return
        if code == mqtt5.DisconnectReasonCode.PACKET_TOO_LARGE:
            self._refused_size = max(self._sizes.copy().values(), default=math.inf)
        taken = code == mqtt5.DisconnectReasonCode.SESSION_TAKEN_OVER
        self._post(self._down, Disconnected(_name(code) if code else _why(data.exception), taken))

    def _post(self, act: Callable[..., object], *args: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
            self._loop.call_soon_threadsafe(act, *args)

    # On the event loop again.

    def _acknowledge(self, client: Any, handle: mqtt5.PublishAcknowledgementControlHandle | None) -> None:
        """After a reconnect the broker sends an unacknowledged letter again, and the old handle is void."""
        if handle and client is self._client:
            with contextlib.suppress(AwsCrtError, RuntimeError):
                self._client.invoke_publish_acknowledgement(handle)

    def _down(self, event: Disconnected) -> None:
        self._up.clear()
        for task in self._tasks:
            task.cancel()
        self._events.put_nowait(event)

    def _came_up_soon(self, session_present: bool) -> None:
        opening = Supervisor().run("subscriptions", lambda: self._open(session_present))
        task = self._loop.create_task(opening)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _open(self, session_present: bool) -> None:
        """A kept session has its subscription; some brokers would deliver twice after a second one. Those
        beside it may be younger than the session, and hearing them twice does no harm."""
        granted = session_present or await self._subscribe(self._subscription)
        while not granted:
            await asyncio.sleep(RESUBSCRIBE_DELAY_S)
            granted = await self._subscribe(self._subscription)
        for topic in self._beside:
            await self._subscribe(topic)
        self._up.set()
        self._events.put_nowait(Connected(session_present, self._certificate))

    async def _subscribe(self, topic: str) -> bool:
        packet = mqtt5.SubscribePacket([mqtt5.Subscription(topic, mqtt5.QoS.AT_LEAST_ONCE)])
        try:
            granted = await self._outcome(self._client.subscribe(packet))
        except LinkError as error:
            log.warning("subscribing failed", extra={"topic": topic, "reason": str(error)})
            return False
        if int(granted.reason_codes[0]) >= 128:
            reason = _name(granted.reason_codes[0])
            log.error("the broker does not grant it", extra={"topic": topic, "reason": reason})
            return False
        return True


def _bootstrap() -> Any:
    """One thread is plenty for one connection; awscrt would start one per core."""
    group = crt.EventLoopGroup(1)
    return crt.ClientBootstrap(group, crt.DefaultHostResolver(group))


def _name(code: Any) -> str:
    name = str(getattr(code, "name", code))
    return name.replace("_", " ").lower()


def _why(error: BaseException | None) -> str:
    return getattr(error, "message", None) or str(error or "no reason given")
