"""Who may read what, and for how long: the hops that this agent serves now."""

import hashlib
import hmac
import ssl
import threading
from dataclasses import dataclass
from datetime import UTC, datetime

from agent.lane.identity import Identity
from events.commands import Serve


@dataclass(frozen=True)
class Grant:
    """One hop's leave to read."""

    serve: Serve
    token_hash: bytes
    certificate: bytes
    """The peer's, DER."""

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
        self._context = server_context(identity, [])

    def add(self, serve: Serve, token: str) -> None:
        """ValueError if the peer's certificate cannot be read."""
        certificate = ssl.PEM_cert_to_DER_cert(serve.peer.certificate)
        with self._lock:
            self._by_hop[serve.hop_id] = Grant(serve, hashed(token), certificate)
            self._renew()

    def remove(self, hop_id: str) -> None:
        with self._lock:
            if self._by_hop.pop(hop_id, None):
                self._renew()

    def get(self, hop_id: str) -> Grant | None:
        with self._lock:
            return self._by_hop.get(hop_id)

    def context(self) -> ssl.SSLContext:
        """For the next connection; without grants it lets nobody in."""
        with self._lock:
            return self._context

    def knows(self, certificate: bytes | None) -> bool:
        with self._lock:
            return any(grant.certificate == certificate for grant in self._by_hop.values())

    def _renew(self) -> None:
        pems = {grant.serve.peer.certificate for grant in self._by_hop.values()}
        self._context = server_context(self._identity, sorted(pems))


def server_context(identity: Identity, peers: list[str]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    return _pinned(context, identity, peers)


def client_context(identity: Identity, source: str) -> ssl.SSLContext:
    """Accepts the one certificate of the source, PEM, and no other, whatever name it is under."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    return _pinned(context, identity, [source])


def _pinned(context: ssl.SSLContext, identity: Identity, peers: list[str]) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(identity.certificate, identity.key)
    if peers:
        context.load_verify_locations(cadata="\n".join(peers))
    return context
