"""MQTT 5 with awscrt, as `async with` and `async for`: its callbacks end here.

The broker keeps the session while the agent is offline, so commands wait there. A command is acknowledged
only when its handler says so. Nothing is queued for sending: what must arrive waits in the journal.
"""

import asyncio
import concurrent.futures
import contextlib
import logging
import math
import random
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from types import TracebackType
from typing import Any, Self

from awscrt import io as crt
from awscrt import mqtt5
from awscrt.exceptions import AwsCrtError
from awsiot import mqtt5_client_builder

from agent.backoff import Backoff
from agent.cloud.broker_path import examine_path
from agent.cloud.crt_proxy import proxy_options
from agent.cloud.messages import (
    BrokerEndpoint,
    Connected,
    Disconnected,
    LinkError,
    MessageTooLargeError,
    ReceivedMessage,
)
from agent.errors import HostError
from agent.supervision import Supervisor
from events.certificates import fingerprint

log = logging.getLogger(__name__)

KEEP_ALIVE_S = 30
"""Seconds between keep-alive packets; AWS IoT Core takes no fewer."""
PING_TIMEOUT_S = 10
"""Seconds in which the broker must answer one, or the connection is given up as silent."""
SESSION_EXPIRY_S = 7 * 24 * 3600
"""Seconds the broker is asked to keep the session (AWS IoT Core allows up to seven days)."""
MIN_RECONNECT_MS, MAX_RECONNECT_MS = 1_000, 30_000
"""Milliseconds between attempts to connect, growing, with jitter."""
ACK_TIMEOUT_S = 20
"""Seconds to wait for the broker's acknowledgment."""
RESUBSCRIPTION = Backoff(first_s=30.0, max_s=3600.0)
"""How long to wait before a refused subscription is requested again, on average: AWS IoT Core grants 500 a
second of an account, and all agents of a site may connect at once."""
EXPLAIN_AGAIN_S = 600
"""Seconds after which the path to the broker is examined again, while the agent cannot connect."""
MAX_IN_FLIGHT = 32
"""Commands the broker may send before the first of them is acknowledged."""


