"""agent.toml: what the host's administrator decides, and nobody else.

state = "/var/lib/crosshaul"
rclone_config = "/etc/crosshaul/rclone.conf"
hops_at_once = 4                      # others wait for their turn
rotate_after_days = 90                # the age at which this host's keys are replaced
bandwidth_limit = 52428800            # bytes per second for all hops together; left out: none

[lane]
listen = "0.0.0.0:4460"              # one firewall rule
advertise = ["server-b.example:4460"] # left out: this host's own address

[[bandwidth_windows]]                 # at these hours another limit; without `limit`: none
start = 20:00:00
end = 06:00:00
zone = "Europe/Berlin"

[[roots]]
path = "/data"                        # the name that locations use
access = "ro"                         # or "rw"
directory = "/mnt/raid/data"          # left out: the same as path

[[remotes]]                           # what of this host's rclone.conf may be moved from and to
name = "archive"                      # as it is called there, and in locations
access = "ro"                         # or "rw"
directory = "team/media"              # left out: all of it
"""

import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationError, model_validator

from agent.errors import HostError
from events.base import Request
from events.locations import AbsolutePath, RemoteName
from events.options import BandwidthWindow, Rate
from events.validation_messages import innermost_errors, message

DEFAULT_PATH = Path("/etc/crosshaul/agent.toml")


def split_endpoint(text: str) -> tuple[str, int]:
    """`host:port` or `[v6]:port` in two; ValueError says what is wrong with it."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"{text!r} is no host:port")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _endpoint(text: str) -> str:
    split_endpoint(text)
    if not text.isascii():
        raise ValueError(f"{text!r} is not as DNS has it: write the name in ASCII (xn--…)")
    return text


def _absolute(path: Path) -> Path:
    if not path.is_absolute():
        raise ValueError("the directory must be absolute: start it with /")
    return path


Endpoint = Annotated[str, AfterValidator(_endpoint)]
Directory = Annotated[Path, AfterValidator(_absolute)]


class LaneConfig(Request):
    listen: Endpoint = "0.0.0.0:4460"
    advertise: Annotated[tuple[Endpoint, ...], Field(max_length=16)] = ()
    """What others are told to dial; empty means this host's own address and the port of `listen`."""


class RootConfig(Request):
    path: AbsolutePath
    access: Literal["ro", "rw"]
    directory: Directory | None = None

    @property
    def folder(self) -> Path:
        """Where the root is on this host."""
        return self.directory or Path(self.path)


def _directory_on_a_remote(text: str) -> str:
    if ".." in text.split("/") or not text.isprintable() or "]" in text:
        raise ValueError("name a plain directory: without '..', ']' and control characters")
    return text if text == "/" else text.rstrip("/")


class RemoteConfig(Request):
    name: RemoteName
    access: Literal["ro", "rw"]
    directory: Annotated[str, AfterValidator(_directory_on_a_remote)] = ""
    """Only this one, in rclone's words: with a slash in front it may be another than without."""

    @property
    def top(self) -> str:
        """What is offered, in rclone's words."""
        return f"{self.name}:{self.directory}"


class Config(Request):
    state: Directory = Path("/var/lib/crosshaul")
    """Where keys, journal and lock are; nobody else needs to read it."""
    rclone_config: Directory = Path("/etc/crosshaul/rclone.conf")
    """Where the remotes are described, with their credentials. Only rclone reads it."""
    hops_at_once: Annotated[int, Field(ge=1, le=64)] = 4
    rotate_after_days: Annotated[int, Field(ge=1, le=3650)] = 90
    """The age at which the agent replaces its certificates and its API key, unless it was told to before."""
    bandwidth_limit: Rate | None = None
    """Bytes per second that all hops may bring here or take from here together, shared by priority."""
    bandwidth_windows: Annotated[tuple[BandwidthWindow, ...], Field(max_length=20)] = ()
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    lane: LaneConfig = LaneConfig()
    roots: Annotated[tuple[RootConfig, ...], Field(min_length=1, max_length=64)]
    remotes: Annotated[tuple[RemoteConfig, ...], Field(max_length=64)] = ()

    @model_validator(mode="after")
    def _each_root_once(self) -> "Config":
        names = [root.path.rstrip("/") for root in self.roots]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"a root is named twice: {', '.join(sorted(twice)) or '/'}")
        return self

    @model_validator(mode="after")
    def _each_remote_once(self) -> "Config":
        names = [remote.name for remote in self.remotes]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"a remote is named twice: {', '.join(sorted(twice))}")
        return self


def read_config(path: Path) -> Config:
    """The configuration in a file; HostError names the file, the key and what to do."""
    try:
        return Config.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise HostError(
            f"{path} is not there", "write it (see docs/guides/agent.md) or name it by --config"
        ) from None
    except PermissionError:
        raise HostError(f"{path} may not be read", "run as root or as the agent's user") from None
    except OSError as error:
        raise HostError(
            f"{path} cannot be read: {error.strerror}", "name a readable file by --config"
        ) from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise HostError(f"{path} is not TOML: {error}", "correct that line") from error
    except ValidationError as error:
        raise HostError(
            f"{path}: {_in_words(error)}", "correct these keys (see docs/guides/agent.md)"
        ) from error


def _in_words(error: ValidationError) -> str:
    return "; ".join(f"{_key(one['loc'])}: {message(one)}" for one in innermost_errors(error))


def _key(at: tuple[int | str, ...]) -> str:
    """`roots[2].access`, the second in the file being 2."""
    words = [f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in at]
    return "".join(words).lstrip(".") or "the file"
