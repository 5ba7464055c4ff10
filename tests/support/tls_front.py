"""TLS under real names, before a server that speaks plain HTTP on loopback."""

import socket
import ssl
import threading
from contextlib import suppress
from pathlib import Path

from tests.support.certificates import certificate, new_key, private_pem
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
        authority, key = new_key(), new_key()
        self.ca.write_bytes(certificate(authority, authority, is_ca=True))
        file = folder / "front.pem"
        file.write_bytes(private_pem(key) + certificate(key, authority, *names))
        return file
