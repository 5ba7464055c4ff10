"""An HTTP proxy as companies have it: it opens tunnels (CONNECT) to the names and ports on its list alone.

The names are real ones, which no resolver of a test knows: each leads to a port on loopback. A connection
that arrives there has come through the proxy.
"""

import base64
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from tests.support.loopback_server import ConnectionServer
from tests.support.waiting import HANG_TIMEOUT_S

Target = tuple[str, int]
"""Name and port that a client asks for."""


@dataclass(frozen=True)
class OpenedTunnel:
    """A tunnel that was opened."""

    target: Target
    hello: bytes
    """The first bytes that the client sent: the ClientHello, if it speaks TLS."""

    @property
    def names_server(self) -> bool:
        """Return whether the client named the target as the server that it wants (SNI)."""
        return self.target[0].encode() in self.hello

    def asks_for(self, protocol: str) -> bool:
        """Return whether the client asked for a protocol (ALPN)."""
        return bytes([len(protocol)]) + protocol.encode() in self.hello


class ConnectProxy(ConnectionServer):
    """Serves on a free port of loopback until the end of the `with`."""

    def __init__(
        self, ways: Mapping[Target, int], credentials: str | None = None, scheme: str = "Basic"
    ) -> None:
        """Create a proxy with the port on loopback behind each target.

        It asks for `credentials` (`user:password`) by `scheme`. To play one that opens TLS, lead a target to
        a `TlsFront` of its name.
        """
        self.tunnels: list[OpenedTunnel] = []
        self.refused: list[tuple[Target, int]] = []
        """Targets that were refused, with the status."""
        self._ways = ways
        self._scheme = scheme
        self._open: list[socket.socket] = []
        self._authorization = credentials and "Basic " + base64.b64encode(credentials.encode()).decode()
        super().__init__()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            client.settimeout(HANG_TIMEOUT_S)
            request = _head(client)
            line, *headers = request.split("\r\n")
            host, _, port = line.split(" ")[1].rpartition(":")
            target = host.strip("[]"), int(port)
            if status := self._refusal(target, headers):
                self.refused.append((target, status))
                asked = f"Proxy-Authenticate: {self._scheme} realm=x\r\n" if status == 407 else ""
                client.sendall(f"HTTP/1.1 {status} No\r\n{asked}Content-Length: 0\r\n\r\n".encode())
                return
            with socket.create_connection(("127.0.0.1", self._ways[target])) as server:
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                hello = client.recv(65536)
                self.tunnels.append(OpenedTunnel(target, hello))
                self._open += (client, server)
                server.sendall(hello)
                relay(client, server)

    def cut(self) -> None:
        """Close the tunnels, as a proxy does with those that it takes for idle."""
        while self._open:
            with suppress(OSError):
                self._open.pop().shutdown(socket.SHUT_RDWR)

    def _refusal(self, target: Target, headers: list[str]) -> int | None:
        given = {name.lower(): value.strip() for name, _, value in (one.partition(":") for one in headers)}
        if self._authorization and given.get("proxy-authorization") != self._authorization:
            return 407
        return None if target in self._ways else 403


def _head(client: socket.socket) -> str:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = client.recv(1)
        if not byte:
            raise ConnectionResetError
        head += byte
    return head.decode().removesuffix("\r\n\r\n")


def relay(one: socket.socket, other: socket.socket) -> None:
    """Pass bytes on in both directions until both sides are done."""
    back = threading.Thread(target=_pump, args=[other, one], daemon=True)
    back.start()
    _pump(one, other)
    back.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    source.settimeout(None)
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
