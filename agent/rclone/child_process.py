"""Start child processes that end when this agent does, even by SIGKILL, through PR_SET_PDEATHSIG.

The kernel sends that signal when the thread ends that started the child, so one thread that lives as long as
the agent starts all of them.
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


def start_child(command: Sequence[str | Path], **options: Any) -> subprocess.Popen[bytes]:
    """Start a command with the options of `subprocess.Popen`. Raise OSError if it cannot be started."""

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen([*_parent_death_prefix(), *command], **options)

    return _starter().submit(start).result()


@cache
def _starter() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, "start")


@cache
def _parent_death_prefix() -> tuple[str, ...]:
    """Return the command prefix that ends a child with its parent; empty if it does not work here.

    It needs util-linux 2.33, and a system call that the agent's unit refuses. Then the service manager has to
    end what a killed agent leaves, as systemd does.
    """
    prefix = (shutil.which("setpriv") or "setpriv", "--pdeathsig", "TERM", "--")
    try:
        subprocess.run([*prefix, "true"], capture_output=True, timeout=START_TIMEOUT_S, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        log.info("only a service manager ends the rclone of a killed agent", extra={"reason": str(error)})
        return ()
    return prefix
