"""Wait for a server to accept connections."""

import socket
import time
from contextlib import suppress

from tests.bench.tools import FailedError, Process

TIMEOUT_S = 30.0


def until_answers(address: str, port: int, process: Process) -> None:
    """Return once a server listens on the address and port.

    Raises:
        FailedError: The process has ended, or nothing listens within the timeout.
    """
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection((address, port), 1):
            return
        if not process.alive():
            process.wait(0)
            raise FailedError("the server ended before it listened")
        time.sleep(0.02)
    raise FailedError(f"no server listened within {TIMEOUT_S:.0f} s")
