"""What passes between the link and the rest of the agent; `link.py` is the real one, tests have theirs."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


class LinkError(Exception):
    """What was to be published did not reach the broker; try again when connected."""


class MessageTooLargeError(LinkError):
    """The broker refuses the message for its size, and would again."""


@dataclass(frozen=True)
class Connected:
    session_present: bool
    """Had the broker kept what this agent subscribed to, and the letters that came meanwhile?"""
    certificate: str = ""
    """The fingerprint of the certificate that this agent showed."""


@dataclass(frozen=True)
class Disconnected:
    reason: str
    taken_over: bool = False
    """Did another client with the same name push this one out?"""


@dataclass(frozen=True)
class ReceivedMessage:
    """A letter that has arrived; the broker sends it again, some day, until it is acknowledged."""

    payload: bytes
    acknowledge: Callable[[], None] = field(repr=False)
    topic: str = ""


@dataclass(frozen=True)
class BrokerEndpoint:
    """Where the broker is, and as whom to speak to it."""

    host: str
    port: int
    client_id: str
    certificate: Path
    key: Path
    ca: Path | None
    """None: the system's own trust store."""


class BrokerConnection(Protocol):
    """A link, as the service sees it."""

    @property
    def connected(self) -> bool: ...

    async def wait_connected(self) -> None: ...

    async def reconnect(self, endpoint: BrokerEndpoint) -> None:
        """Connect anew, as `endpoint` says, and go on; LinkError if its keys cannot be used."""
        ...

    def messages(self) -> AsyncIterator[ReceivedMessage]: ...

    def events(self) -> AsyncIterator[Connected | Disconnected]:
        """Every change, in order; `Connected` comes once letters can be received."""
        ...

    async def publish(self, topic: str, payload: bytes, qos: int = 1) -> None:
        """Return when the broker has it (QoS 1) or it was sent (QoS 0); LinkError otherwise, which is
        MessageTooLargeError where it has to be shorter."""
        ...
