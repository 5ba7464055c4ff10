"""Inbound connections whose peers have not shown their certificates yet: who waits, and who has to make room.

They could be a stranger's, so there are few at once, and fewer from each address. For a new connection the
oldest one makes room: first those that have not even sent a ClientHello, and those of addresses that were
authenticated before last.
"""

import ipaddress
import socket
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from agent.bounded_set import BoundedSet
from agent.lane.limits import LaneLimits

MAX_KNOWN_ADDRESSES = 1000


@dataclass(eq=False)
class PendingConnection:
    """A connection that is not authenticated yet."""

    connection: socket.socket
    address: Any
    """The peer's address, as `accept` returned it."""
    accepted_at: float = field(default_factory=time.monotonic)
    hello_at: float | None = None
    """When its ClientHello was complete; None until then (monotonic seconds)."""

    @property
    def network(self) -> str:
        """What counts as one address."""
        return network_of(self.address[0])


class PendingConnections:
    """The pending connections of one listener. Safe to use from any thread."""

    def __init__(self, limits: LaneLimits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._pending: set[PendingConnection] = set()
        self._known: BoundedSet[str] = BoundedSet(MAX_KNOWN_ADDRESSES)
        """Networks from which a peer was authenticated."""

    def __len__(self) -> int:
        return len(self._pending)

    def add(self, new: PendingConnection) -> PendingConnection | None:
        """Add a connection; return the one that has to make room for it, if there are too many."""
        with self._lock:
            dropped = self._in_excess(new.network)
            if dropped:
                self._pending.remove(dropped)
            self._pending.add(new)
            return dropped

    def remove(self, pending: PendingConnection, *, authenticated: bool = False) -> None:
        """Remove a connection; if it is `authenticated`, its address is preferred from now on."""
        with self._lock:
            self._pending.discard(pending)
            if authenticated:
                self._known.add(pending.network)

    def take_late(self) -> list[PendingConnection]:
        """Remove and return the connections that have taken too long."""
        now = time.monotonic()
        with self._lock:
            late = [pending for pending in self._pending if self._deadline(pending) <= now]
            self._pending.difference_update(late)
            return late

    def take_all(self) -> list[PendingConnection]:
        """Remove and return all connections."""
        with self._lock:
            everything = list(self._pending)
            self._pending.clear()
            return everything

    def next_deadline(self) -> float | None:
        """Return when the next connection is late (monotonic seconds); None if there is no connection."""
        with self._lock:
            return min((self._deadline(pending) for pending in self._pending), default=None)

    def _deadline(self, pending: PendingConnection) -> float:
        """Return when a connection is dropped (monotonic seconds)."""
        if pending.hello_at is None:
            return pending.accepted_at + self._limits.hello_timeout_s
        return pending.hello_at + self._limits.handshake_timeout_s

    def _in_excess(self, network: str) -> PendingConnection | None:
        beside = [pending for pending in self._pending if pending.network == network]
        if len(beside) >= self._limits.max_pending_per_address:
            return self._least_worth(beside)
        is_full = len(self._pending) >= self._limits.max_pending
        return self._least_worth(self._pending) if is_full else None

    def _least_worth(self, candidates: Iterable[PendingConnection]) -> PendingConnection:
        return min(
            candidates,
            key=lambda pending: (
                pending.network in self._known,
                pending.hello_at is not None,
                pending.accepted_at,
            ),
        )


def network_of(host: str) -> str:
    """Return the IPv4 address, or the IPv6 network of 64 bits, that a host has for itself."""
    address = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
