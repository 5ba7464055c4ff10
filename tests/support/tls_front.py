"""TLS under real names, before a server that speaks plain HTTP on loopback."""

import socket
import ssl
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.connect_proxy import relay


class TlsFront:
    """Serves on a free port of loopback until the end of the `with`; `ca` is what clients must trust."""

    def __init__(self, folder: Path, upstream: int, *names: str) -> None:
        """Start the front of the server at port `upstream`, under these names."""
        folder.mkdir()
        self.ca = folder / "ca.pem"
        certificate = self._certificate(folder, names)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)
        self._upstream = upstream
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def __enter__(self) -> "TlsFront":
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    def _run(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=[client], daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        with plain, suppress(OSError):
            secure = self._context.wrap_socket(plain, server_side=True)
            with secure, socket.create_connection(("127.0.0.1", self._upstream)) as server:
                relay(secure, server)

    def _certificate(self, folder: Path, names: tuple[str, ...]) -> Path:
        """Write the authority's certificate, and a file with the front's key and certificate."""
        authority, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        ca = _builder("authority", authority.public_key()).add_extension(constraints, critical=True)
        own = _builder("front", key.public_key()).add_extension(alternatives, critical=False)
        pem = serialization.Encoding.PEM
        self.ca.write_bytes(ca.sign(authority, hashes.SHA256()).public_bytes(pem))
        private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        file = folder / "front.pem"
        file.write_bytes(private + own.sign(authority, hashes.SHA256()).public_bytes(pem))
        return file


def _builder(name: str, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    def name_of(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name_of(name))
        .issuer_name(name_of("authority"))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
    )
