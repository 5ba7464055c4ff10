"""Find what is mounted below a location, and directories that are mounted there under two paths.

Apart from links, mounts are the only way in which a directory has two paths, and the kernel lists every mount
with the part of its file system that it shows.
"""

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from agent.files.paths import is_below

MOUNTINFO = Path("/proc/self/mountinfo")
"""The kernel's list of mounts, see proc_pid_mountinfo(5)."""
_ESCAPED = re.compile(rb"\\([0-7]{3})")


class Mount(NamedTuple):
    """One mount."""

    device: str
    root: str
    """The part of the file system that it shows."""
    point: str
    """Where it is mounted."""


def points_below(location: str) -> frozenset[str]:
    """Return the paths, of directories and files, at or below a resolved location where something is mounted.

    Raises OSError.
    """
    return frozenset(mount.point for mount in _read(MOUNTINFO) if is_below(mount.point, location))


def aliases(location: str, mountinfo: Path = MOUNTINFO) -> dict[str, str]:
    """Return the mounts below a resolved location that show what is there under another path, too.

    Maps the mount's path to the other path, both relative to the location; '' is the location itself. Raises
    OSError.
    """
    mounts = list(_read(mountinfo))
    points = {
        mount.point: mount for mount in mounts if mount.point != location and is_below(mount.point, location)
    }
    if not points:
        return {}
    containing = [mount for mount in mounts if is_below(location, mount.point)]
    shown = [_narrowed(max(containing, key=lambda mount: len(mount.point)), location)] if containing else []
    found = {}
    for mount in points.values():
        others = (_path_by(mount, other, points) for other in shown)
        other = next((path for path in others if path is not None), None)
        if other is None:
            shown.append(mount)
        else:
            found[_relative(mount.point, location)] = _relative(other, location)
    return found


def _path_by(mount: Mount, other: Mount, points: Iterable[str]) -> str | None:
    """Return where part of what `mount` shows is visible through `other`; None if nowhere."""
    if mount.device != other.device:
        return None
    if is_below(other.root, mount.root) and other.root != mount.root:
        return other.point
    if not is_below(mount.root, other.root):
        return None
    path = _join(other.point, _relative(mount.root, other.root))
    hiding = max((point for point in points if is_below(path, point)), key=len, default=other.point)
    return path if len(hiding) <= len(other.point) else None


def _narrowed(mount: Mount, path: str) -> Mount:
    """Return the part of a mount that is at a path and below."""
    return Mount(mount.device, _join(mount.root, _relative(path, mount.point)), path)


def _read(mountinfo: Path) -> Iterator[Mount]:
    """Yield every mount that the kernel lists in a file."""
    for line in mountinfo.read_bytes().splitlines():
        _, _, device, root, point, *_ = line.split(b" ")
        yield Mount(device.decode(), _unescaped(root), _unescaped(point))


def _unescaped(text: bytes) -> str:
    return os.fsdecode(_ESCAPED.sub(lambda match: bytes([int(match[1], 8)]), text))


def _relative(path: str, top: str) -> str:
    return path[len(top.rstrip("/")) :].strip("/")


def _join(top: str, rel: str) -> str:
    return f"{top.rstrip('/')}/{rel}" if rel else top
