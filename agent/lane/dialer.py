"""How either side gets through to the other: one address, one certificate, one hop."""

import socket
import ssl

from agent.config import split_endpoint
from agent.errors import HopError
from agent.identity.lane_certificate import Identity
from agent.lane.grants import client_context
from events.base import Problem
from events.commands import Peer

DIAL_TIMEOUT_S = 5.0
"""Seconds for each address: the connection and the handshake. And for all of them until a hop that found no
way at all says so."""


class Dialer:
    """Reaches one peer for one hop. Safe from any thread."""

    def __init__(self, identity: Identity, peer: Peer, hop_id: str) -> None:
        """HopError if the peer's certificate cannot be read."""
        self._hop_id = hop_id
        try:
            self._certificate = ssl.PEM_cert_to_DER_cert(peer.certificate)
            self._context = client_context(identity, peer.certificate)
        except (ValueError, ssl.SSLError) as error:
            raise HopError(no_certificate(peer.agent_id)) from error

    def connect(self, endpoint: str) -> ssl.SSLSocket:
        """A connection to the peer itself, on which nothing may take longer than `DIAL_WITHIN` yet. OSError
        (ssl.SSLError is one), or ValueError if that is no address."""
        plain = socket.create_connection(split_endpoint(endpoint), DIAL_TIMEOUT_S)
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            return self.secured(plain)
        except BaseException:
            plain.close()
            raise

    def secured(self, plain: socket.socket) -> ssl.SSLSocket:
        """The same of a socket that leads there somehow."""
        secured = self._context.wrap_socket(plain, server_hostname=self._hop_id)
        if secured.getpeercert(binary_form=True) != self._certificate:
            secured.close()
            raise ssl.SSLError("another agent answers there")
        return secured


HOP_UNKNOWN_TEXT = "does not know of this hop, or not yet"
_TLS = {
    "CALLBACK_FAILED": "asked for a hop that is not known here, or not any more",
    "TLSV1_UNRECOGNIZED_NAME": HOP_UNKNOWN_TEXT,
    "CERTIFICATE_VERIFY_FAILED": "shows another certificate than the agent's: another one answers there",
    "TLSV1_ALERT_UNKNOWN_CA": "takes this agent's certificate for another's",
    "WRONG_VERSION_NUMBER": "speaks no TLS: something else answers there",
}


def describe_error(error: Exception) -> str:
    """What an address answered: `connection refused`, `no answer in time`, without numbers."""
    if isinstance(error, ssl.SSLError) and error.reason:
        return _TLS.get(error.reason, error.reason.lower().replace("_", " "))
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, socket.gaierror):
        return "no such host"
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()


def no_certificate(agent_id: str) -> Problem:
    return Problem(
        code="peer-certificate",
        message=f"The lane certificate of {agent_id} cannot be read.",
        advice="Register that agent again.",
    )
