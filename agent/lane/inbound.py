"""The hops whose source may dial this agent, and the connections that it made: they wait for the pull."""

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
from agent.lane.requests import LaneRequestHandler
from agent.lane.sockets import has_no_data
from agent.pull.source import SourceConnectionError

REQUEST_TIMEOUT_S = 10.0
"""Seconds in which whoever has shaken hands says what it wants."""
MAX_IDLE_CONNECTIONS = 64
"""Connections of one hop that may wait."""
MAX_BODY_BYTES = 4096
MAX_ADDRESS_CHARS = 300


def token_hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


@dataclass(frozen=True)
class IdleConnection:
    """A connection that the source made, on which it waits to be asked."""

    connection: ssl.SSLSocket
    dialled: str
    """This agent's address, as the source dialled it."""

    def close(self) -> None:
        self.connection.close()


class InboundConnections:
    """One hop's. Used by any thread; `close` it when the hop's pull ends."""

    def __init__(
        self,
        hop_id: str,
        token: str,
        certificate: bytes,
        context: ssl.SSLContext,
        closed: Callable[["InboundConnections"], None],
    ) -> None:
        """`certificate`: the source's, DER; `context` trusts this one; `closed` is told of the end."""
        self.hop_id = hop_id
        self.context = context
        self._token_hash = token_hash(token)
        self._certificate = certificate
        self._changed = threading.Condition()
        self._parked: deque[IdleConnection] = deque()
        self._woken = 0
        self._closed = False
        self._tell = closed

    def admits(self, token: str, certificate: bytes | None) -> bool:
        """Is this the hop's token, shown by its source?"""
        return hmac.compare_digest(self._token_hash, token_hash(token)) and certificate == self._certificate

    def add(self, parked: IdleConnection) -> None:
        with self._changed:
            self._drop_dead()
            if not self._closed and len(self._parked) < MAX_IDLE_CONNECTIONS:
                self._parked.append(parked)
                self._changed.notify()
                return
        parked.close()

    def take(self, within: float) -> IdleConnection:
        """One of those that wait, or the next to come; LostError if none comes in so many seconds, or
        `wake` is called."""
        with self._changed:
            self._drop_dead()
            woken = self._woken
            self._changed.wait_for(lambda: self._parked or self._closed or self._woken != woken, within)
            if not self._parked:
                raise SourceConnectionError("has not come through")
            return self._parked.popleft()

    def wake(self) -> None:
        """Whoever waits for the next to come need wait no longer."""
        with self._changed:
            self._woken += 1
            self._changed.notify_all()

    def clear(self) -> None:
        """Nobody has use for those that wait."""
        with self._changed:
            while self._parked:
                self._parked.popleft().close()

    def close(self) -> None:
        """And nobody is let in any more."""
        self._tell(self)
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self.clear()

    def _drop_dead(self) -> None:
        """Who waits to be asked says nothing: what can be read is its end."""
        alive: deque[IdleConnection] = deque()
        for parked in self._parked:
            if has_no_data(parked.connection):
                alive.append(parked)
            else:
                parked.close()
        self._parked = alive


class UpgradeHandler(LaneRequestHandler):
    """Hears the one request of a source that dialled; `parked` is its connection if it was let in."""

    def __init__(self, awaited: InboundConnections, connection: ssl.SSLSocket, address: Any) -> None:
        connection.settimeout(REQUEST_TIMEOUT_S)
        self._awaited = awaited
        self.parked: IdleConnection | None = None
        super().__init__(connection, address)

    def handle(self) -> None:
        self.handle_one_request()

    def answer(self) -> None:
        dialled = self._dialled()
        self.send_response_only(101)
        self.send_header("Connection", "Upgrade")
        self.send_header("Upgrade", wire.UPGRADE)
        self.end_headers()
        self.parked = IdleConnection(self.connection, dialled)

    def _dialled(self) -> str:
        """The address in the body of a right request; Refusal of any other."""
        body = requests.parsed(self.body(MAX_BODY_BYTES))
        hop_id = self._awaited.hop_id
        if self.path != f"/hops/{hop_id}/{wire.REVERSE}" or self.headers.get("Upgrade") != wire.UPGRADE:
            raise requests.malformed("here, too, it is the source that is asked", 404)
        if not self._awaited.admits(self.token, self.connection.getpeercert(binary_form=True)):
            raise requests.not_served(hop_id)
        return _address(body.get("dialled"))


def reverse_request(hop_id: str, token: str, dialled: str) -> bytes:
    """What a source says first on a connection that it made."""
    body = json.dumps({"dialled": dialled}).encode()
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


def _address(dialled: Any) -> str:
    """For people to read: one that can be an address."""
    if not isinstance(dialled, str) or len(dialled) > MAX_ADDRESS_CHARS or not dialled.isprintable():
        raise requests.malformed("the address that was dialled is none")
    try:
        split_endpoint(dialled)
    except ValueError as error:
        raise requests.malformed("the address that was dialled is none") from error
    return dialled
