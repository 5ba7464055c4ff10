"""Waiting for servers of our own to answer."""

import socket
import time
from contextlib import suppress

from tests.bench.tools import FailedError, Process

TIMEOUT_S = 30.0


def until_answers(port: int, process: Process) -> None:
    """Return once somebody listens on the port; FailedError if the process ends before."""
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if not process.alive():
            process.wait(0)
            raise FailedError("it ended instead of listening")
        time.sleep(0.02)
    raise FailedError(f"nobody listened after {TIMEOUT_S:.0f} s")
