"""Put the machine into the same state before every run."""

import mmap
import os
import shutil
from pathlib import Path

from agent.files import disk
from tests.bench.cases import Medium

_HEADROOM_BYTES = 512 * 1024 * 1024
"""Memory in bytes that a tool itself and its connections may take."""


def warm(source: Path) -> None:
    """Allocate as much memory as the files take, and free it again.

    A virtual machine returns free memory to its host, and the first tool to use it again waits for it page by
    page: a tool that ran after a pause would look slower.
    """
    size = sum(path.lstat().st_size for path in source.rglob("*")) + _HEADROOM_BYTES
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE
    mmap.mmap(-1, size, flags=flags).close()


def on_disk(folder: Path) -> None:
    """Wait until what was written below the folder is on disk; free for a folder in memory."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        disk.sync_file_system(descriptor)
    finally:
        os.close(descriptor)


def clear(folder: Path, medium: Medium) -> None:
    """Free the space that a run took; on disk the names stay until all runs have ended.

    Before ext4 allocates an inode, it checks each one that was freed in the last minutes (`recently_deleted`
    in the kernel's ialloc.c): creating 20,000 files takes five times as long after 20,000 were removed.
    """
    if medium == "memory":
        shutil.rmtree(folder, ignore_errors=True)
        return
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            os.truncate(path, 0)
    on_disk(folder)
