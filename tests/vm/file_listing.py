"""Print what is below a directory as JSON: kind, mode, owner and content of each path. Runs on any host.

python3 file_listing.py DIRECTORY [LEFT_OUT…]
"""

import hashlib
import json
import os
import stat
import sys
from collections.abc import Collection, Iterator
from pathlib import Path

_NOT_DIGESTED = "/usr/"
"""Of the distribution's files only size and time count: to digest them takes minutes under emulation."""


def listing(folder: str, left_out: Collection[str] = ()) -> dict[str, str]:
    """Map each path below the folder to what it is; `left_out` are not entered, nor other file systems."""
    device = Path(folder).lstat().st_dev
    return {path: _describe(path, found) for path, found in _walk(folder, device, frozenset(left_out))}


def _walk(folder: str, device: int, left_out: frozenset[str]) -> Iterator[tuple[str, os.stat_result]]:
    for entry in os.scandir(folder):
        if entry.path in left_out:
            continue
        found = entry.stat(follow_symlinks=False)
        if found.st_dev != device:
            continue
        yield entry.path, found
        if stat.S_ISDIR(found.st_mode):
            yield from _walk(entry.path, device, left_out)


def _describe(path: str, found: os.stat_result) -> str:
    content = ""
    if stat.S_ISLNK(found.st_mode):
        content = str(Path(path).readlink())
    elif stat.S_ISREG(found.st_mode) and path.startswith(_NOT_DIGESTED):
        content = f"{found.st_size}@{found.st_mtime_ns}"
    elif stat.S_ISREG(found.st_mode):
        with Path(path).open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
    return f"{stat.filemode(found.st_mode)} {found.st_uid}:{found.st_gid} {content}"


if __name__ == "__main__":
    print(json.dumps(listing(sys.argv[1], sys.argv[2:])))