class MqttLink:
    """The connection of one agent, kept up until the end of the `async with`."""

    def __init__(
        self,
        endpoint: BrokerEndpoint,
        subscription: str,
        optional_topics: Sequence[str] = (),
        keep_alive_s: int = KEEP_ALIVE_S,
        ping_timeout_s: float = PING_TIMEOUT_S,
        resubscription: Backoff = RESUBSCRIPTION,
    ) -> None:
        """Create a link.

        `subscription` is the topic of commands. `optional_topics` are requested, too, but the agent works
        even if the broker refuses them; `messages()` yields the messages of all. A line that goes silent is
        noticed within the sum of both times, which are in seconds. `resubscription` says how long to wait
        before a refused subscription is requested again.
        """
        self._resubscription = resubscription
        self._keep_alive_s, self._ping_timeout_s = keep_alive_s, ping_timeout_s
        self._endpoint = endpoint
        self._subscription = subscription
        self._optional_topics = optional_topics
        self._messages: asyncio.Queue[ReceivedMessage] = asyncio.Queue()
        self._events: asyncio.Queue[Connected | Disconnected] = asyncio.Queue()
        self._is_up = asyncio.Event()
        self._stopped = asyncio.Event()
        self._is_closing = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._sizes_in_flight: dict[object, int] = {}
        """Bytes of each message that is not acknowledged yet."""
        self._too_large_size = math.inf
        """Bytes of the largest message in flight when the broker closed the connection for its size."""
        self._up_since = 0.0
        self._explained: dict[str, Disconnected] = {}
        """Why the agent cannot connect, by what awscrt says about it."""
        self._explain_at = 0.0

    @property
    def connected(self) -> bool:
        return self._is_up.is_set()

    async def wait_connected(self) -> None:
        await self._is_up.wait()

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
        """Connect again with another endpoint.

        The broker keeps the session and sends again what was not acknowledged. Raises LinkError if the
        endpoint's keys cannot be used; the connection then stays as it is.
        """
        previous, self._endpoint = self._endpoint, endpoint
        try:
            client = self._build()
        except (AwsCrtError, OSError, ValueError) as error:
            self._endpoint = previous
            raise LinkError(f"{endpoint.certificate}: {error}") from error
        await self._stop()
        self._stopped.clear()
        self._is_closing = False
        self._client = client
        self._client.start()

    async def _stop(self) -> None:
        self._is_closing = True
        self._client.stop()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopped.wait(), 3)
        self._is_up.clear()
        for task in self._tasks:
            task.cancel()

    async def messages(self) -> AsyncIterator[ReceivedMessage]:
        """Yield received messages forever."""
        while True:
            yield await self._messages.get()

    async def events(self) -> AsyncIterator[Connected | Disconnected]:
        """Yield every change in order; `Connected` comes once messages can be received.

        It comes again when an optional topic is granted that was refused at first.
        """
        while True:
            yield await self._events.get()

    async def publish(self, topic: str, payload: bytes, qos: int = 1) -> None:
        """Return when the broker has the message (QoS 1) or it was sent (QoS 0).

        Raises LinkError otherwise; MessageTooLargeError if it has to be shorter. A broker reports that in one
        of two ways: awscrt knows its limit, or it closes the connection. In the second case the largest
        message in flight is at fault.
        """
        packet = mqtt5.PublishPacket(topic=topic, payload=payload, qos=mqtt5.QoS(qos))
        token = object()
        self._sizes_in_flight[token] = len(payload)
        try:
            done = await asyncio.wrap_future(self._client.publish(packet))
        except AwsCrtError as error:
            if error.name == "AWS_ERROR_MQTT5_PACKET_VALIDATION" or len(payload) >= self._too_large_size:
                self._too_large_size = math.inf
                raise MessageTooLargeError(f"{len(payload)} bytes: {error.message}") from error
            raise LinkError(error.message) from error
        finally:
            del self._sizes_in_flight[token]
        if qos and int(done.puback.reason_code or 0) >= 128:
            raise LinkError(f"the broker refused the message: {_name(done.puback.reason_code)}")

    async def _await(self, future: "concurrent.futures.Future[Any]") -> Any:
        try:
            return await asyncio.wrap_future(future)
        except AwsCrtError as error:
            raise LinkError(error.message) from error

    def _build(self) -> Any:
        endpoint = self._endpoint
        self._certificate = fingerprint(endpoint.certificate.read_text())
        return mqtt5_client_builder.mtls_from_path(
            str(endpoint.certificate),
            str(endpoint.key),
            endpoint="127.0.0.1" if endpoint.host.endswith(".localhost") else endpoint.host,
            port=endpoint.port,  # at 443 awscrt asks by ALPN for MQTT, since AWS serves HTTPS there, too
            http_proxy_options=proxy_options(endpoint.proxy),
            ca_filepath=str(endpoint.ca) if endpoint.ca else None,
            client_id=endpoint.client_id,
            keep_alive_interval_sec=self._keep_alive_s,
            ping_timeout_ms=round(1000 * self._ping_timeout_s),
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
            on_lifecycle_stopped=lambda _: self._call_on_loop(self._stopped.set),
        )

    # Called on awscrt's threads: hand over to the event loop and return.

    def _on_message(self, data: mqtt5.PublishReceivedData) -> None:
        acquire = data.acquire_publish_acknowledgement_control
        handle = acquire() if acquire else None
        client = self._client
        message = ReceivedMessage(
            bytes(data.publish_packet.payload or b""),
            lambda: self._acknowledge(client, handle),
            data.publish_packet.topic,
        )
        self._call_on_loop(self._messages.put_nowait, message)

    def _on_connected(self, data: mqtt5.LifecycleConnectSuccessData) -> None:
        self._call_on_loop(self._on_up, bool(data.connack_packet.session_present))

    def _on_connect_failed(self, data: mqtt5.LifecycleConnectFailureData) -> None:
        code = data.connack_packet.reason_code if data.connack_packet else None
        reason = _name(code) if code else _describe(data.exception)
        if code is None and self._endpoint.proxy:  # awscrt may see only that the socket was closed
            reason = f"not through the proxy {self._endpoint.proxy}: {reason}"
        self._call_on_loop(self._on_refused, reason, code is None)

    def _on_disconnected(self, data: mqtt5.LifecycleDisconnectData) -> None:
        code = data.disconnect_packet.reason_code if data.disconnect_packet else None
        if self._is_closing:  # requested by the agent itself: not an event
            return
        if code == mqtt5.DisconnectReasonCode.PACKET_TOO_LARGE:
            self._too_large_size = max(self._sizes_in_flight.copy().values(), default=math.inf)
        if code:
            taken_over = code == mqtt5.DisconnectReasonCode.SESSION_TAKEN_OVER
            self._call_on_loop(self._on_down, Disconnected(_name(code), taken_over))
        else:
            self._call_on_loop(self._on_cut, _describe(data.exception))

    def _call_on_loop(self, callback: Callable[..., object], *args: object) -> None:
        with contextlib.suppress(RuntimeError):  # the event loop is closed
            self._loop.call_soon_threadsafe(callback, *args)

    # Called on the event loop.

    def _acknowledge(self, client: Any, handle: mqtt5.PublishAcknowledgementControlHandle | None) -> None:
        """Acknowledge a message; after a reconnect the broker sends it again, and the old handle is void."""
        if handle and client is self._client:
            with contextlib.suppress(AwsCrtError, RuntimeError):
                self._client.invoke_publish_acknowledgement(handle)

    def _on_refused(self, reason: str, examine: bool) -> None:
        """Tell why no connection was made, and find out what is in the way, if the broker did not say it."""
        self._on_down(self._explained.get(reason, Disconnected(reason)))
        now = self._loop.time()
        if examine and (reason not in self._explained or now >= self._explain_at):
            self._explain_at = now + EXPLAIN_AGAIN_S
            self._explained.setdefault(reason, Disconnected(reason))  # examined once at a time
            arguments = (reason, self._endpoint)
            threading.Thread(target=self._explain, args=arguments, name="broker path", daemon=True).start()

    def _explain(self, reason: str, endpoint: BrokerEndpoint) -> None:
        try:
            examine_path(endpoint)
        except HostError as fault:
            self._call_on_loop(self._on_explained, reason, Disconnected(fault.message, advice=fault.advice))

    def _on_explained(self, reason: str, found: Disconnected) -> None:
        if reason in self._explained and not self.connected:
            self._explained[reason] = found
            self._events.put_nowait(found)

    def _on_cut(self, reason: str) -> None:
        """Tell that a connection has ended without a word of the broker."""
        proxy, seconds = self._endpoint.proxy, self._loop.time() - self._up_since
        if proxy is None:
            self._on_down(Disconnected(reason))
            return
        what = f"the connection through the proxy {proxy} was cut after {seconds:.0f} s: {reason}"
        advice = f"let the proxy keep this tunnel: it is never idle for more than {self._keep_alive_s} s"
        self._on_down(Disconnected(what, advice=advice))

    def _on_down(self, event: Disconnected) -> None:
        self._is_up.clear()
        for task in self._tasks:
            task.cancel()
        self._events.put_nowait(event)

    def _on_up(self, session_present: bool) -> None:
        self._explained.clear()
        self._up_since = self._loop.time()
        subscribing = Supervisor().supervise("subscriptions", lambda: self._subscribe_all(session_present))
        task = self._loop.create_task(subscribing)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _subscribe_all(self, session_present: bool) -> None:
        """Subscribe at every connection, whatever the broker says of its session.

        The session may never have had the subscription, if the connection broke before it was granted, or may
        have lost it: the agent would then report and never hear. Some brokers deliver twice after a second
        subscription, so the first one is removed. What is published in between is lost; the Hello that
        follows brings it again.
        """
        if session_present:
            await self._unsubscribe(self._subscription, *self._optional_topics)
        granted = await self._subscribe(self._subscription)
        while not granted:
            await self._pause(0)
            granted = await self._subscribe(self._subscription)
        refused = await self._refused(self._optional_topics)
        self._is_up.set()
        self._events.put_nowait(Connected(session_present, self._certificate))
        retries = 0
        while refused:
            await self._pause(retries)
            still = await self._refused(refused)
            if len(still) < len(refused):  # what was published before is lost: the agent asks again
                self._events.put_nowait(Connected(session_present, self._certificate))
            refused, retries = still, retries + 1

    async def _pause(self, retries: int) -> None:
        await asyncio.sleep(self._resubscription.delay_s(retries) * random.uniform(0.5, 1.5))  # noqa: S311

    async def _refused(self, topics: Sequence[str]) -> list[str]:
        """Subscribe to the topics, and return those that were refused."""
        return [topic for topic in topics if not await self._subscribe(topic)]

    async def _unsubscribe(self, *topics: str) -> None:
        try:
            await self._await(self._client.unsubscribe(mqtt5.UnsubscribePacket(list(topics))))
        except LinkError as error:
            log.info("subscriptions not removed", extra={"reason": str(error)})

    async def _subscribe(self, topic: str) -> bool:
        packet = mqtt5.SubscribePacket([mqtt5.Subscription(topic, mqtt5.QoS.AT_LEAST_ONCE)])
        try:
            granted = await self._await(self._client.subscribe(packet))
        except LinkError as error:
            log.warning("subscription failed", extra={"topic": topic, "reason": str(error)})
            return False
        if int(granted.reason_codes[0]) >= 128:
            reason = _name(granted.reason_codes[0])
            log.error("the broker refused the subscription", extra={"topic": topic, "reason": reason})
            return False
        return True


def _bootstrap() -> Any:
    """Return a bootstrap with one thread, which is enough; awscrt would start one per core."""
    group = crt.EventLoopGroup(1)
    return crt.ClientBootstrap(group, crt.DefaultHostResolver(group))


def _name(code: Any) -> str:
    name = str(getattr(code, "name", code))
    return name.replace("_", " ").lower()


def _describe(error: BaseException | None) -> str:
    return getattr(error, "message", None) or str(error or "no reason given")
