"""What the link and the rest of the agent exchange; `mqtt_link` is the real link, tests have a fake."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from agent.cloud.proxy import Proxy


class LinkError(Exception):
    """A message did not reach the broker; try again when connected."""


class MessageTooLargeError(LinkError):
    """The broker refuses the message for its size, and would do so again."""


@dataclass(frozen=True)
class Connected:
    """The link is up."""

    session_present: bool
    """Whether the broker had kept the subscription, and the messages that came in the meantime."""
    certificate: str = ""
    """Fingerprint of the certificate that this agent presented."""


@dataclass(frozen=True)
class Disconnected:
    """The link is down."""

    reason: str
    taken_over: bool = False
    """Whether another client with the same id has replaced this one."""
    advice: str = ""
    """What to do, if it is known what is in the way."""


@dataclass(frozen=True)
class ReceivedMessage:
    """A message that has arrived; the broker may send it again until it is acknowledged."""

    payload: bytes
    acknowledge: Callable[[], None] = field(repr=False)
    topic: str = ""


@dataclass(frozen=True)
class BrokerEndpoint:
    """Address of the broker, and the client's identity."""

    host: str
    port: int
    client_id: str
    certificate: Path
    key: Path
    ca: Path | None
    """None: the system's trust store."""
    proxy: Proxy | None = None
    """None: the broker is reached directly."""


class BrokerConnection(Protocol):
    """A link, as the service uses it."""

    @property
    def connected(self) -> bool: ...

    async def wait_connected(self) -> None: ...

    async def reconnect(self, endpoint: BrokerEndpoint) -> None:
        """Connect again with another endpoint.

        Raises LinkError if its keys cannot be used.
        """
        ...

    def messages(self) -> AsyncIterator[ReceivedMessage]: ...

    def events(self) -> AsyncIterator[Connected | Disconnected]:
        """Yield every change in order; `Connected` comes once messages can be received."""
        ...

    async def publish(self, topic: str, payload: bytes, qos: int = 1) -> None:
        """Return when the broker has the message (QoS 1) or it was sent (QoS 0).

        Raises LinkError otherwise; MessageTooLargeError if it has to be shorter.
        """
        ...
