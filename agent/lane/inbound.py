"""Connections that a hop's source dialed to this agent, which wait until the pull uses them."""

import hashlib
import hmac
import json
import ssl
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from agent.config import split_endpoint
from agent.lane import requests, wire
from agent.lane.limits import LaneLimits
from agent.lane.requests import LaneRequestHandler
from agent.lane.sockets import has_no_data
from agent.pull.source import SourceConnectionError

MAX_BODY_BYTES = 4096
MAX_ADDRESS_CHARS = 300


def token_hash(token: str) -> bytes:
    """Return the SHA-256 hash of a hop token."""
    return hashlib.sha256(token.encode()).digest()


@dataclass(frozen=True)
class IdleConnection:
    """A connection that the source dialed and that waits for its first request."""

    connection: ssl.SSLSocket
    dialed_address: str
    """This agent's address, as the source dialed it."""

    def close(self) -> None:
        self.connection.close()


class InboundConnections:
    """Inbound connections of one hop. Safe to use from any thread; `close` it when the hop's pull ends."""

    def __init__(
        self,
        hop_id: str,
        token: str,
        certificate: bytes,
        context: ssl.SSLContext,
        limits: LaneLimits,
        on_closed: Callable[["InboundConnections"], None],
    ) -> None:
        """`certificate` is the source's, DER; `context` trusts only it; `on_closed` is called by `close`."""
        self.hop_id = hop_id
        self.context = context
        self.limits = limits
        self._token_hash = token_hash(token)
        self._certificate = certificate
        self._changed = threading.Condition()
        self._idle: deque[IdleConnection] = deque()
        self._wake_count = 0
        self._closed = False
        self._on_closed = on_closed

    def admits(self, token: str, certificate: bytes | None) -> bool:
        """Return whether this is the hop's token, shown by the hop's source."""
        return hmac.compare_digest(self._token_hash, token_hash(token)) and certificate == self._certificate

    def add_idle(self, idle: IdleConnection) -> None:
        """Add an idle connection; close it if there are too many, or the pull has ended."""
        with self._changed:
            self._drop_dead()
            if not self._closed and len(self._idle) < self.limits.max_idle_inbound:
                self._idle.append(idle)
                self._changed.notify()
                return
        idle.close()

    def wait_for_connection(self, timeout_s: float) -> IdleConnection:
        """Return an idle connection, or the next one to arrive.

        Raises:
            SourceConnectionError: none arrived within `timeout_s` seconds, or `wake` was called.
        """
        with self._changed:
            self._drop_dead()
            wake_count = self._wake_count
            self._changed.wait_for(
                lambda: self._idle or self._closed or self._wake_count != wake_count, timeout_s
            )
            if not self._idle:
                raise SourceConnectionError("did not connect in time")
            return self._idle.popleft()

    def wake(self) -> None:
        """Release all threads that wait in `take`."""
        with self._changed:
            self._wake_count += 1
            self._changed.notify_all()

    def close_idle(self) -> None:
        """Close all idle connections."""
        with self._changed:
            while self._idle:
                self._idle.popleft().close()

    def close(self) -> None:
        """Close all idle connections and accept no more."""
        self._on_closed(self)
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self.close_idle()

    def _drop_dead(self) -> None:
        """Drop connections that the source has closed: anything readable on an idle connection is its end."""
        alive: deque[IdleConnection] = deque()
        for idle in self._idle:
            if has_no_data(idle.connection):
                alive.append(idle)
            else:
                idle.close()
        self._idle = alive


class UpgradeHandler(LaneRequestHandler):
    """Handles the one request of a source that dialed; `idle` is its connection if it was accepted."""

    def __init__(self, inbound: InboundConnections, connection: ssl.SSLSocket, address: Any) -> None:
        connection.settimeout(inbound.limits.upgrade_timeout_s)
        self._inbound = inbound
        self.idle: IdleConnection | None = None
        super().__init__(connection, address)

    def handle(self) -> None:
        self.handle_one_request()

    def answer(self) -> None:
        dialed_address = self._dialed_address()
        self.send_response_only(101)
        self.send_header("Connection", "Upgrade")
        self.send_header("Upgrade", wire.UPGRADE)
        self.end_headers()
        self.idle = IdleConnection(self.connection, dialed_address)

    def _dialed_address(self) -> str:
        """Return the address in the request's body.

        Raises:
            LaneRequestError: the request is malformed or not authorized.
        """
        body = requests.parse_body(self.body(MAX_BODY_BYTES))
        hop_id = self._inbound.hop_id
        if self.path != f"/hops/{hop_id}/{wire.REVERSE}" or self.headers.get("Upgrade") != wire.UPGRADE:
            raise requests.malformed("the only request here is the upgrade", 404)
        if not self._inbound.admits(self.token, self.connection.getpeercert(binary_form=True)):
            raise requests.not_served(hop_id)
        return _require_address(body.get("dialed"))


def reverse_request(hop_id: str, token: str, dialed_address: str) -> bytes:
    """Return the first request that a source sends on a connection that it dialed."""
    body = json.dumps({"dialed": dialed_address}).encode()
    lines = [
        f"POST /hops/{hop_id}/{wire.REVERSE} HTTP/1.1",
        "Host: lane",
        f"Authorization: Bearer {token}",
        "Connection: Upgrade",
        f"Upgrade: {wire.UPGRADE}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _require_address(address: Any) -> str:
    """Return the address, which is shown to people, if it is one.

    Raises:
        LaneRequestError: it is not an address.
    """
    if not isinstance(address, str) or len(address) > MAX_ADDRESS_CHARS or not address.isprintable():
        raise requests.malformed("the dialed address is malformed")
    try:
        split_endpoint(address)
    except ValueError as error:
        raise requests.malformed("the dialed address is malformed") from error
    return address
