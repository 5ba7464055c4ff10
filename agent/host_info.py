"""What this host reports about itself: names, addresses, roots, remotes, load."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from agent.config import Config, LaneConfig, RootConfig, split_endpoint
from agent.tcp import host_congestion_control
from events.reports import Capabilities, RemoteState, RootState

_ANY_ADDRESS = {"", "0.0.0.0", "::"}  # noqa: S104 - compared, not bound
RCLONE_TIMEOUT_S = 20.0
"""Seconds for rclone to print its version or its remotes."""
_PROBE_ADDRESS = "192.0.2.1"
"""An address for documentation (RFC 5737). Nothing is sent to it; it only selects an interface."""


def hostname() -> str:
    """Return this host's name."""
    return socket.gethostname()[:253] or "unnamed"


def ip_address(peer: str = _PROBE_ADDRESS) -> str:
    """Return this host's address on the route to a peer; 127.0.0.1 if there is no route."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((peer, 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def endpoints(lane: LaneConfig) -> tuple[str, ...]:
    """Return what peers may dial: as configured, or this host's address and the listening port."""
    if lane.advertise:
        return lane.advertise
    host, port = split_endpoint(lane.listen)
    if host in _ANY_ADDRESS:
        return (f"{ip_address()}:{port}",)
    return (f"[{host}]:{port}" if ":" in host else f"{host}:{port}",)


def root_states(roots: Iterable[RootConfig]) -> tuple[RootState, ...]:
    """Return each root with its free and total bytes, as far as they can be read."""
    return tuple(_root_state(root) for root in roots)


def _root_state(root: RootConfig) -> RootState:
    try:
        usage = shutil.disk_usage(root.folder)
    except OSError:
        return RootState(path=root.path, access=root.access)
    return RootState(path=root.path, access=root.access, free=usage.free, size=usage.total)


def remote_states(config: Config) -> tuple[RemoteState, ...]:
    """Return each configured remote with its type, as far as rclone knows it."""
    types = remote_types(config.rclone_config) if config.remotes else {}
    return tuple(
        RemoteState(name=remote.name, access=remote.access, type=types.get(remote.name))
        for remote in config.remotes
    )


def remote_types(rclone_config: Path) -> dict[str, str | None]:
    """Return the types of rclone's remotes by name; empty if rclone cannot read its configuration."""
    try:
        return _types(rclone_config, rclone_config.stat().st_mtime_ns)
    except (OSError, subprocess.SubprocessError):
        return {}


@lru_cache(1)
def _types(rclone_config: Path, _version: int) -> dict[str, str | None]:
    try:
        return {
            remote["name"]: remote["type"] for remote in json.loads(_list_remotes(rclone_config, "--json"))
        }
    except subprocess.CalledProcessError:  # before 1.68 it could not separate the columns
        return {line.removesuffix(":"): None for line in _list_remotes(rclone_config).splitlines()}


def _list_remotes(rclone_config: Path, *flags: str) -> str:
    """Return what `rclone listremotes` prints, which includes no settings."""
    settings = {"RCLONE_CONFIG": os.fspath(rclone_config), "RCLONE_ASK_PASSWORD": "false"}
    return subprocess.run(
        [find_rclone() or "rclone", "listremotes", *flags],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        timeout=RCLONE_TIMEOUT_S,
        check=True,
    ).stdout


def load() -> float | None:
    """Return the 1-minute load average; None if it cannot be read."""
    try:
        return round(os.getloadavg()[0], 2)
    except OSError:
        return None


def find_rclone() -> Path | None:
    """Return the path of rclone: beside this Python first, then on the PATH."""
    bundled = Path(sys.executable).with_name("rclone")
    found = str(bundled) if os.access(bundled, os.X_OK) else shutil.which("rclone")
    return Path(found) if found else None


def rclone_version() -> str | None:
    """Return rclone's version, such as `1.75.2`; None if rclone is missing or does not run."""
    rclone = find_rclone()
    if rclone is None:
        return None
    # Without a configuration: rclone would make the directory of its own one, in root's home for the doctor.
    try:
        process = subprocess.run(
            [rclone, "--config", "", "version"],
            capture_output=True,
            text=True,
            timeout=RCLONE_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    words = process.stdout.split()
    return words[1].removeprefix("v") if len(words) > 1 else None


def capabilities(config: Config) -> Capabilities:
    """Return what this version of the agent can do on this host."""
    version = rclone_version()
    movers = ("lane", "rclone", "local") if version else ("lane", "local")
    return Capabilities(
        movers=movers,
        rclone=version,
        remotes=remote_states(config),
        streaming=True,
        browses_remotes=True,
        previews_uploads=True,
        congestion_control=host_congestion_control(),
    )


def describe(config: Config, lane_certificate: str) -> dict[str, object]:
    """Return the fields about this host that Hello and registration share."""
    return {
        "hostname": hostname(),
        "capabilities": capabilities(config),
        "endpoints": endpoints(config.lane),
        "lane_certificate": lane_certificate,
        "roots": root_states(config.roots),
    }
