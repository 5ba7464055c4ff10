"""Programs that end when this agent does, even by SIGKILL: the kernel tells them, see PR_SET_PDEATHSIG.

It is told when the thread ends that has started them, so one that lasts as long as the agent starts them all.
"""

import logging
import shutil
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

START_TIMEOUT_S = 10.0
"""Seconds."""


def start_child(command: Sequence[str | Path], **how: Any) -> subprocess.Popen[bytes]:
    """It runs, as `subprocess.Popen` starts it. OSError."""

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen([*_die_with_parent(), *command], **how)

    return _starter().submit(start).result()


@cache
def _starter() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, "start")


@cache
def _die_with_parent() -> tuple[str, ...]:
    """What stands in front of a command. Nothing without util-linux 2.33: there it is for whoever supervises
    the agent to end what a killed one has left, as systemd does."""
    leash = (shutil.which("setpriv") or "setpriv", "--pdeathsig", "TERM", "--")
    try:
        subprocess.run([*leash, "true"], capture_output=True, timeout=START_TIMEOUT_S, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        log.info("rclone outlives an agent that is killed", extra={"reason": str(error)})
        return ()
    return leash
