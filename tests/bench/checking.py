"""Compare what arrived with what was sent: every name, kind and byte, in both directions."""

import os
from collections.abc import Collection, Iterator
from pathlib import Path

CHUNK = 4 * 1024 * 1024


def differences(sent: Path, arrived: Path, but: Collection[str] = ()) -> list[str]:
    """Return the differences as text, ignoring the top-level names in `but`, which belong to a tool."""
    left, right = (dict(_things(folder, but)) for folder in (sent, arrived))
    found = [f"{path} is missing" for path in sorted(left.keys() - right.keys())]
    found += [f"{path} was never sent" for path in sorted(right.keys() - left.keys())]
    return found + [
        f"{path} differs" for path in sorted(left.keys() & right.keys()) if _differ(left[path], right[path])
    ]


def _things(folder: Path, but: Collection[str]) -> Iterator[tuple[str, Path]]:
    for parent, directories, files in os.walk(folder):
        own = but if Path(parent) == folder else ()
        directories[:] = [name for name in directories if name not in own]
        for name in [*directories, *(name for name in files if name not in own)]:
            path = Path(parent, name)
            yield str(path.relative_to(folder)), path


def _differ(left: Path, right: Path) -> bool:
    if left.is_symlink() or right.is_symlink():
        return not (left.is_symlink() and right.is_symlink() and left.readlink() == right.readlink())
    if left.is_dir() or right.is_dir():
        return not (left.is_dir() and right.is_dir())
    return left.stat().st_size != right.stat().st_size or not _same_bytes(left, right)


def _same_bytes(left: Path, right: Path) -> bool:
    with left.open("rb") as one, right.open("rb") as other:
        while chunk := one.read(CHUNK):
            if chunk != other.read(CHUNK):
                return False
    return True
