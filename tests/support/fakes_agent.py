"""Fakes for what surrounds the agent: a link without a broker, a mover without bytes, a command signer."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from agent.cloud.messages import (
    BrokerEndpoint,
    Connected,
    Disconnected,
    LinkError,
    MessageTooLargeError,
    ReceivedMessage,
)
from agent.identity.registration import Registration
from agent.pull.mover import AttemptObserver, HopResult
from agent.pull.progress import ProgressCounter
from events.base import Problem
from events.certificates import fingerprint
from events.commands import Command, CommandEnvelope, LocalRoute, Move, PublicKey, Trust
from events.locations import AgentLocation
from events.progress import Connection
from events.reports import Report, ReportEnvelope
from tests.support.waiting import HANG_TIMEOUT_S

AGENT = "server-b"
THING = "crosshaul:local:server-b"
TRANSFER = "abcdefghij0123456789"


def move(hop: int = 0, attempt: int = 1, **changes: Any) -> Move:
    """Return a local Move of this agent."""
    return Move(
        transfer_id=TRANSFER,
        hop_id=f"{TRANSFER}-{hop}",
        attempt=attempt,
        source=AgentLocation(agent_id=AGENT, path="/data/a/"),
        destination=AgentLocation(agent_id=AGENT, path="/data/b/"),
        route=LocalRoute(),
    ).model_copy(update=changes)


class Signer:
    """Signs commands like the control plane's KMS key."""

    def __init__(self, kid: str = "key-1") -> None:
        self.kid = kid
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._numbers = itertools.count()

    @property
    def jwk(self) -> dict[str, Any]:
        public = jwt.algorithms.ECAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        return {**public, "kid": self.kid, "alg": "ES256", "use": "sig"}

    def token(self, command: Command | dict[str, Any], **claims: Any) -> str:
        now = int(time.time())
        body = command if isinstance(command, dict) else command.model_dump(mode="json")
        standard = {"iss": "crosshaul", "aud": AGENT, "jti": f"jti-{next(self._numbers)}"}
        payload = {**standard, "iat": now, "exp": now + 300, "command": body, **claims}
        return jwt.encode(payload, self._key, algorithm="ES256", headers={"kid": self.kid})

    def envelope(self, command: Command | dict[str, Any], **claims: Any) -> bytes:
        return CommandEnvelope(token=self.token(command, **claims)).model_dump_json().encode()


def a_registration(*signers: Signer) -> Registration:
    """Return a registration of an agent that trusts these signers."""
    return Registration(
        agent_id=AGENT,
        thing=THING,
        api_url="http://api.localhost",
        stage="local",
        mqtt_host="127.0.0.1",
        mqtt_port=1,
        verification_keys=tuple(signer.jwk for signer in signers),
        registered_at=datetime.now(UTC),
    )


def trust(*signers: Signer) -> Trust:
    return Trust(keys=tuple(PublicKey.model_validate(signer.jwk) for signer in signers))


