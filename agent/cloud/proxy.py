"""The HTTP proxy between this host and AWS, for MQTT, HTTPS and rclone alike.

The process's environment (`HTTPS_PROXY`, `NO_PROXY`) is the one place that says which proxy is used: httpx,
rclone, curl and pip read it by themselves. What agent.toml says is written into it at the start. The lane is
never proxied.
"""

import base64
import ipaddress
import os
import socket
import stat
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from agent.config import NetworkConfig
from agent.errors import HostError

MAX_CREDENTIALS_BYTES = 1024
"""Bytes of the file with the proxy's credentials."""
_MAX_ANSWER_BYTES = 16 * 1024
"""Bytes of a proxy's answer that are read."""
_ADVICE = "write it as http://HOST:PORT"
_CREDENTIALS_ADVICE = "write user:password on its only line, readable by the agent's user"


class ProxyError(OSError):
    """The proxy refused a connection."""

    def __init__(self, proxy: "Proxy", target: str, answer: "_Answer") -> None:
        super().__init__(f"the proxy {proxy} refuses {target}: {answer.reason or 'not an HTTP proxy'}")
        self.status = answer.status
        """HTTP status; 0 if the answer was not HTTP."""
        self._schemes = answer.schemes
        self._knows_us = proxy.user is not None

    @property
    def advice(self) -> str:
        """Return what to do."""
        if self.status == 407 and self._schemes and "basic" not in self._schemes:
            asked = ", ".join(self._schemes)
            return (
                f"let this host through without a password: the proxy asks for {asked}, the agent knows Basic"
            )
        if self.status == 407 and self._knows_us:
            return "correct user and password in the file that network.proxy_credentials names"
        if self.status == 407:
            return "give the proxy's user and password by network.proxy_credentials in agent.toml"
        if self.status in {403, 405}:
            return "put this name and port on the proxy's list (docs/guides/network.md)"
        if self.status >= 500:
            return "check that the proxy itself reaches this name and port"
        return "check the address in network.proxy of agent.toml"


@dataclass(frozen=True)
class Proxy:
    """An HTTP proxy that opens tunnels (CONNECT, RFC 9110 section 9.3.6). Its text has no credentials."""

    host: str
    port: int
    user: str | None = field(default=None, repr=False)
    password: str = field(default="", repr=False)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def use_configured(network: NetworkConfig) -> None:
    """Make this process and its children use the proxy of agent.toml; if it names none, the environment's.

    Raises HostError if its credentials cannot be read.
    """
    if network.proxy is None:
        return
    scheme, _, address = network.proxy.partition("://")
    url = f"{scheme}://{_user_info(network.proxy_credentials)}{address}"
    os.environ["HTTPS_PROXY"] = os.environ["https_proxy"] = url
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = ",".join(network.no_proxy)


def _user_info(path: Path | None) -> str:
    if path is None:
        return ""
    user, password = read_credentials(path)
    return f"{quote(user, safe='')}:{quote(password, safe='')}@"


def read_credentials(path: Path) -> tuple[str, str]:
    """Return user and password of the proxy.

    Raises HostError if the file is missing, may be read by other users, or is not `user:password`. The
    message never quotes it.
    """
    try:
        with path.open("rb") as file:
            mode, content = os.fstat(file.fileno()).st_mode, file.read(MAX_CREDENTIALS_BYTES + 1)
    except OSError as error:
        reason = f"the proxy's credentials in {path} cannot be read: {error.strerror}"
        raise HostError(reason, _CREDENTIALS_ADVICE) from error
    if mode & (stat.S_IROTH | stat.S_IWOTH | stat.S_IWGRP):
        raise HostError(f"other users may read or change {path}, which has a password", f"chmod 600 {path}")
    with suppress(UnicodeDecodeError):
        text = content.decode().removesuffix("\n").removesuffix("\r")
        user, colon, password = text.partition(":")
        if user and colon and text.isprintable() and len(content) <= MAX_CREDENTIALS_BYTES:
            return user, password
    raise HostError(f"{path} has no credentials of a proxy", _CREDENTIALS_ADVICE)


def proxy_for(host: str) -> Proxy | None:
    """Return the proxy through which a host is reached; None if directly, as this machine always is.

    Raises HostError if the environment names a proxy of another kind.
    """
    names = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    if _is_this_machine(host) or any(_covers(name.strip(), host) for name in names.split(",")):
        return None
    return environment_proxy()


def environment_proxy() -> Proxy | None:
    """Return the proxy that this process uses for other hosts. Raises HostError as `proxy_for` does."""
    url = os.environ.get("https_proxy") or os.environ.get("HTTPS_PROXY")
    if not url:
        return None
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        name, port = parts.hostname, parts.port
    except ValueError:
        name, port = None, None
    if not name or parts.scheme != "http":  # not quoted: it may contain a password
        raise HostError("HTTPS_PROXY does not name an HTTP proxy", _ADVICE)
    user = None if parts.username is None else unquote(parts.username)
    return Proxy(name, port or 80, user, unquote(parts.password or ""))


def _covers(name: str, host: str) -> bool:
    """Return whether a name of NO_PROXY covers a host: as itself, or as a domain above it."""
    return bool(name) and (name in {"*", host} or host.endswith(name if name[0] == "." else f".{name}"))


def _is_this_machine(host: str) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost" or host.endswith(".localhost")


def open_tunnel(proxy: Proxy, host: str, port: int, timeout_s: float) -> socket.socket:
    """Return a connection to a host through a proxy.

    Raises ProxyError if the proxy refuses, OSError if it does not answer.
    """
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    connection = socket.create_connection((proxy.host, proxy.port), timeout_s)
    try:
        lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}", *_authorization(proxy), "", ""]
        connection.sendall("\r\n".join(lines).encode())
        answer = _answer(connection)
    except BaseException:
        connection.close()
        raise
    if not 200 <= answer.status < 300:
        connection.close()
        raise ProxyError(proxy, target, answer)
    return connection


def _authorization(proxy: Proxy) -> list[str]:
    if proxy.user is None:
        return []
    secret = base64.b64encode(f"{proxy.user}:{proxy.password}".encode()).decode()
    return [f"Proxy-Authorization: Basic {secret}"]


@dataclass(frozen=True)
class _Answer:
    """What a proxy says to a request."""

    status: int = 0
    """HTTP status; 0 if it is not HTTP."""
    reason: str = ""
    schemes: tuple[str, ...] = ()
    """How it would have clients authenticate: `basic`, `negotiate`."""


def _answer(connection: socket.socket) -> _Answer:
    """Return the proxy's answer, read to its end and not beyond."""
    answer = b""
    while not answer.endswith(b"\r\n\r\n") and len(answer) < _MAX_ANSWER_BYTES:
        byte = connection.recv(1)
        if not byte:
            break
        answer += byte
    first, *headers = _printable(answer).split("\n")
    version, _, rest = first.partition(" ")
    if not version.startswith("HTTP/1.") or not (rest[:3].isascii() and rest[:3].isdecimal()):
        return _Answer()
    asked = (one.partition(":") for one in headers)
    found = (value.split() for name, _, value in asked if name.strip().lower() == "proxy-authenticate")
    return _Answer(int(rest[:3]), rest[:200].strip(), tuple(one[0].lower()[:20] for one in found if one))


def _printable(answer: bytes) -> str:
    """Return an answer as text, with blanks for what could trick a terminal."""
    text = answer.decode("latin-1").replace("\r\n", "\n")
    return "".join(sign if sign.isprintable() or sign == "\n" else " " for sign in text)
