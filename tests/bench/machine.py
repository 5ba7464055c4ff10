"""Describe the machine and the tools' versions, as far as readers need to compare results."""

import os
import platform
import ssl
import subprocess
from contextlib import suppress
from pathlib import Path

from agent import VERSION
from tests.bench.tools import find

VERSIONS = {
    "rsync": ["--version"],
    "ssh": ["-V"],
    "rclone": ["version"],
    "syncthing": ["--version"],
    "aria2c": ["--version"],
    "tar": ["--version"],
    "aws": ["--version"],
    "s5cmd": ["version"],
}


def about() -> dict[str, str]:
    return {
        "kernel": platform.release().partition("-")[0],
        "processor": f"{_processor()}, {len(os.sched_getaffinity(0))} cores",
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB",
        "Crosshaul": f"{VERSION}, Python {platform.python_version()}, {ssl.OPENSSL_VERSION}",
    } | {program: version for program, words in VERSIONS.items() if (version := _version(program, words))}


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def _version(program: str, words: list[str]) -> str | None:
    """Return the first line of the program's version output."""
    found = find(program)
    if found is None:
        return None
    done = subprocess.run([found, *words], capture_output=True, text=True, check=False)
    line = (done.stdout or done.stderr).strip().splitlines()[0]
    return line.split(" Copyright")[0].split(" Linux/")[0].strip()
