"""Whether one directory is mounted below a place under two paths: a bind mount, or a disk mounted twice.

Links apart, that is the only way in which a directory has two names, and the kernel lists every mount with
the part of its file system that it shows.
"""

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

MOUNTINFO = Path("/proc/self/mountinfo")
"""proc_pid_mountinfo(5)."""
_ESCAPED = re.compile(rb"\\([0-7]{3})")


class Mount(NamedTuple):
    device: str
    root: str
    """Which part of the file system it shows."""
    point: str
    """Where."""


def doubled(place: str) -> dict[str, str]:
    """Of the mounts below a place, resolved, those that show what is there under another path, too: its own
    path and the other one, both relative to the place, '' for the place itself or more than that. OSError."""
    mounts = list(_read())
    points = {
        mount.point: mount for mount in mounts if mount.point != place and _is_below(mount.point, place)
    }
    if not points:
        return {}
    holding = [mount for mount in mounts if _is_below(place, mount.point)]
    shown = [_part_at(max(holding, key=lambda mount: len(mount.point)), place)] if holding else []
    found = {}
    for mount in points.values():
        others = (_also(mount, other, points) for other in shown)
        other = next((path for path in others if path is not None), None)
        if other is None:
            shown.append(mount)
        else:
            found[_relative(mount.point, place)] = _relative(other, place)
    return found


def _also(mount: Mount, other: Mount, points: Iterable[str]) -> str | None:
    """Where something of what `mount` shows is seen by way of `other`; None if nowhere."""
    if mount.device != other.device:
        return None
    if _is_below(other.root, mount.root) and other.root != mount.root:
        return other.point
    if not _is_below(mount.root, other.root):
        return None
    path = _joined(other.point, _relative(mount.root, other.root))
    hiding = max((point for point in points if _is_below(path, point)), key=len, default=other.point)
    return path if len(hiding) <= len(other.point) else None


def _part_at(mount: Mount, path: str) -> Mount:
    """What of it lies at a path and below."""
    return Mount(mount.device, _joined(mount.root, _relative(path, mount.point)), path)


def _read() -> Iterator[Mount]:
    for line in MOUNTINFO.read_bytes().splitlines():
        _, _, device, root, point, *_ = line.split(b" ")
        yield Mount(device.decode(), _unescaped(root), _unescaped(point))


def _unescaped(text: bytes) -> str:
    return os.fsdecode(_ESCAPED.sub(lambda match: bytes([int(match[1], 8)]), text))


def _is_below(path: str, top: str) -> bool:
    """Is it `top` or in it?"""
    return path == top or path.startswith(f"{top.rstrip('/')}/")


def _relative(path: str, top: str) -> str:
    return path[len(top.rstrip("/")) :].strip("/")


def _joined(top: str, rel: str) -> str:
    return f"{top.rstrip('/')}/{rel}" if rel else top
