"""Who may read what, and for how long: the hops that this agent serves now.

Whoever dials names its hop in the TLS handshake (SNI), and is let in by that hop's peer certificate and no
other. A hop that is not served gets no further than its name.
"""

import hashlib
import hmac
import ssl
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime

from agent.lane.identity import Identity
from events.base import Problem
from events.commands import Serve


@dataclass(frozen=True)
class Grant:
    """One hop's leave to read."""

    serve: Serve
    token_hash: bytes
    certificate: bytes
    """The peer's, DER."""
    context: ssl.SSLContext
    """Trusts this one certificate."""
    unreadable: dict[str, Problem] = field(default_factory=dict)
    """By path: what broke a range off, to be told when it is asked for again."""

    def admits(self, token: str, certificate: bytes | None) -> bool:
        """Is this the token, shown by the peer it is for, in time?"""
        right = hmac.compare_digest(self.token_hash, hashed(token))
        return right and certificate == self.certificate and datetime.now(UTC) < self.serve.until


def hashed(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


class Grants:
    """All grants, and the TLS context that lets in only the peers they name. Used by any thread."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self._lock = threading.Lock()
        self._by_hop: dict[str, Grant] = {}
        self.context = _context(ssl.PROTOCOL_TLS_SERVER, identity, None)
        """For every connection: trusts nobody, until it hears which hop it is for."""
        self.context.sni_callback = self._choose

    def add(self, serve: Serve, token: str) -> None:
        """ValueError if the peer's certificate cannot be read."""
        certificate = ssl.PEM_cert_to_DER_cert(serve.peer.certificate)
        context = _context(ssl.PROTOCOL_TLS_SERVER, self._identity, None)
        try:
            context.load_verify_locations(cadata=serve.peer.certificate)
        except ssl.SSLError as error:
            raise ValueError("the peer's certificate is none") from error
        with self._lock:
            self._by_hop[serve.hop_id] = Grant(serve, hashed(token), certificate, context)

    def remove(self, hop_id: str) -> None:
        with self._lock:
            self._by_hop.pop(hop_id, None)

    def clear(self) -> None:
        with self._lock:
            self._by_hop.clear()

    def get(self, hop_id: str) -> Grant | None:
        with self._lock:
            return self._by_hop.get(hop_id)

    def hop_of(self, context: ssl.SSLContext) -> str | None:
        """The hop that a connection named in its handshake."""
        with self._lock:
            return next((hop for hop, grant in self._by_hop.items() if grant.context is context), None)

    def _choose(
        self, connection: ssl.SSLSocket | ssl.SSLObject, name: str | None, _context: ssl.SSLContext
    ) -> int | None:
        grant = self.get(name or "")
        if grant is None:
            return ssl.AlertDescription.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        connection.context = grant.context
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
