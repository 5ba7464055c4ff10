"""Move very many files with both ends in one process, to measure its memory.

`python -m tests.support.many_files FOLDER COUNT` prints what it moved and its peak memory.
"""

import asyncio
import json
import os
import sys
from pathlib import Path

from tests.support.hosts import Hosts

IN_ONE = 1000
"""Files in each directory."""


def grow(folder: Path, count: int) -> None:
    for number in range(0, count, IN_ONE):
        inner = folder / f"{number // IN_ONE:04}"
        inner.mkdir(parents=True)
        place = os.open(inner, os.O_RDONLY)
        for each in range(number, min(number + IN_ONE, count)):
            file = os.open(f"{each:07}", os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=place)
            os.write(file, b"%d" % each)
            os.close(file)
        os.close(place)


def peak_memory() -> int:
    """Return the peak memory in bytes; not by getrusage(2), which includes the parent's before exec."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:"))


async def moved(folder: Path, count: int) -> dict[str, int]:
    hosts = Hosts(folder)
    try:
        grow(hosts.data / "t", count)
        await hosts.move(hosts.order("/data/t/", "/archive/t/"))
        first = hosts.progress
        await hosts.move(hosts.order("/data/t/", "/archive/t/"))
        unchanged = hosts.progress.files_unchanged
        return {"files": first.files_done, "unchanged": unchanged, "memory": peak_memory()}
    finally:
        hosts.close()


if __name__ == "__main__":
    print(json.dumps(asyncio.run(moved(Path(sys.argv[1]), int(sys.argv[2])))))
