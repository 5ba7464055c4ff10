"""rclone as a server of ours, on a socket in a directory that only this agent's user can enter: objects are
asked for over HTTP, https://rclone.org/rc/."""

import http.client
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

from agent.pull.source import SourceConnectionError
from agent.rclone.process import RcloneProcess

READY_TIMEOUT_S = 20.0
"""Seconds for rclone to listen."""
READ_TIMEOUT_S = 300.0
"""Seconds that rclone may be silent; it tries again by itself."""


class RcServer:
    """One hop's. Used by any thread."""

    def __init__(self, rclone: RcloneProcess, *flags: str) -> None:
        self._rclone = rclone
        self._flags = flags
        self.folder = Path(tempfile.mkdtemp(prefix="crosshaul-"))
        self._socket = self.folder / "rclone"
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def ensure(self) -> None:
        """It runs, and listens; LostError."""
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._process = self._begin()

    def connection(self) -> http.client.HTTPConnection:
        """A new one; LostError if nobody listens."""
        connection = http.client.HTTPConnection("rclone", timeout=READ_TIMEOUT_S)
        connection.auto_open = 0
        connection.sock = _connected(self._socket)
        return connection

    def close(self) -> None:
        """Once rclone itself was closed."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _begin(self) -> subprocess.Popen[bytes]:
        self._socket.unlink(missing_ok=True)
        address = f"--rc-addr=unix://{self._socket}"
        process = self._rclone.start("rcd", "--rc-serve", "--rc-no-auth", address, *self._flags)
        threading.Thread(target=_drain, args=[process], daemon=True).start()
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not _answers(self._socket):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SourceConnectionError("rclone does not start")
            time.sleep(0.02)
        return process


def _connected(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(READ_TIMEOUT_S)
    try:
        connection.connect(str(path))
    except OSError as error:
        connection.close()
        raise SourceConnectionError(f"rclone does not answer: {error}") from error
    return connection


def _answers(path: Path) -> bool:
    try:
        _connected(path).close()
    except SourceConnectionError:
        return False
    return True


def _drain(process: subprocess.Popen[bytes]) -> None:
    """Nobody reads what the server says; each answer carries its own error."""
    with suppress(ValueError):
        for _ in process.stderr or []:
            pass
