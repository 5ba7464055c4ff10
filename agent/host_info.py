"""What this host says of itself: names, addresses, roots, load."""

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
from events.reports import Capabilities, RemoteState, RootState

_ANYWHERE = {"", "0.0.0.0", "::"}  # noqa: S104 - compared, not bound
RCLONE_TIMEOUT_S = 20.0
"""Seconds for rclone to tell of itself."""
_ELSEWHERE = "192.0.2.1"
"""RFC 5737: an address for documentation. Nothing is sent to it; it only picks an interface."""


def hostname() -> str:
    return socket.gethostname()[:253] or "unnamed"


def ip_address(towards: str = _ELSEWHERE) -> str:
    """This host's address on the way to another; 127.0.0.1 when there is no way."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((towards, 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def endpoints(lane: LaneConfig) -> tuple[str, ...]:
    """What others may dial: as configured, or this host's address and the listening port."""
    if lane.advertise:
        return lane.advertise
    host, port = split_endpoint(lane.listen)
    if host in _ANYWHERE:
        return (f"{ip_address()}:{port}",)
    return (f"[{host}]:{port}" if ":" in host else f"{host}:{port}",)


def root_states(roots: Iterable[RootConfig]) -> tuple[RootState, ...]:
    return tuple(_root_state(root) for root in roots)


def _root_state(root: RootConfig) -> RootState:
    try:
        usage = shutil.disk_usage(root.folder)
    except OSError:
        return RootState(path=root.path, access=root.access)
    return RootState(path=root.path, access=root.access, free=usage.free, size=usage.total)


def remote_states(config: Config) -> tuple[RemoteState, ...]:
    types = remote_types(config.rclone_config) if config.remotes else {}
    return tuple(
        RemoteState(name=remote.name, access=remote.access, type=types.get(remote.name))
        for remote in config.remotes
    )


def remote_types(described_in: Path) -> dict[str, str | None]:
    """By name, what kind of thing each remote is, where rclone says; none at all if it cannot read its
    configuration."""
    try:
        return _types(described_in, described_in.stat().st_mtime_ns)
    except (OSError, subprocess.SubprocessError):
        return {}


@lru_cache(1)
def _types(described_in: Path, _version: int) -> dict[str, str | None]:
    try:
        return {one["name"]: one["type"] for one in json.loads(_listed(described_in, "--json"))}
    except subprocess.CalledProcessError:  # before 1.68 it could not tell one column from the next
        return {line.removesuffix(":"): None for line in _listed(described_in).splitlines()}


def _listed(described_in: Path, *flags: str) -> str:
    """What rclone tells of its remotes: no setting of any."""
    settings = {"RCLONE_CONFIG": os.fspath(described_in), "RCLONE_ASK_PASSWORD": "false"}
    return subprocess.run(
        [find_rclone() or "rclone", "listremotes", *flags],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        timeout=RCLONE_TIMEOUT_S,
        check=True,
    ).stdout


def load() -> float | None:
    """The 1-minute load average."""
    try:
        return round(os.getloadavg()[0], 2)
    except OSError:
        return None


def find_rclone() -> Path | None:
    """rclone beside this Python first, then on the PATH."""
    beside = Path(sys.executable).with_name("rclone")
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which("rclone")
    return Path(found) if found else None


def rclone_version() -> str | None:
    """`1.75.2`; None when rclone is missing or does not run."""
    rclone = find_rclone()
    if rclone is None:
        return None
    try:
        done = subprocess.run(
            [rclone, "version"], capture_output=True, text=True, timeout=RCLONE_TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    words = done.stdout.split()
    return words[1].removeprefix("v") if len(words) > 1 else None


def capabilities(config: Config) -> Capabilities:
    version = rclone_version()
    movers = ("lane", "rclone", "local") if version else ("lane", "local")
    return Capabilities(
        movers=movers,
        rclone=version,
        remotes=remote_states(config),
        follows=True,
        browses_remotes=True,
        previews_uploads=True,
    )


def describe(config: Config, lane_certificate: str) -> dict[str, object]:
    """What Hello and registering say alike."""
    return {
        "hostname": hostname(),
        "capabilities": capabilities(config),
        "endpoints": endpoints(config.lane),
        "lane_certificate": lane_certificate,
        "roots": root_states(config.roots),
    }
