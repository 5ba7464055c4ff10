"""Who may read what, and for how long: the hops that this agent serves now. And those it waits for: a hop's
source may dial, too.

Whoever dials names its hop in the TLS handshake (SNI), and is let in by that hop's peer certificate and no
other. A hop that is neither served nor awaited gets no further than its name.
"""

import hmac
import ssl
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime

from agent.identity.lane_certificate import Identities, Identity
from agent.lane.inbound import InboundConnections, token_hash
from agent.pull.active_pulls import ActivePulls
from agent.pull.bandwidth import RateLimiter, SharedBandwidth, limiter_for
from events.base import Problem
from events.commands import Peer, Serve
from events.options import Options


@dataclass(frozen=True)
class Grant:
    """One hop's leave to read."""

    serve: Serve
    token_hash: bytes
    certificate: bytes
    """The peer's, DER."""
    context: ssl.SSLContext
    """Trusts this one certificate."""
    limiter: RateLimiter
    """What the hop may take of this agent's line."""
    over: threading.Event
    """Nobody waits for the line any longer."""
    unreadable: dict[str, Problem] = field(default_factory=dict)
    """By path: what broke a range off, to be told when it is asked for again."""

    def admits(self, token: str, certificate: bytes | None) -> bool:
        """Is this the token, shown by the peer it is for, in time?"""
        right = hmac.compare_digest(self.token_hash, token_hash(token))
        return right and certificate == self.certificate and datetime.now(UTC) < self.serve.until


class Grants:
    """All grants, what is awaited, and the TLS context that lets in only the peers they name. Used by any
    thread."""

    def __init__(self, identities: Identities, line: SharedBandwidth, arrivals: ActivePulls) -> None:
        """`line` is what all hops of this agent share, `arrivals` what they bring."""
        self.arrivals = arrivals
        self._identities = identities
        self._line = line
        self._lock = threading.Lock()
        self._by_hop: dict[str, Grant] = {}
        self._awaited: dict[str, InboundConnections] = {}
        self.context = _context(ssl.PROTOCOL_TLS_SERVER, identities.named(None), None)
        """For every connection: trusts nobody, until it hears which hop it is for."""
        self.context.sni_callback = self._choose

    def add(self, serve: Serve, token: str) -> None:
        """ValueError if the peer's certificate cannot be read."""
        certificate, context = self._trusting(serve.peer, serve.own_certificate)
        with self._lock:
            self._by_hop[serve.hop_id] = self._grant(serve, token, certificate, context)

    def _grant(self, serve: Serve, token: str, certificate: bytes, context: ssl.SSLContext) -> Grant:
        over = threading.Event()
        limiter = limiter_for(Options(priority=serve.priority), self._line, over)
        return Grant(serve, token_hash(token), certificate, context, limiter, over)

    def expect_inbound(
        self, hop_id: str, source: Peer, token: str, own: str | None = None
    ) -> InboundConnections:
        """Let a hop's source in, until what is returned is closed; it was told to expect our certificate
        `own`. ValueError as above."""
        certificate, context = self._trusting(source, own)
        with self._lock:
            awaited = InboundConnections(hop_id, token, certificate, context, self._expect_no_more)
            self._awaited[hop_id] = awaited
        return awaited

    def _expect_no_more(self, awaited: InboundConnections) -> None:
        with self._lock:
            if self._awaited.get(awaited.hop_id) is awaited:
                del self._awaited[awaited.hop_id]

    def _trusting(self, peer: Peer, own: str | None) -> tuple[bytes, ssl.SSLContext]:
        """The peer's certificate, DER, and a context that trusts no other and shows it the certificate that
        it expects; ValueError."""
        certificate = ssl.PEM_cert_to_DER_cert(peer.certificate)
        try:
            identity = self._identities.named(own)
            return certificate, _context(ssl.PROTOCOL_TLS_SERVER, identity, peer.certificate)
        except ssl.SSLError as error:
            raise ValueError("the peer's certificate is none") from error

    def remove(self, hop_id: str) -> None:
        with self._lock:
            if gone := self._by_hop.pop(hop_id, None):
                gone.over.set()

    def clear(self) -> None:
        with self._lock:
            for gone in self._by_hop.values():
                gone.over.set()
            self._by_hop.clear()

    def get(self, hop_id: str) -> Grant | None:
        with self._lock:
            return self._by_hop.get(hop_id)

    def hop_of(self, context: ssl.SSLContext) -> str | None:
        """The hop that a connection named in its handshake."""
        with self._lock:
            return next((hop for hop, grant in self._by_hop.items() if grant.context is context), None)

    def awaited_by(self, context: ssl.SSLContext) -> InboundConnections | None:
        """The same for a hop that is awaited."""
        with self._lock:
            return next((one for one in self._awaited.values() if one.context is context), None)

    def _choose(
        self, connection: ssl.SSLSocket | ssl.SSLObject, name: str | None, _context: ssl.SSLContext
    ) -> int | None:
        with self._lock:
            found = self._by_hop.get(name or "") or self._awaited.get(name or "")
        if found is None:
            return ssl.AlertDescription.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        connection.context = found.context
        return None


def client_context(identity: Identity, source: str) -> ssl.SSLContext:
    """Accepts the one certificate of the source, PEM, and no other, whatever name it is under; ValueError
    or ssl.SSLError if it cannot be read."""
    return _context(ssl.PROTOCOL_TLS_CLIENT, identity, source)


def _context(protocol: int, identity: Identity, peer: str | None) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.check_hostname = False
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(identity.certificate, identity.key)
    if protocol == ssl.PROTOCOL_TLS_SERVER:
        context.num_tickets = 0  # a resumed session would bring along whoever began it
    if peer:
        context.load_verify_locations(cadata=peer)
    return context
