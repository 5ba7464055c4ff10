"""The agent's configuration file, agent.toml, as the host's administrator writes it.

state = "/var/lib/crosshaul"
rclone_config = "/etc/crosshaul/rclone.conf"
hops_at_once = 4                      # further hops wait
rotate_after_days = 90                # days after which this host's keys are replaced
bandwidth_limit = 52428800            # bytes per second for all hops together; default: unlimited

[lane]
listen = "0.0.0.0:4460"              # one firewall rule
advertise = ["server-b.example:4460"] # default: this host's own address

[network]                             # the way to AWS; the lane is always direct
proxy = "http://proxy.example:3128"   # HTTP proxy (CONNECT) for MQTT, HTTPS and rclone; default: none
proxy_credentials = "/etc/crosshaul/proxy-credentials"  # a file with user:password
no_proxy = [".corp.example"]          # names that are reached directly
mqtt_port = 443                       # or 8883; default: what the stage says

[metrics]                             # default: none
listen = "127.0.0.1:9464"             # OpenMetrics at http://127.0.0.1:9464/metrics
beyond_loopback = false               # true: `listen` may be an address that others reach
otlp = "http://127.0.0.1:4318/v1/metrics"     # push to an OpenTelemetry collector
otlp_headers = "/etc/crosshaul/otlp-headers"  # a file with a header a line
otlp_interval_s = 60

[[bandwidth_windows]]                 # another limit at these hours; without `limit`: unlimited
start = 20:00:00
end = 06:00:00
zone = "Europe/Berlin"

[[roots]]
path = "/data"                        # the name that locations use
access = "ro"                         # or "rw"
directory = "/mnt/raid/data"          # default: path
links = true                          # locations may pass symbolic links inside the root; default: false

[[remotes]]                           # remotes of this host's rclone.conf that transfers may use
name = "archive"                      # its name there, and in locations
access = "ro"                         # or "rw"
directory = "team/media"              # default: all of it
"""

import re
import tomllib
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationError, model_validator

from agent.errors import HostError
from events.base import Request
from events.locations import AbsolutePath, RemoteName
from events.options import BandwidthWindow, Rate
from events.reports import MAX_REMOTES, MAX_ROOTS
from events.validation_messages import describe_error, innermost_errors

DEFAULT_PATH = Path("/etc/crosshaul/agent.toml")
_MAX_DOTS = 1000
"""Dots in a line of the file: a dotted key takes memory with the square of its parts while it is parsed."""


def split_endpoint(text: str) -> tuple[str, int]:
    """Return host and port of `host:port` or `[v6]:port`.

    Raises ValueError if it is neither.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"{text!r} is not host:port")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _endpoint(text: str) -> str:
    split_endpoint(text)
    if not text.isascii():
        raise ValueError(f"{text!r} is not a DNS name: write it in ASCII (xn--…)")
    return text


def _absolute(path: Path) -> Path:
    if not path.is_absolute():
        raise ValueError("the directory must be absolute: start it with /")
    return path


Endpoint = Annotated[str, AfterValidator(_endpoint)]
Directory = Annotated[Path, AfterValidator(_absolute)]


class LaneConfig(Request):
    """Where the lane listens, and what peers dial."""

    listen: Endpoint = "0.0.0.0:4460"
    advertise: Annotated[tuple[Endpoint, ...], Field(max_length=16)] = ()
    """What peers are told to dial; if empty, this host's own address and the port of `listen`."""


def _proxy(text: str) -> str:
    """Check a proxy's address. It must have no credentials: every user of the host may read agent.toml."""
    if "@" in text:
        raise ValueError("write user and password into a file, and name it in proxy_credentials")
    scheme, _, address = text.removesuffix("/").partition("://")
    if scheme != "http" or not re.fullmatch(r"[A-Za-z0-9._:\[\]-]+", address):
        raise ValueError("the proxy is not an HTTP proxy: write http://HOST:PORT")
    split_endpoint(address)
    return f"{scheme}://{address}"


def _name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._:-]{1,253}", text):
        raise ValueError(f"{text!r} is not a name: write host.example, or .example for all below it")
    return text


class NetworkConfig(Request):
    """How the agent reaches AWS; agents reach each other directly in any case."""

    mqtt_port: Literal[443, 8883] | None = None
    """None: the port that the stage says."""
    proxy: Annotated[str, AfterValidator(_proxy)] | None = None
    """None: the one that the environment names (HTTPS_PROXY), if any."""
    proxy_credentials: Directory | None = None
    """A file with `user:password` that other users cannot read."""
    no_proxy: Annotated[tuple[Annotated[str, AfterValidator(_name)], ...], Field(max_length=64)] = ()
    """Names that are reached directly; one with a leading dot stands for all names below it."""

    @model_validator(mode="after")
    def _settings_of_a_proxy(self) -> "NetworkConfig":
        if self.proxy is None and (self.proxy_credentials or self.no_proxy):
            raise ValueError("proxy_credentials and no_proxy belong to a proxy: name it, too")
        return self


