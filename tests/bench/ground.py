"""What runs stand on: every one is to find the machine as the one before it did."""

import mmap
import os
import shutil
from pathlib import Path

from agent.files import disk
from tests.bench.cases import Medium

_BESIDES = 512 * 1024 * 1024
"""Memory that a tool itself and its connections may take."""


def warm(source: Path) -> None:
    """Have as much memory ready as the files take. A virtual machine gives what is free back to its host, and
    whoever takes it again first waits for it, page by page: a tool that ran after a pause would pay."""
    size = sum(path.lstat().st_size for path in source.rglob("*")) + _BESIDES
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE
    mmap.mmap(-1, size, flags=flags).close()


def on_disk(folder: Path) -> None:
    """Wait until what was written there is on the disk; costs nothing in memory."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        disk.sync_file_system(descriptor)
    finally:
        os.close(descriptor)


def clear(folder: Path, medium: Medium) -> None:
    """Have the room back that a run took. On a disk the names stay until all runs have ended: before ext4
    gives an inode it looks at each one that was removed in the last minutes (`recently_deleted` in the
    kernel's ialloc.c), and 20,000 files take any tool five times as long where 20,000 were removed just now.
    """
    if medium == "memory":
        shutil.rmtree(folder, ignore_errors=True)
        return
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            os.truncate(path, 0)
    on_disk(folder)
