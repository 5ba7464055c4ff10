"""Find out what is between this host and the broker: its DNS, a firewall, a proxy, or one that opens TLS.

awscrt says of all of these little more than that a socket was closed.
"""

import socket
import ssl
from contextlib import closing, suppress

from cryptography import x509
from cryptography.x509.oid import NameOID

from agent.cloud.messages import BrokerEndpoint
from agent.cloud.proxy import ProxyError, open_tunnel
from agent.errors import HostError

AWS_MQTT_PORT, HTTPS_PORT = 8883, 443
MQTT_ALPN = "x-amzn-mqtt-ca"
"""What AWS IoT Core is asked for at port 443, which serves HTTPS, too."""
TIMEOUT_S = 10
"""Seconds for one answer from the network."""
_AWS_DOMAIN, _AWS_ISSUER = ".amazonaws.com", "Amazon"
"""Who has issued the certificates of AWS's own names, outside China."""


def examine_path(endpoint: BrokerEndpoint) -> str:
    """Connect to the broker as the agent does, up to TLS; return the address and the version of TLS.

    Raises:
        HostError: What is in the way, and what to do.
    """
    host, port = endpoint.host, endpoint.port
    try:
        return _handshake(endpoint, port)
    except socket.gaierror as error:
        name = endpoint.proxy.host if endpoint.proxy else host  # which looks up the broker's itself
        raise HostError(f"{name} has no address", "check this host's DNS") from error
    except ssl.SSLError as error:
        reason = getattr(error, "verify_message", "") or error.reason or error
        issuer = _presented_issuer(endpoint)
        shown = f"; the certificate that is shown there is from {issuer}" if issuer else ""
        advice = f"{_exempt(host)}; or register again with `crosshaul agent register --force`"
        raise HostError(f"TLS with {host}:{port} fails: {reason}{shown}", advice) from error
    except ProxyError as error:
        raise HostError(str(error), _or_443(error.advice, endpoint)) from error
    except OSError as error:
        advice = _or_443(f"allow outgoing TCP port {port} in the firewall", endpoint)
        raise HostError(f"{host}:{port} does not answer: {error}", advice) from error


def _exempt(host: str) -> str:
    return f"let no proxy or firewall open the TLS of {host}: exempt that name from inspection"


def _or_443(advice: str, endpoint: BrokerEndpoint) -> str:
    """Add to the advice that the broker answers at port 443, if it does."""
    if endpoint.port == AWS_MQTT_PORT:
        with suppress(OSError, HostError):
            _handshake(endpoint, HTTPS_PORT)
            return (
                f"set mqtt_port = {HTTPS_PORT} under [network] in agent.toml: that port answers; or {advice}"
            )
    return advice


def _handshake(endpoint: BrokerEndpoint, port: int) -> str:
    """Return the address and TLS version that a connection has.

    Raises OSError, or HostError if someone else than AWS answers under AWS's name.
    """
    context = ssl.create_default_context(cafile=endpoint.ca)
    context.load_cert_chain(endpoint.certificate, endpoint.key)
    with closing(_connect(endpoint, port)) as plain, _wrapped(plain, context, endpoint.host, port) as secure:
        issuer = _issuer(secure)
        if endpoint.ca is None and endpoint.host.endswith(_AWS_DOMAIN) and _AWS_ISSUER not in issuer:
            # This host trusts that authority, so TLS succeeds, and the broker never sees our certificate.
            raise HostError(
                f"the certificate of {endpoint.host}:{port} is from {issuer}, not from AWS",
                _exempt(endpoint.host),
            )
        through = f" through {endpoint.proxy}" if endpoint.proxy else ""
        return f"{endpoint.host}:{port}{through}, {secure.version()}"


def _presented_issuer(endpoint: BrokerEndpoint) -> str:
    """Return who has issued the certificate that cannot be trusted; "" if it is not shown again."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # nothing is sent: it is only read
    with (
        suppress(OSError),
        closing(_connect(endpoint, endpoint.port)) as plain,
        _wrapped(plain, context, endpoint.host, endpoint.port) as secure,
    ):
        return _issuer(secure)
    return ""


def _connect(endpoint: BrokerEndpoint, port: int) -> socket.socket:
    if endpoint.proxy:
        return open_tunnel(endpoint.proxy, endpoint.host, port, TIMEOUT_S)
    address = "127.0.0.1" if endpoint.host.endswith(".localhost") else endpoint.host
    return socket.create_connection((address, port), TIMEOUT_S)


def _wrapped(plain: socket.socket, context: ssl.SSLContext, host: str, port: int) -> ssl.SSLSocket:
    if port == HTTPS_PORT:
        context.set_alpn_protocols([MQTT_ALPN])
    return context.wrap_socket(plain, server_hostname=host)


def _issuer(secure: ssl.SSLSocket) -> str:
    """Return the organization that has issued the peer's certificate, or else its name."""
    try:
        issuer = x509.load_der_x509_certificate(secure.getpeercert(binary_form=True) or b"").issuer
        text = _first(issuer, NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME) or issuer.rfc4514_string()
    except ValueError:
        return "an authority whose name cannot be read"
    return "".join(sign if sign.isprintable() else " " for sign in text)[:100]


def _first(name: x509.Name, *kinds: x509.ObjectIdentifier) -> str:
    return next((str(one.value) for kind in kinds for one in name.get_attributes_for_oid(kind)), "")