def _collector(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.port == 0:
        raise ValueError("the collector is not a URL: write http://HOST:PORT/v1/metrics")
    if "@" in parts.netloc or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("write a URL in ASCII, and what authenticates into a file: name it in otlp_headers")
    return text


def is_loopback(host: str) -> bool:
    """Return whether only this host can reach the address, or what the name stands for."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class MetricsConfig(Request):
    """How the agent's metrics are read. They have no paths, names of files or people."""

    listen: Endpoint | None = None
    """Where they are offered as OpenMetrics text, to everyone who can connect. None: nowhere."""
    beyond_loopback: bool = False
    """Whether `listen` may be an address that other hosts can reach."""
    otlp: Annotated[str, AfterValidator(_collector)] | None = None
    """URL to which they are pushed by OTLP over HTTP, as JSON. None: they are not pushed."""
    otlp_headers: Directory | None = None
    """A file with a header a line that other users cannot read."""
    otlp_interval_s: Annotated[int, Field(ge=5, le=3600)] = 60

    @model_validator(mode="after")
    def _reachable_only_if_wanted(self) -> "MetricsConfig":
        if self.listen and not self.beyond_loopback and not is_loopback(split_endpoint(self.listen)[0]):
            raise ValueError("listen is reached by other hosts: set beyond_loopback = true if they may read")
        return self

    @model_validator(mode="after")
    def _headers_of_a_collector(self) -> "MetricsConfig":
        if self.otlp_headers and not self.otlp:
            raise ValueError("otlp_headers belong to a collector: name it in otlp, too")
        if self.otlp_headers and self.otlp:
            parts = urlsplit(self.otlp)
            if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
                raise ValueError("write https:// in otlp: its headers could be read on the way")
        return self


class RootConfig(Request):
    """A directory that locations may name."""

    path: AbsolutePath
    access: Literal["ro", "rw"]
    directory: Directory | None = None
    links: bool = False
    """Whether the paths of locations may pass symbolic links, and what links below them point to may be
    anywhere in the root."""

    @property
    def folder(self) -> Path:
        """Return the directory on this host."""
        return self.directory or Path(self.path)


def _directory_on_a_remote(text: str) -> str:
    if ".." in text.split("/") or not text.isprintable() or "]" in text:
        raise ValueError("name a plain directory: without '..', ']' and control characters")
    return text if text == "/" else text.rstrip("/")


class RemoteConfig(Request):
    """A remote of rclone that locations may name."""

    name: RemoteName
    access: Literal["ro", "rw"]
    directory: Annotated[str, AfterValidator(_directory_on_a_remote)] = ""
    """Offer only this directory of the remote, as rclone writes it: a leading slash can matter."""

    @property
    def top(self) -> str:
        """Return what is offered, as rclone writes it."""
        return f"{self.name}:{self.directory}"


class Config(Request):
    """The whole file."""

    state: Directory = Path("/var/lib/crosshaul")
    """Directory of keys, journal and lock; only the agent needs to read it."""
    rclone_config: Directory = Path("/etc/crosshaul/rclone.conf")
    """rclone's configuration of the remotes, with their credentials. Only rclone reads it."""
    hops_at_once: Annotated[int, Field(ge=1, le=64)] = 4
    rotate_after_days: Annotated[int, Field(ge=1, le=3650)] = 90
    """Days after which the agent replaces its certificates and its API key by itself."""
    bandwidth_limit: Rate | None = None
    """Bytes per second for all hops of this host together, shared by priority."""
    bandwidth_windows: Annotated[tuple[BandwidthWindow, ...], Field(max_length=20)] = ()
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    lane: LaneConfig = LaneConfig()
    network: NetworkConfig = NetworkConfig()
    metrics: MetricsConfig = MetricsConfig()
    roots: Annotated[tuple[RootConfig, ...], Field(min_length=1, max_length=MAX_ROOTS)]
    remotes: Annotated[tuple[RemoteConfig, ...], Field(max_length=MAX_REMOTES)] = ()

    @model_validator(mode="after")
    def _each_root_once(self) -> "Config":
        names = [root.path.rstrip("/") for root in self.roots]
        if duplicates := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"a root is listed twice: {', '.join(sorted(duplicates)) or '/'}")
        return self

    @model_validator(mode="after")
    def _each_remote_once(self) -> "Config":
        names = [remote.name for remote in self.remotes]
        if duplicates := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"a remote is listed twice: {', '.join(sorted(duplicates))}")
        return self


def read_config(path: Path) -> Config:
    """Return the configuration in a file.

    Raises HostError, which names the file, the key and what to do.
    """
    try:
        return Config.model_validate(_toml(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise HostError(
            f"{path} does not exist", "write it (see docs/guides/agent.md) or name another one with --config"
        ) from None
    except PermissionError:
        raise HostError(f"{path} may not be read", "run as root or as the agent's user") from None
    except OSError as error:
        raise HostError(
            f"{path} cannot be read: {error.strerror}", "name a readable file with --config"
        ) from error
    except ValidationError as error:
        raise HostError(
            f"{path}: {_describe(error)}", "correct these keys (see docs/guides/agent.md)"
        ) from error
    except ValueError as error:  # not UTF-8, not TOML, or a number of more digits than Python converts
        raise HostError(f"{path} is not TOML: {error}", "correct that line") from error
    except RecursionError as error:
        raise HostError(f"{path} is nested too deeply", "correct the file") from error


def _toml(text: str) -> dict[str, Any]:
    """Return the tables of a file. Raise ValueError or RecursionError if it is not TOML."""
    if any(line.count(".") > _MAX_DOTS for line in text.splitlines()):
        raise ValueError(f"a line has more than {_MAX_DOTS} dots")
    return tomllib.loads(text)


def _describe(error: ValidationError) -> str:
    return "; ".join(f"{_key(part['loc'])}: {describe_error(part)}" for part in innermost_errors(error))


def _key(location: tuple[int | str, ...]) -> str:
    """Return the key as written, such as `roots[2].access` for the second root in the file."""
    parts = [f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in location]
    return "".join(parts).lstrip(".") or "the file"
