"""TLS under real names, before a server that speaks plain HTTP on loopback."""

import socket
import ssl
from contextlib import suppress
from pathlib import Path

from tests.support.certificates import certificate, new_key, private_pem
from tests.support.connect_proxy import relay
from tests.support.loopback_server import ConnectionServer


class TlsFront(ConnectionServer):
    """Serves on a free port of loopback until the end of the `with`; `ca` is what clients must trust."""

    def __init__(self, folder: Path, upstream: int, *names: str) -> None:
        """Start the front of the server at port `upstream`, under these names."""
        folder.mkdir()
        self.ca = folder / "ca.pem"
        certificate = self._certificate(folder, names)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)
        self._upstream = upstream
        super().__init__()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            secure = self._context.wrap_socket(client, server_side=True)
            with secure, socket.create_connection(("127.0.0.1", self._upstream)) as server:
                relay(secure, server)

    def _certificate(self, folder: Path, names: tuple[str, ...]) -> Path:
        """Write the authority's certificate, and a file with the front's key and certificate."""
        authority, key = new_key(), new_key()
        self.ca.write_bytes(certificate(authority, authority, is_ca=True))
        file = folder / "front.pem"
        file.write_bytes(private_pem(key) + certificate(key, authority, *names))
        return file