class FakeLink:
    """A link whose broker is a list. `up()` and `down()` connect and disconnect it."""

    def __init__(self) -> None:
        self._messages: asyncio.Queue[ReceivedMessage] = asyncio.Queue()
        self._events: asyncio.Queue[Connected | Disconnected] = asyncio.Queue()
        self._is_up = asyncio.Event()
        self._changed = asyncio.Condition()
        self.published: list[tuple[str, bytes, int]] = []
        self.acknowledged: list[bytes] = []
        self.failing_publishes = 0
        """Number of the next publishes that fail."""
        self.limit: int | None = None
        """Largest report in bytes; larger ones are refused permanently."""
        self.certificate = ""
        self.accepts_certificate: Callable[[str], bool] = lambda _: True
        """Whether the broker accepts a client with this certificate."""
        self.reconnected_with: list[str] = []

    @property
    def connected(self) -> bool:
        return self._is_up.is_set()

    async def wait_connected(self) -> None:
        await self._is_up.wait()

    def up(self) -> None:
        self._is_up.set()
        self._events.put_nowait(Connected(session_present=True, certificate=self.certificate))

    def down(self) -> None:
        self._is_up.clear()
        self._events.put_nowait(Disconnected("the cable"))

    async def reconnect(self, endpoint: BrokerEndpoint) -> None:
        """Reconnect as another client with the same name."""
        self.certificate = fingerprint(endpoint.certificate.read_text())
        self.reconnected_with.append(self.certificate)
        self.down()
        if self.accepts_certificate(self.certificate):
            self.up()

    def deliver(self, payload: bytes, topic: str = "") -> None:
        self._messages.put_nowait(ReceivedMessage(payload, lambda: self.acknowledged.append(payload), topic))

    async def messages(self) -> AsyncIterator[ReceivedMessage]:
        while True:
            yield await self._messages.get()

    async def events(self) -> AsyncIterator[Connected | Disconnected]:
        while True:
            yield await self._events.get()

    async def publish(self, topic: str, payload: bytes, qos: int = 1) -> None:
        await asyncio.sleep(0)
        if not self.connected or self.failing_publishes:
            self.failing_publishes = max(0, self.failing_publishes - 1)
            raise LinkError("the broker is away")
        if self.limit and topic.endswith("/reports") and len(payload) > self.limit:
            raise MessageTooLargeError(f"{len(payload)} bytes")
        self.published.append((topic, payload, qos))
        async with self._changed:
            self._changed.notify_all()

    @property
    def reports(self) -> list[Report]:
        """The reports published so far, in order."""
        payloads = [payload for topic, payload, _ in self.published if topic.endswith("/reports")]
        return [ReportEnvelope.model_validate_json(payload).report for payload in payloads]

    def of(self, kind: str) -> list[Any]:
        return [report for report in self.reports if report.kind == kind]

    async def until(self, true: Callable[[], object]) -> None:
        """Wait until the condition holds, checking it at every publish."""
        async with asyncio.timeout(HANG_TIMEOUT_S), self._changed:
            await self._changed.wait_for(lambda: bool(true()))

    async def wait_for_reports(self, kind: str, count: int = 1) -> list[Any]:
        """Return the reports of a kind once there are `count`."""
        await self.until(lambda: len(self.of(kind)) >= count)
        return self.of(kind)


class FakeMover:
    """Moves nothing: begins at once, and ends as the test says."""

    def __init__(self) -> None:
        self.begun: list[Move] = []
        self.stopped: list[Move] = []
        self.discarded: list[Move] = []
        self.progress_counters: list[ProgressCounter] = []
        self.observers: list[AttemptObserver] = []
        self._ends: dict[str, asyncio.Future[HopResult]] = {}
        self._changed = asyncio.Condition()

    def __call__(self, order: Move) -> "FakeMover":
        return self

    async def move(self, order: Move, progress: ProgressCounter, observer: AttemptObserver) -> HopResult:
        self._ends[order.hop_id] = end = asyncio.get_running_loop().create_future()
        self.progress_counters.append(progress)
        self.observers.append(observer)
        self.begun.append(order)
        observer.on_start(Connection(kind="local"))
        async with self._changed:
            self._changed.notify_all()
        try:
            return await end
        except asyncio.CancelledError:
            self.stopped.append(order)
            raise

    async def discard(self, order: Move) -> None:
        self.discarded.append(order)

    async def has_begun(self, count: int = 1) -> Move:
        """Return move number `count` once it has begun."""
        async with asyncio.timeout(HANG_TIMEOUT_S), self._changed:
            await self._changed.wait_for(lambda: len(self.begun) >= count)
        return self.begun[count - 1]

    def succeed(self, order: Move, digest: str = "d1") -> None:
        self._ends[order.hop_id].set_result(HopResult(digest=digest))

    def fail(self, order: Move, error: BaseException) -> None:
        self._ends[order.hop_id].set_exception(error)


class FakeLane:
    """Records what may be read over the lane."""

    def __init__(self) -> None:
        self.serving: dict[str, str] = {}
        self.served = 0
        self.refusal: Problem | None = None

    def allow(self, serve: Any, token: str) -> None:
        from agent.errors import HopError

        if self.refusal:
            raise HopError(self.refusal)
        self.serving[serve.hop_id] = token

    def revoke(self, hop_id: str) -> None:
        self.serving.pop(hop_id, None)

    def on_unreachable(self, callback: Any) -> None:
        self.unreachable_callback = callback
