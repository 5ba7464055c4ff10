"""The hops that this agent serves now, and those that wait for their source to dial: who may read what, when.

A dialing agent names its hop in the TLS handshake (SNI), and only the certificate of that hop's peer is
accepted. For a hop that is neither served nor waiting, the handshake is refused at the name.
"""

import hmac
import ssl
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime

from agent.errors import HopError
from agent.files.listing import OwnChanges, Selection
from agent.identity.key_files import KeyFileError, require_pair
from agent.identity.lane_certificate import Identities, Identity
from agent.lane.inbound import InboundConnections, token_hash
from agent.lane.limits import LaneLimits
from agent.lane.sockets import LaneSocket
from agent.problems import LANE_KEY_UNUSABLE
from agent.pull.active_pulls import ActivePulls
from agent.pull.bandwidth import RateLimiter, SharedBandwidth, limiter_for
from agent.pull.mover import selection_of
from events.base import Problem
from events.commands import Peer, Serve
from events.options import Options


@dataclass(frozen=True)
class Grant:
    """Permission for one hop to read."""

    serve: Serve
    token_hash: bytes
    certificate: bytes
    """The peer's certificate, DER."""
    context: ssl.SSLContext
    """TLS context that trusts only the peer's certificate."""
    limiter: RateLimiter
    """The hop's share of this agent's bandwidth."""
    stopped: threading.Event
    """Set when the grant has ended: nothing waits for bandwidth any longer."""
    selection: Selection
    """What the peer may list, read and delete."""
    unreadable: dict[str, Problem] = field(default_factory=dict, init=False)
    """By path: the error that broke off a range, to be returned when the range is requested again."""
    own_changes: OwnChanges = field(default_factory=dict, init=False)
    """Changes of files by the hop's own deletions."""

    def admits(self, token: str, certificate: bytes | None) -> bool:
        """Return whether this is the hop's token, shown by its peer before the grant expires."""
        is_right_token = hmac.compare_digest(self.token_hash, token_hash(token))
        return is_right_token and certificate == self.certificate and datetime.now(UTC) < self.serve.until


class Grants:
    """All grants and expected inbound connections, and the TLS context that accepts only their peers.

    Safe to use from any thread.
    """

    def __init__(
        self,
        identities: Identities,
        bandwidth: SharedBandwidth,
        active_pulls: ActivePulls,
        limits: LaneLimits,
    ) -> None:
        """`bandwidth` is shared by all hops of this agent; `active_pulls` are the pulls that run on it."""
        self.active_pulls = active_pulls
        self.limits = limits
        self._identities = identities
        self._bandwidth = bandwidth
        self._lock = threading.Lock()
        self._by_hop: dict[str, Grant] = {}
        self._inbound: dict[str, InboundConnections] = {}
        self.context = _context(ssl.PROTOCOL_TLS_SERVER, identities.named(None), None)
        """For every connection: trusts no certificate until the handshake has named a hop."""
        self.context.sni_callback = self._choose_context

    def grant(self, serve: Serve, token: str) -> None:
        """Serve a hop to its peer, which must show this token.

        Raises:
            ValueError: the peer's certificate cannot be read.
            HopError: a filter is invalid, or this agent's own certificate cannot be used.
        """
        certificate, context = self._context_for(serve.peer, serve.own_certificate)
        with self._lock:
            self._by_hop[serve.hop_id] = self._grant(serve, token, certificate, context)

    def _grant(self, serve: Serve, token: str, certificate: bytes, context: ssl.SSLContext) -> Grant:
        over = threading.Event()
        limiter = limiter_for(Options(priority=serve.options.priority), self._bandwidth, over)
        return Grant(serve, token_hash(token), certificate, context, limiter, over, selection_of(serve))

    def expect_inbound(
        self, hop_id: str, source: Peer, token: str, own_certificate: str | None = None
    ) -> InboundConnections:
        """Accept connections from a hop's source until the returned object is closed.

        `own_certificate` is the name of the certificate of ours that the source expects.

        Raises:
            ValueError: the source's certificate cannot be read.
        """
        certificate, context = self._context_for(source, own_certificate)
        with self._lock:
            inbound = InboundConnections(
                hop_id, token, certificate, context, self.limits, self._on_inbound_closed
            )
            self._inbound[hop_id] = inbound
        return inbound

    def _on_inbound_closed(self, inbound: InboundConnections) -> None:
        with self._lock:
            if self._inbound.get(inbound.hop_id) is inbound:
                del self._inbound[inbound.hop_id]

    def _context_for(self, peer: Peer, own_certificate: str | None) -> tuple[bytes, ssl.SSLContext]:
        """Return the peer's certificate (DER), and a TLS context that trusts only that certificate.

        Raises:
            ValueError: the peer's certificate cannot be read.
        """
        certificate = ssl.PEM_cert_to_DER_cert(peer.certificate)
        try:
            identity = self._identities.named(own_certificate)
            return certificate, _context(ssl.PROTOCOL_TLS_SERVER, identity, peer.certificate)
        except ssl.SSLError as error:
            raise ValueError("the peer's certificate cannot be read") from error

    def remove(self, hop_id: str) -> None:
        """Stop serving a hop."""
        with self._lock:
            if grant := self._by_hop.pop(hop_id, None):
                grant.stopped.set()

    def revoke_all(self) -> None:
        """Stop serving all hops."""
        with self._lock:
            for grant in self._by_hop.values():
                grant.stopped.set()
            self._by_hop.clear()

    def get(self, hop_id: str) -> Grant | None:
        """Return the grant of a hop that is served now."""
        with self._lock:
            return self._by_hop.get(hop_id)

    def hop_of(self, context: ssl.SSLContext) -> str | None:
        """Return the ID of the served hop that a connection named in its handshake."""
        with self._lock:
            return next((hop for hop, grant in self._by_hop.items() if grant.context is context), None)

    def inbound_of(self, context: ssl.SSLContext) -> InboundConnections | None:
        """Return the expected inbound connections of the hop that a connection named in its handshake."""
        with self._lock:
            return next((inbound for inbound in self._inbound.values() if inbound.context is context), None)

    def _choose_context(
        self, connection: ssl.SSLSocket | ssl.SSLObject, hop_id: str | None, _context: ssl.SSLContext
    ) -> int | None:
        with self._lock:
            found = self._by_hop.get(hop_id or "") or self._inbound.get(hop_id or "")
        if found is None:
            return ssl.AlertDescription.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        connection.context = found.context
        return None


def client_context(identity: Identity, source: str) -> ssl.SSLContext:
    """Return a TLS context that accepts only the source's certificate (PEM), whatever name it was issued for.

    Raises:
        ValueError: the certificate cannot be read (or ssl.SSLError).
        HopError: this agent's own certificate cannot be used.
    """
    return _context(ssl.PROTOCOL_TLS_CLIENT, identity, source)


def _context(protocol: int, identity: Identity, peer: str | None) -> ssl.SSLContext:
    try:  # the files may have been damaged since the start; OpenSSL would wait for a pipe's other end
        require_pair(identity.certificate, identity.key)
    except KeyFileError as error:
        raise HopError(LANE_KEY_UNUSABLE.problem(reason=error)) from error
    context = ssl.SSLContext(protocol)
    context.sslsocket_class = LaneSocket
    context.check_hostname = False
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(identity.certificate, identity.key)
    if protocol == ssl.PROTOCOL_TLS_SERVER:
        context.num_tickets = 0  # a resumed session would skip the certificate check
    if peer:
        context.load_verify_locations(cadata=peer)
    return context
