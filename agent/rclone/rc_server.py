"""Run `rclone rcd` on a Unix socket in a directory that only this agent's user can enter.

Objects are requested over HTTP: https://rclone.org/rc/.
"""

import http.client
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

from agent.pull.source import SourceConnectionError
from agent.rclone.process import RcloneProcess

READY_TIMEOUT_S = 20.0
"""Seconds for rclone to listen."""
READ_TIMEOUT_S = 300.0
"""Seconds that rclone may be silent; it retries by itself."""


DIRECTORY_PREFIX = "crosshaul-rclone-"
"""Start of the name of a server's directory; the id of the agent's process follows."""


@cache
def _remove_abandoned_directories() -> None:
    """Remove the directories of agents that were killed, once in the life of this one."""
    for directory in Path(tempfile.gettempdir()).glob(f"{DIRECTORY_PREFIX}*"):
        owner = directory.name.removeprefix(DIRECTORY_PREFIX).partition("-")[0]
        if owner.isdecimal() and not _is_running(int(owner)):
            shutil.rmtree(directory, ignore_errors=True)


def _is_running(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True


class RcServer:
    """One hop's rclone server. Safe to use from any thread."""

    def __init__(self, rclone: RcloneProcess, *flags: str) -> None:
        self._rclone = rclone
        self._flags = flags
        _remove_abandoned_directories()
        self.directory = Path(tempfile.mkdtemp(prefix=f"{DIRECTORY_PREFIX}{os.getpid()}-"))
        self._socket = self.directory / "rclone"
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def ensure_running(self) -> None:
        """Start the server if it does not run.

        Raises:
            SourceConnectionError: rclone does not start.
        """
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._process = self._start()

    def connection(self) -> http.client.HTTPConnection:
        """Return a new connection. Raise SourceConnectionError if rclone does not listen."""
        connection = http.client.HTTPConnection("rclone", timeout=READ_TIMEOUT_S)
        connection.auto_open = 0
        connection.sock = _connect(self._socket)
        return connection

    def close(self) -> None:
        """Delete the socket's directory, once rclone itself was closed."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def _start(self) -> subprocess.Popen[bytes]:
        self._socket.unlink(missing_ok=True)
        address = f"--rc-addr=unix://{self._socket}"
        process = self._rclone.spawn("rcd", "--rc-serve", "--rc-no-auth", address, *self._flags)
        threading.Thread(target=_drain, args=[process], daemon=True).start()
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not _is_listening(self._socket):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SourceConnectionError("rclone did not start")
            time.sleep(0.02)
        return process


def _connect(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(READ_TIMEOUT_S)
    try:
        connection.connect(str(path))
    except OSError as error:
        connection.close()
        raise SourceConnectionError(f"rclone does not answer: {error}") from error
    return connection


def _is_listening(path: Path) -> bool:
    try:
        _connect(path).close()
    except SourceConnectionError:
        return False
    return True


def _drain(process: subprocess.Popen[bytes]) -> None:
    """Discard what the server logs; each response carries its own error."""
    with suppress(ValueError, OSError):
        for _ in process.stderr or []:
            pass
