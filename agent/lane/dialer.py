"""Dial one peer for one hop, and verify its certificate."""

import errno
import socket
import ssl
import time
from ipaddress import ip_address

from agent.config import split_endpoint
from agent.errors import HopError
from agent.identity.lane_certificate import Identity
from agent.lane.grants import client_context
from agent.lane.limits import LaneLimits
from agent.problems import PEER_CERTIFICATE
from agent.tcp import prepare
from events.addresses import may_be_dialed
from events.commands import Peer

MAX_ADDRESSES = 8
"""Addresses of one name that are tried. A hostile peer chooses the name."""


class Dialer:
    """Dials one peer for one hop. Safe to use from any thread."""

    def __init__(
        self, identity: Identity, peer: Peer, hop_id: str, limits: LaneLimits, *, loopback: bool = False
    ) -> None:
        """Prepare TLS with this agent's identity and the peer's certificate.

        With `loopback`, addresses of this host may be dialed, too.

        Raises:
            HopError: the peer's certificate cannot be read.
        """
        self._hop_id = hop_id
        self._silence_timeout_s = limits.silence_timeout_s
        self._timeout_s = limits.dial_timeout_s
        self._loopback = loopback
        try:
            self._certificate = ssl.PEM_cert_to_DER_cert(peer.certificate)
            self._context = client_context(identity, peer.certificate)
        except (ValueError, ssl.SSLError) as error:
            raise HopError(PEER_CERTIFICATE.problem(agent_id=peer.agent_id)) from error

    def dial(self, endpoint: str) -> ssl.SSLSocket:
        """Return a TLS connection to the peer, on which reads and writes time out.

        Raises:
            OSError: the connection or the handshake failed (ssl.SSLError is an OSError), or the peer named an
                address that is never dialed.
            ValueError: `endpoint` is not an address.
        """
        plain = self._connect(*split_endpoint(endpoint))
        try:
            prepare(plain, self._silence_timeout_s)
            return self.wrap(plain)
        except BaseException:
            plain.close()
            raise

    def _connect(self, host: str, port: int) -> socket.socket:
        """Connect to the first address of a name that answers.

        The address that is checked is the one that is dialed: a name could lead elsewhere the next time.
        """
        deadline = time.monotonic() + self._timeout_s
        error = OSError(errno.EACCES, "an address that is never dialed")
        for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[
            :MAX_ADDRESSES
        ]:
            if not may_be_dialed(ip_address(str(address[0]).partition("%")[0]), loopback=self._loopback):
                continue
            plain = socket.socket(family, kind, protocol)
            try:
                plain.settimeout(max(0.1, deadline - time.monotonic()))
                plain.connect(address)
                plain.settimeout(self._timeout_s)
            except OSError as failure:
                plain.close()
                error = failure
            else:
                return plain
        raise error

    def wrap(self, plain: socket.socket) -> ssl.SSLSocket:
        """Shake hands on a socket that leads to the peer, and return the TLS connection.

        Raises:
            OSError: the handshake failed, or another agent answered.
        """
        secured = self._context.wrap_socket(plain, server_hostname=self._hop_id)
        if secured.getpeercert(binary_form=True) != self._certificate:
            secured.close()
            raise ssl.SSLError("another agent answered")
        return secured


HOP_UNKNOWN_TEXT = "does not know this hop (yet)"
_TLS_ERROR_TEXTS = {
    "CALLBACK_FAILED": "asked for a hop that is unknown here or has ended",
    "TLSV1_UNRECOGNIZED_NAME": HOP_UNKNOWN_TEXT,
    "CERTIFICATE_VERIFY_FAILED": "shows another certificate: another host answers there",
    "TLSV1_ALERT_UNKNOWN_CA": "does not accept this agent's certificate",
    "WRONG_VERSION_NUMBER": "does not speak TLS: another service answers there",
}


def describe_error(error: Exception) -> str:
    """Return what an address answered, without numbers: `connection refused`, `no answer in time`."""
    if isinstance(error, ssl.SSLError) and error.reason:
        return _TLS_ERROR_TEXTS.get(error.reason, error.reason.lower().replace("_", " "))
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, socket.gaierror):
        return "no such host"
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()
